import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Catalogue } from '../../../engine/core/catalogue.ts'
import type { Store } from '../../../engine/core/ports/store.ts'
import { approvePlan } from '../../../workers/approve.ts'
import { Daemon, type DaemonOptions } from '../../../workers/daemon.ts'
import { dryRun } from '../../../workers/dry-run.ts'
import { Household } from '../../../workers/household.ts'
import { runToQuiet } from '../../../workers/quiet.ts'
import type { Runtime } from '../../../workers/runtime.ts'
import { compareAll, type Agreement } from '../agreement.ts'
import { EDITS_LIVE, EDITS_MEANWHILE } from './edits.ts'
import { editsOf, Journal, losersOf, type FieldEdit, type Happening, type Loser } from '../journal.ts'
import { fileLog } from '../log.ts'
import { readPlan, type PlanSummary } from '../planned.ts'
import { PLACES } from './people.ts'
import { closePlaces, listCards, makePlaces, PASSWORD, USERNAME, type Places } from './places.ts'
import { count, duration, fit, type Screen } from '../screen.ts'
import { namesOf, showAgreement, showHappenings, showPlan, showUndecided } from '../show.ts'
import { watchChanges } from '../watch.ts'

/** How often the daemon looks who is due: the server is asked every second. */
const SWEEP_MS = 250
/** Watching, changes are shown together when nothing more has happened for this long. */
const REST_MS = 120

/** What `kith demo --json` prints. */
export interface Summary {
  readonly dir: string
  readonly files: { readonly config: string; readonly sheet: string; readonly phone: string; readonly office: string }
  readonly server: { readonly url: string; readonly username: string; readonly password: string }
  readonly plan: PlanSummary
  readonly agreement: Agreement
  readonly edits: readonly (FieldEdit & { readonly person: string; readonly latency_ms: number | null })[]
  readonly lost: readonly (Loser & { readonly person: string })[]
  readonly elapsed_ms: number
}

/** The demo from the first sample to the last edit, on the engine's own parts. Owns what it starts: `close` ends it. */
export class Demo {
  readonly #screen: Screen
  readonly #signal: AbortSignal
  readonly #journal = new Journal()
  readonly #places: Places
  readonly #started_ms = Date.now()
  #household: Household | undefined
  #daemon: Daemon | undefined
  #runtime: Runtime | undefined

  static async start(dir: string, screen: Screen, signal: AbortSignal): Promise<Demo> {
    return new Demo(await makePlaces(dir), screen, signal)
  }

  private constructor(places: Places, screen: Screen, signal: AbortSignal) {
    this.#places = places
    this.#screen = screen
    this.#signal = signal
  }

  async close(): Promise<void> {
    await this.#daemon?.stop()
    await this.#household?.close()
    await closePlaces(this.#places)
  }

  async run(): Promise<Summary> {
    await this.#introduce()
    const plan = await this.#plan()
    await this.#approve()
    await this.#agree()
    const edits = [...(await this.#editMeanwhile()), ...(await this.#editLive())]
    const agreement = await this.#agree()
    const { dir, config, sheet, phone, office, server } = this.#places
    await this.#places.mirror.flush()
    return {
      dir,
      files: { config, sheet, phone, office },
      server: { url: server.bookUrl, username: USERNAME, password: PASSWORD },
      plan,
      agreement,
      edits: edits.flatMap((item) => item.edits),
      lost: edits.flatMap((item) => item.lost),
      elapsed_ms: Date.now() - this.#started_ms,
    }
  }

  /** What people can do next, while it watches. */
  showTurn(screen: Screen): void {
    const { sheet, phone, office, server } = this.#places
    screen.heading('Your turn')
    screen.say(
      'Edit any of these with any program, and save. Changes appear below; Ctrl-C ends it.',
      '',
      `sheet   ${sheet}`,
      `phone   ${phone}`,
      `office  ${office}`,
      screen.dim(`        or with a CardDAV program: ${server.bookUrl}`),
      screen.dim(`        user ${USERNAME}, password ${PASSWORD}`),
      '',
    )
  }

  /** Shows every change as it happens, until the signal. */
  async watch(): Promise<void> {
    const { store, catalogue } = this.#open
    const [journal, screen] = [this.#journal, this.#screen]
    await watchChanges({ journal, store, catalogue, screen, rest_ms: REST_MS, gone: new Set() }, this.#signal)
  }

  async #introduce(): Promise<void> {
    const { dir, server } = this.#places
    const screen = this.#screen
    const sheet = (await readFile(this.#places.sheet, 'utf8')).trimEnd().split('\r\n').length - 1
    const phone = (await listCards(this.#places.phone)).length
    screen.heading('The same people in three places')
    screen.say(
      `${fit('sheet', 8)}${fit('contacts.csv', 15)}${fit(count(sheet, 'row'), 10)}kept by hand in a spreadsheet`,
      `${fit('phone', 8)}${fit('phone/', 15)}${fit(count(phone, 'file'), 10)}a phone's export, one vCard each`,
      `${fit('office', 8)}${fit('office/', 15)}${fit(count(server.cards.size, 'card'), 10)}an address book on a CardDAV server that the demo runs`,
      '',
      `In ${screen.strong(dir)}`,
    )
    screen.heading('kith.yaml, all of it')
    const config = await readFile(this.#places.config, 'utf8')
    screen.say(
      ...config
        .trimEnd()
        .split('\n')
        .map((line) => screen.dim(line)),
    )
  }

  async #plan(): Promise<Summary['plan']> {
    const screen = this.#screen
    screen.heading('kith plan: nothing is written yet')
    const household = await Household.open({
      configFile: this.#places.config,
      // Nothing of the operator's own: a demo never touches a real database.
      env: { KITH_DATA: join(this.#places.dir, '.kith') },
      log: fileLog(this.#places.dir),
      events: this.#journal.events,
    })
    this.#household = household
    await household.connect(undefined, this.#signal)
    const daemon = await this.#startDaemon(household, { leads: false, delivers: false })
    const { store, catalogue } = this.#open
    await dryRun(household, daemon, { signal: this.#signal })
    this.#signal.throwIfAborted()
    await this.#stopDaemon()
    const { intents, undecided, unreadable, people, summary } = await readPlan(store)
    const lost = (await store.log({ limit: 1000 })).filter((entry) => entry.kind === 'lost').length
    screen.say(
      `${count(this.#journal.heard, 'record')} are ${screen.strong(`${people} people`)}.`,
      `Where they differ the later value stands, and the other is kept: ${count(lost, 'time')}.`,
      '',
    )
    await showPlan(screen, catalogue, store, intents)
    screen.say('')
    await showUndecided(screen, store, [...undecided, ...unreadable])
    return summary
  }

  async #approve(): Promise<void> {
    this.#screen.heading('kith approve')
    const { household } = this.#open
    this.#journal.take()
    const started_ms = Date.now()
    const released = await approvePlan(household)
    const daemon = await this.#startDaemon(household, { leads: false })
    await runToQuiet(daemon, { delivered: true, signal: this.#signal })
    this.#signal.throwIfAborted()
    await this.#stopDaemon()
    const written = this.#journal.deliveries.length
    this.#screen.say(`${written} of ${released} writes made in ${duration(Date.now() - started_ms)}.`)
    this.#journal.take()
  }

  async #agree(): Promise<Agreement> {
    this.#screen.heading('Do they agree? Every place is read anew')
    const { household, runtime } = this.#open
    const agreement = await compareAll(household, runtime, this.#signal)
    showAgreement(this.#screen, agreement)
    return agreement
  }

  async #editMeanwhile(): Promise<Edited[]> {
    const screen = this.#screen
    screen.heading('People go on editing while Kith is not running')
    for (const edit of EDITS_MEANWHILE) {
      await edit.make(this.#places)
      screen.say(`- ${edit.told}`)
    }
    screen.heading('kith start: what each edit led to')
    const { household, store, catalogue } = this.#open
    const started_ms = Date.now()
    const daemon = await this.#startDaemon(household, { leads: true, sweep_ms: SWEEP_MS })
    const ready_ms = Date.now()
    await runToQuiet(daemon, { delivered: true, signal: this.#signal })
    this.#signal.throwIfAborted()
    const happenings = this.#journal.take()
    await showHappenings(screen, catalogue, store, happenings, () => ready_ms)
    screen.say('', screen.dim(`The workers were up after ${duration(ready_ms - started_ms)}; times count from there.`))
    return [await this.#summed(happenings, () => null)]
  }

  async #editLive(): Promise<Edited[]> {
    const screen = this.#screen
    screen.heading('Edits while it runs: from the save to the last write elsewhere')
    const { store, catalogue } = this.#open
    const all: Edited[] = []
    for (const edit of EDITS_LIVE) {
      const [person] = await store.searchPeople(edit.email, 1)
      screen.say(`- ${edit.told}`)
      this.#journal.take()
      await edit.make(this.#places)
      const saved_ms = Date.now()
      const others = PLACES.filter((place) => place !== edit.place)
      await this.#journal.until(
        ({ deliveries }) =>
          others.every((place) =>
            deliveries.some(({ intent }) => intent.personId === person?.id && intent.connection === place),
          ),
        this.#signal,
      )
      const happenings = this.#journal.take()
      await showHappenings(screen, catalogue, store, happenings, () => saved_ms)
      all.push(await this.#summed(happenings, () => saved_ms))
    }
    return all
  }

  async #summed(happenings: readonly Happening[], since: (edit: FieldEdit) => number | null): Promise<Edited> {
    const names = await namesOf(
      this.#open.store,
      happenings.map((happening) => happening.personId),
    )
    const named = <T>(happening: { personId: string }, items: readonly T[]): (T & { person: string })[] =>
      items.map((item) => ({ ...item, person: names.get(happening.personId) ?? '' }))
    const edits = happenings.flatMap((happening) => named(happening, editsOf(happening)))
    return {
      lost: happenings.flatMap((happening) => named(happening, losersOf(happening))),
      edits: edits.map((edit) => {
        const since_ms = since(edit)
        return {
          ...edit,
          latency_ms: since_ms === null || edit.written_ms === null ? null : edit.written_ms - since_ms,
        }
      }),
    }
  }

  /** What is there once the plan is made. */
  get #open(): { household: Household; runtime: Runtime; store: Store; catalogue: Catalogue } {
    const household = this.#household
    const runtime = this.#runtime
    if (!household || !runtime) throw new Error('the demo has not opened its household yet')
    return { household, runtime, store: household.store, catalogue: runtime.rules.catalogue }
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

interface Edited {
  readonly edits: Summary['edits']
  readonly lost: Summary['lost']
}
