import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Store } from '../../../engine/core/ports/store.ts'
import { AdminApi, API_PREFIX } from '../../../server/admin.ts'
import { Edge } from '../../../server/edge.ts'
import { Metrics } from '../../../server/metrics.ts'
import { startServer, type RunningServer } from '../../../server/server.ts'
import { approvePlan } from '../../../workers/approve.ts'
import { Daemon, type DaemonOptions } from '../../../workers/daemon.ts'
import { dryRun } from '../../../workers/dry-run.ts'
import { Household } from '../../../workers/household.ts'
import { takeLead } from '../../../workers/lead.ts'
import { Meter } from '../../../workers/meter.ts'
import { runToQuiet } from '../../../workers/quiet.ts'
import type { Log, Runtime } from '../../../workers/runtime.ts'
import { Progress } from '../../progress.ts'
import { Tally } from '../../tally.ts'
import { collect, compareAll, type Agreement } from '../agreement.ts'
import { Journal, losersOf, type Loser } from '../journal.ts'
import { fileLog } from '../log.ts'
import { readPlan, type PlanSummary } from '../planned.ts'
import { count, duration, fit, type Screen } from '../screen.ts'
import { agreementTable, namesOf, showHappenings, showPlan, showUndecided } from '../show.ts'
import { watchChanges } from '../watch.ts'
import { openCompany, type Company } from './accounts.ts'
import { editsLive, editsMeanwhile, type Accounts, type Edit } from './edits.ts'
import { News, together } from './news.ts'
import { pageRoutes } from './page.ts'
import { Stories } from './story.ts'

/** How often the daemon looks who is due: Google is asked every second. */
const SWEEP_MS = 250
/** Watching, changes are shown together when nothing more has happened for this long. */
const REST_MS = 700
/** How often the accounts are looked at for what should arrive there. */
const LOOK_MS = 20
/** Two humans are never at once. */
const BETWEEN_MS = 20

/** What `kith demo --json` prints. */
export interface Summary {
  readonly dir: string
  readonly files: { readonly config: string }
  /** Where the page is, as long as the demo runs. */
  readonly page: string
  /** Where the admin API is, as long as the demo runs. */
  readonly api: string
  readonly accounts: readonly { readonly name: string; readonly product: string; readonly records: number }[]
  readonly plan: PlanSummary
  readonly written: number
  readonly parked: number
  readonly agreement: Agreement
  readonly edits: readonly {
    readonly told: string
    readonly arrived: readonly { readonly account: string; readonly what: string; readonly latency_ms: number | null }[]
  }[]
  readonly lost: readonly (Loser & { readonly person: string })[]
  /** From nothing to the page. */
  readonly live_ms: number
  readonly elapsed_ms: number
}

type Edited = Summary['edits'][number]

export interface CompanyOptions {
  readonly dir: string
  /** Of the page; 0 for any that is free. */
  readonly port: number
  /** Makes some edits of its own. */
  readonly edits: boolean
}

/** The company's accounts, from their first plan to the page. Owns what it starts: `close` ends it. */
export class CompanyDemo {
  readonly #company: Company
  readonly #accounts: Accounts
  readonly #options: CompanyOptions
  readonly #screen: Screen
  readonly #signal: AbortSignal
  readonly #journal = new Journal()
  readonly #news = new News()
  readonly #tally = new Tally()
  readonly #started_ms: number
  readonly #log: Log
  #household: Household | undefined
  #daemon: Daemon | undefined
  #runtime: Runtime | undefined
  #edge: Edge | undefined
  #admin: AdminApi | undefined
  #leave: (() => Promise<void>) | undefined
  #page: RunningServer | undefined

  static async start(options: CompanyOptions, screen: Screen, signal: AbortSignal): Promise<CompanyDemo> {
    const started_ms = Date.now()
    return new CompanyDemo(await openCompany(options.dir), options, screen, signal, started_ms)
  }

  private constructor(
    company: Company,
    options: CompanyOptions,
    screen: Screen,
    signal: AbortSignal,
    started_ms: number,
  ) {
    this.#company = company
    this.#accounts = new Map(company.accounts.map((account) => [account.name, account]))
    this.#options = options
    this.#screen = screen
    this.#signal = signal
    this.#started_ms = started_ms
    this.#log = fileLog(options.dir)
  }

  async close(): Promise<void> {
    await this.#page?.close()
    await this.#admin?.close()
    await this.#edge?.close()
    await this.#stopDaemon()
    await this.#leave?.()
    await this.#household?.close()
    await this.#company.close()
  }

  async run(): Promise<Summary> {
    await this.#introduce()
    const plan = await this.#plan()
    const written = await this.#approve()
    const { edits } = this.#options
    const meanwhile = edits ? await this.#editMeanwhile() : []
    const { page, api } = await this.#goLive()
    const live_ms = Date.now() - this.#started_ms
    const lost: Summary['lost'][number][] = []
    const edited = edits ? [...(await this.#arrivals(meanwhile, lost)), ...(await this.#editLive(lost))] : []
    const agreement = await this.#agree()
    const { household } = this.#open
    const counts = await household.store.counts()
    return {
      dir: this.#company.dir,
      files: { config: this.#company.config },
      page,
      api,
      accounts: this.#company.accounts.map(({ name, product, records }) => ({
        name,
        product,
        records: records().length,
      })),
      plan,
      written,
      parked: [...counts.values()].reduce((sum, { parked }) => sum + parked, 0),
      agreement,
      edits: edited,
      lost,
      live_ms,
      elapsed_ms: Date.now() - this.#started_ms,
    }
  }

  /** Shows every change as it happens, until the signal. */
  async watch(): Promise<void> {
    const { store, runtime } = this.#open
    const gone = new Set((await collect(store.links({ state: 'gone' }))).map(({ recordId }) => recordId))
    const [journal, screen, catalogue] = [this.#journal, this.#screen, runtime.rules.catalogue]
    journal.take()
    await watchChanges({ journal, store, catalogue, screen, rest_ms: REST_MS, gone }, this.#signal)
  }

  async #introduce(): Promise<void> {
    const screen = this.#screen
    screen.heading('A company, and the same people in five accounts')
    for (const { name, product, noun, records, hears } of this.#company.accounts) {
      const told = hears === 'webhooks' ? 'tells of edits by webhook' : 'has no webhooks: asked every second'
      screen.say(`${fit(name, 12)}${fit(product, 17)}${fit(count(records().length, noun), 16)}${screen.dim(told)}`)
    }
    screen.say(
      '',
      'All of them are simulated here, on this machine, and nobody in them is real.',
      `kith.yaml and the database are in ${screen.strong(this.#company.dir)}`,
    )
    const config = await readFile(this.#company.config, 'utf8')
    const sample = config.split('\n').slice(2, 9)
    screen.say('', ...sample.map((line) => screen.dim(line)), screen.dim('  ...'))
  }

  async #plan(): Promise<Summary['plan']> {
    const screen = this.#screen
    screen.heading('kith plan: nothing is written yet')
    const meter = new Meter()
    const household = await Household.open({
      configFile: this.#company.config,
      // Nothing of the operator's own: a demo never touches a real database.
      env: { KITH_DATA: join(this.#company.dir, '.kith') },
      log: this.#log,
      apps: meter.apps,
      events: together(this.#journal.events, this.#news.events, this.#tally.events),
    })
    this.#household = household
    // Before the apps are reached, as kith start does.
    this.#edge = (await Edge.open(household, { metrics: new Metrics(), meter, log: this.#log })) ?? undefined
    await household.connect(undefined, this.#signal)
    const daemon = await this.#startDaemon(household, { leads: false, delivers: false })
    const { store, runtime } = this.#open
    await dryRun(household, daemon, { signal: this.#signal })
    this.#signal.throwIfAborted()
    await this.#stopDaemon()
    const { intents, undecided, unreadable, people, summary } = await readPlan(store)
    screen.say(
      `${count(this.#journal.heard, 'record')} are ${screen.strong(`${people} people`)}.`,
      `Where they differ the later value stands, and the other is kept: ${count(await lostIn(store), 'time')}.`,
      '',
    )
    await showPlan(screen, runtime.rules.catalogue, store, intents)
    if (undecided.length + unreadable.length > 0) screen.say('', 'Waits for a human:')
    await showUndecided(screen, store, [...undecided, ...unreadable], ({ connection, recordId }) => {
      const record = this.#accounts.get(connection)?.record(recordId)
      return record ? `${record.name} (${record.values.email ?? recordId})` : recordId
    })
    return summary
  }

  async #approve(): Promise<number> {
    this.#screen.heading('kith approve')
    const { household } = this.#open
    this.#journal.take()
    const started_ms = Date.now()
    const released = await approvePlan(household)
    this.#tally.planned = released
    const progress = new Progress(this.#tally)
    try {
      const daemon = await this.#startDaemon(household, { leads: false })
      await runToQuiet(daemon, { delivered: true, signal: this.#signal, onProgress: progress.show })
      this.#signal.throwIfAborted()
      await this.#stopDaemon()
    } finally {
      progress.end()
    }
    const written = this.#journal.deliveries.length
    this.#screen.say(
      `${count(released, 'write')} approved; ${written} made in ${duration(Date.now() - started_ms)}, those that followed from the answers among them.`,
    )
    this.#journal.take()
    return written
  }

  /** Workers that lead, the accounts' webhooks, the admin API, and the page. */
  async #goLive(): Promise<{ page: string; api: string }> {
    const { household, runtime, store } = this.#open
    const edge = this.#edge
    if (!edge) throw new Error("the demo's config serves no webhooks")
    // So that commands from another terminal know that somebody is at work.
    const lead = await takeLead(household, 'demo')
    if (lead.kind === 'theirs') throw new Error('another Kith is at work in the folder of the demo')
    this.#leave = lead.release
    const daemon = await this.#startDaemon(household, { leads: true, sweep_ms: SWEEP_MS })
    edge.attach(daemon)
    const admin = await AdminApi.open(household, this.#log)
    if (!admin) throw new Error("the demo's config serves no admin API")
    this.#admin = admin
    admin.attach(daemon)
    for (const account of this.#company.accounts) await account.follow(`${edge.url}/hooks/${account.name}`)
    const stories = new Stories(store, runtime.rules.catalogue, this.#company.accounts)
    const routes = pageRoutes({ accounts: this.#company.accounts, stories, news: this.#news })
    this.#page = await startServer({ host: '127.0.0.1', port: this.#options.port }, [routes])
    return { page: this.#page.url, api: `${admin.url}${API_PREFIX}` }
  }

  async #editMeanwhile(): Promise<Edit[]> {
    this.#screen.heading('People go on editing while Kith is not running')
    const edits = editsMeanwhile(this.#accounts)
    for (const edit of edits) {
      await pause(BETWEEN_MS)
      edit.make()
      this.#screen.say(`- ${edit.told}`)
    }
    return edits
  }

  async #editLive(lost: Summary['lost'][number][]): Promise<Edited[]> {
    this.#screen.heading('Edits while it runs: from the edit to the value in the other accounts')
    const all: Edited[] = []
    for (const edit of editsLive(this.#accounts)) {
      this.#screen.say(`- ${edit.told}`)
      const since_ms = Date.now()
      edit.make()
      all.push(...(await this.#arrivals([edit], lost, since_ms)))
    }
    return all
  }

  /** Waits until each edit is seen in the accounts themselves, and tells how, and why. */
  async #arrivals(edits: readonly Edit[], lost: Summary['lost'][number][], since_ms?: number): Promise<Edited[]> {
    const screen = this.#screen
    if (since_ms === undefined) screen.heading('kith start: what they led to')
    const { household, runtime, store } = this.#open
    const told: Edited[] = []
    for (const { told: words, arrivals } of edits) {
      const arrived = new Map<string, number>()
      while (arrived.size < arrivals.length) {
        for (const { account, is } of arrivals) if (!arrived.has(account) && is()) arrived.set(account, Date.now())
        if (arrived.size < arrivals.length) await pause(LOOK_MS, undefined, { signal: this.#signal })
      }
      const lines = arrivals.map(({ account, what }) => ({
        account,
        what,
        latency_ms: since_ms === undefined ? null : (arrived.get(account) ?? since_ms) - since_ms,
      }))
      for (const { account, what, latency_ms } of lines) {
        screen.say(
          `  ${fit(account, 12)} ${fit(what, 34)} ${screen.dim(latency_ms === null ? '' : duration(latency_ms))}`,
        )
      }
      told.push({ told: words, arrived: lines })
    }
    if (this.#daemon) await runToQuiet(this.#daemon, { delivered: true, reads: false, signal: this.#signal })
    const happenings = this.#journal.take()
    const names = await namesOf(
      household.store,
      happenings.map(({ personId }) => personId),
    )
    for (const happening of happenings) {
      lost.push(...losersOf(happening).map((loser) => ({ ...loser, person: names.get(happening.personId) ?? '' })))
    }
    await showHappenings(screen, runtime.rules.catalogue, store, happenings, (edit) => since_ms ?? edit.heard_ms)
    return told
  }

  async #agree(): Promise<Agreement> {
    const screen = this.#screen
    screen.heading('Do they agree? Every account is read anew')
    const { household, runtime } = this.#open
    const agreement = await compareAll(household, runtime, this.#signal)
    agreementTable(screen, agreement)
    const { people, everywhere, agrees } = agreement
    const rest = people - everywhere
    screen.say(
      '',
      agrees
        ? screen.good(`Every field of ${people} people agrees; ${everywhere} of them are in all five accounts.`)
        : screen.warn('The accounts do not agree.'),
    )
    if (rest > 0)
      screen.say(screen.dim(`The other ${rest} have no e-mail address for the newsletter, or wait for a human.`))
    return agreement
  }

  /** What is there once the plan is made. */
  get #open(): { household: Household; runtime: Runtime; store: Store } {
    const household = this.#household
    const runtime = this.#runtime
    if (!household || !runtime) throw new Error('the demo has not opened its household yet')
    return { household, runtime, store: household.store }
  }

  async #startDaemon(household: Household, options: DaemonOptions): Promise<Daemon> {
    this.#signal.throwIfAborted()
    const daemon = await Daemon.start(household, options)
    this.#daemon = daemon
    this.#runtime = daemon.runtime
    return daemon
  }

  async #stopDaemon(): Promise<void> {
    const daemon = this.#daemon
    this.#daemon = undefined
    await daemon?.stop()
  }
}

async function lostIn(store: Store): Promise<number> {
  return (await store.log({ limit: 2000 })).filter((entry) => entry.kind === 'lost').length
}
