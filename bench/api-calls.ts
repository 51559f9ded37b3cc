import { LIMITS as HUBSPOT } from '../connectors/hubspot/wire.ts'
import { LIMITS as MAILCHIMP } from '../connectors/mailchimp/wire.ts'
import { approvePlan } from '../workers/approve.ts'
import { runToQuiet } from '../workers/quiet.ts'
import { openAccounts, type ApiCall, type BenchAccount } from './accounts.ts'
import { openHouse, type House } from './house.ts'
import type { Figure, Finding, Table } from './report.ts'

/**
 * (g) Calls of the vendors' APIs: the first sync of everybody in a Salesforce org into an empty HubSpot, Mailchimp, Google and
 * Zendesk, planned, approved and sent as an operator does it; then passes in which nothing has changed. Counted at the
 * accounts, whoever made the call; signing in and the look at the account when a connection is opened are left out.
 */
export interface CallsOptions {
  readonly people: number
}

const GOAL = 1.02
const MINUTE_MS = 60_000
/** Rows that Salesforce puts into one page of a query. */
const QUERY_PAGE = 2000
/** Users that Zendesk takes in one job. The job's answer is another call, and names ids only: what Zendesk made of the users is a third. */
const ZENDESK_BATCH = 100
const GOOGLE_BATCH = 200

/** The least calls of a first sync, by app: what stands there is listed, and everybody else is created. */
const LEAST: { readonly [app: string]: (people: number) => { readonly reads: number; readonly writes: number } } = {
  salesforce: (people) => ({ reads: pages(people, QUERY_PAGE), writes: 0 }),
  hubspot: (people) => ({ reads: 1, writes: pages(people, HUBSPOT.batch_max) }),
  mailchimp: (people) => ({ reads: 1, writes: pages(people, MAILCHIMP.batch_max) }),
  google: (people) => ({ reads: 1, writes: pages(people, GOOGLE_BATCH) }),
  zendesk: (people) => ({ reads: 1, writes: 3 * pages(people, ZENDESK_BATCH) }),
}

export async function apiCalls({ people }: CallsOptions): Promise<Finding> {
  const company = await openAccounts()
  try {
    for (let n = 0; n < people; n++) company.addPerson(n)
    const connections = Object.fromEntries(
      company.accounts.map(({ name, options }) => [name, { app: name, ...options }]),
    )
    const house = await openHouse({ connections, apps: company.apps, approved: false })
    try {
      const calls = new CallCounter(company.accounts)
      await runToQuiet(house.daemon, { delivered: false })
      const planning = calls.take()
      await approvePlan(house.household)
      for (const { name } of company.accounts) await house.daemon.queues.wakeDeliver(name)
      await runToQuiet(house.daemon, { delivered: true, reads: false })
      const sending = calls.take()
      const there = await linkedIn(house)
      // The echo of our own writes is heard once, when the apps' indexes have come round to it.
      company.pass(20 * MINUTE_MS)
      await house.quiet()
      const echo = calls.take()
      company.pass(5 * MINUTE_MS)
      await house.quiet()
      const still = calls.take()
      return report(people, { planning, sending, echo, still }, there)
    } finally {
      await house.close()
    }
  } finally {
    await company.close()
  }
}

interface Phases {
  readonly planning: Calls
  readonly sending: Calls
  readonly echo: Calls
  readonly still: Calls
}

/** Calls by app and by kind. */
type Calls = ReadonlyMap<string, ReadonlyMap<string, number>>

/** Takes what came in at the accounts since it was last asked. */
class CallCounter {
  readonly #accounts: readonly BenchAccount[]
  #seen: ReadonlyMap<string, number>

  constructor(accounts: readonly BenchAccount[]) {
    this.#accounts = accounts
    this.#seen = this.#lengths()
  }

  take(): Calls {
    const taken = this.#accounts.map(({ name, calls }) => {
      const kinds = new Map<string, number>()
      for (const call of calls().slice(this.#seen.get(name)))
        kinds.set(kindOf(call), (kinds.get(kindOf(call)) ?? 0) + 1)
      return [name, kinds] as const
    })
    this.#seen = this.#lengths()
    return new Map(taken)
  }

  #lengths(): ReadonlyMap<string, number> {
    return new Map(this.#accounts.map(({ name, calls }) => [name, calls().length]))
  }
}

/** The call without what names one record, job or page. */
function kindOf({ method, path }: ApiCall): string {
  const parts = path.split('/').map((part) => (/\d.*\d/.test(part) && !/^v\d/.test(part) ? '{id}' : part))
  return `${method} ${parts.join('/')}`
}

function sum(calls: Calls, app: string): number {
  return [...(calls.get(app)?.values() ?? [])].reduce((all, count) => all + count, 0)
}

/** How many people have a record there by now. */
async function linkedIn({ household }: House): Promise<ReadonlyMap<string, number>> {
  const counts = await household.store.counts()
  return new Map([...counts].map(([name, { linked }]) => [name, linked]))
}

function report(people: number, phases: Phases, there: ReadonlyMap<string, number>): Finding {
  const figures = Object.entries(LEAST).flatMap(([app, leastOf]): Figure[] => {
    const { reads, writes } = leastOf(people)
    const made = sum(phases.planning, app) + sum(phases.sending, app)
    const least = reads + writes
    const remark = `${made} calls, the least is ${least} (${reads} to read, ${writes} to write); ${there.get(app) ?? 0} there`
    return [
      { what: `${app}: first sync`, value: made / least, unit: 'of the least', goal: { most: GOAL }, remark },
      { what: `${app}: a pass without changes`, value: sum(phases.still, app), unit: 'calls', goal: { most: 1 } },
    ]
  })
  const rows = Object.entries(phases).flatMap(([phase, calls]: [string, Calls]) =>
    [...calls].flatMap(([app, kinds]) => [...kinds].map(([kind, count]) => [app, phase, kind, count])),
  )
  const byApp = rows.toSorted((a, b) => String(a[0]).localeCompare(String(b[0])))
  const table: Table = { title: 'Calls by kind', headings: ['app', 'phase', 'call', 'count'], rows: byApp }
  return { title: `(g) API calls, ${people} people from Salesforce into four empty apps`, figures, tables: [table] }
}

function pages(people: number, size: number): number {
  return Math.ceil(people / size)
}
