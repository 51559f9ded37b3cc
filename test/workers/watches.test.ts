import { beforeEach, expect, test } from '@jest/globals'
import type { Json } from '../../engine/core/json.ts'
import type { Announced, Inbox } from '../../engine/core/ports/inbox.ts'
import type { Connector, Listener } from '../../engine/core/ports/connector.ts'
import { Announcer } from '../../workers/announcer.ts'
import type { Connected } from '../../workers/connect.ts'
import { listeningTo, Watches } from '../../workers/watches.ts'
import { PlainInbox, remembered } from '../server/desk.ts'
import { until } from '../support/kithProcess.ts'

/** A connector that can only be watched. */
class Watchable {
  hint: (() => void) | undefined
  listener: Listener | undefined
  stopped = 0
  readonly #fails: boolean

  constructor(fails = false) {
    this.#fails = fails
  }

  watch: Connector['watch'] = async (hint, listener) => {
    if (this.#fails) throw new Error('no such folder')
    this.hint = hint
    this.listener = listener
    return async () => void this.stopped++
  }
}

let connected: Connected[]
let facts: Map<string, Json>
let told: ReturnType<typeof remembered>
let inbox: Inbox
let taken: object[]
let woken: string[]
let watches: Watches

const crm = (connector: object, more: object = {}): Connected =>
  ({ config: { name: 'crm', mode: 'live' }, connector, rules: {}, ...more }) as unknown as Connected

beforeEach(() => {
  connected = []
  facts = new Map()
  told = remembered()
  taken = []
  inbox = Object.assign(new PlainInbox(), {
    take: async ({ connection, eventIds, records }: Announced) => taken.push({ connection, eventIds, records }) > 0,
  })
  woken = []
  watches = watching()
})

function watching(): Watches {
  const announcer = new Announcer(inbox)
  const wakePull = async (connection: string): Promise<void> => void woken.push(`pull ${connection}`)
  announcer.attach({ wakePull, wakeAnnounced: (connection) => void woken.push(`read ${connection}`) })
  const store = {
    getFact: async (name: string) => facts.get(name) ?? null,
    setFact: async (name: string, value: Json) => void facts.set(name, value),
  }
  return new Watches({ connected: () => connected, store, announcer, wakePull, log: told.log, now: () => 1000 })
}

test('a connector is watched once; another in its place is watched instead of it', async () => {
  const [first, second] = [new Watchable(), new Watchable()]
  connected = [crm(first)]
  await Promise.all([watches.refresh(), watches.refresh()])
  first.hint?.()
  expect([woken, first.stopped]).toEqual([['pull crm'], 0])
  connected = [crm(second)]
  await watches.refresh()
  expect([first.stopped, second.stopped]).toEqual([1, 0])
  await watches.stop()
  await watches.refresh()
  expect([first.stopped, second.stopped]).toEqual([1, 1])
})

test('one that is paused by the config, cannot be mapped or has nothing to announce is left alone', async () => {
  const watchable = new Watchable()
  for (const one of [
    crm(watchable, { config: { name: 'crm', mode: 'paused' } }),
    crm(watchable, { rules: null }),
    crm({}),
  ]) {
    connected = [one]
    await watches.refresh()
  }
  expect(watchable.hint).toBeUndefined()
})

test('what cannot be watched is told to the log, and keeps nobody from being watched', async () => {
  const other = new Watchable()
  connected = [crm(new Watchable(true)), { ...crm(other), config: { name: 'desk', mode: 'live' } } as Connected]
  await watches.refresh()
  expect(told.lines.join()).toContain('no such folder')
  expect(other.hint).toBeDefined()
})

test('records that are named are kept and read; the place to go on from outlives the process', async () => {
  const one = new Watchable()
  connected = [crm(one)]
  await watches.refresh()
  await one.listener?.changed(['42'])
  expect([taken, woken]).toEqual([[{ connection: 'crm', eventIds: [], records: ['42'] }], ['read crm']])
  await one.listener?.keep({ at: 7 })
  await watches.stop()
  const next = new Watchable()
  connected = [crm(next)]
  const later = watching()
  await later.refresh()
  expect(await next.listener?.place()).toEqual({ at: 7 })
  await later.stop()
})

test('how listening stands is noted while somebody listens, and forgotten when nobody does', async () => {
  const one = new Watchable()
  const standing = () => listeningTo({ getFact: async (name) => facts.get(name) ?? null }, 'crm')
  connected = [crm(one)]
  await watches.refresh()
  expect(await standing()).toBeNull()
  one.listener?.stands({ kind: 'auth', message: 'the session is refused', advice: 'sign in again' })
  one.listener?.stands(null)
  one.listener?.stands({ kind: 'transient', message: 'no answer' })
  await until(async () => (await standing())?.failure?.kind === 'transient', 'the last word', 5000)
  expect(await standing()).toEqual({ since_ms: 1000, failure: { kind: 'transient', message: 'no answer' } })
  await watches.stop()
  expect(await standing()).toBeNull()
})
