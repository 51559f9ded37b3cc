import { MemoryApp } from '../../connectors/memory/app.ts'
import { memory, memoryApps } from '../../connectors/memory/index.ts'
import { keep, PLAIN, type Quirks } from '../../connectors/memory/quirks.ts'
import type { JsonObject } from '../../engine/core/json.ts'
import { FAULTS, type Harness, type World } from './harness.ts'

const NAMES = ['Ada', 'Żółć', 'Søren', '李', 'Jean-Luc', "D'Arcy", 'محمد']

/** Made-up contacts in several flavours. */
export function sample(n: number): JsonObject {
  return {
    given: `${NAMES[n % NAMES.length]} ${n}`,
    family: n % 3 === 1 ? 'von und zu' : 'Lovelace',
    organisation: n % 2 === 0 ? 'Analytical Engines' : null,
    note: n % 4 === 2 ? 'two\nlines' : 'one line',
    emails: [{ value: `Person.${n}@Example.org`, label: 'work', pref: true }, { value: `p${n}@example.net` }],
    phones: n % 2 === 0 ? [{ value: `+49 30 ${1000000 + n}`, label: 'cell' }] : null,
    tags: n % 5 === 0 ? null : [{ value: 'Friend' }, { value: `N${n}` }],
  }
}

let worlds = 0

/** A memory app with these quirks, and its faults at hand. */
export function memoryHarness(quirks: Partial<Quirks>): Harness {
  const all = { ...PLAIN, page_max: 10, ...quirks }
  const { deletes, hints, createKey, precondition, times, archive, erase } = all
  const { readBatch_max, writeBatch_max, writes_concurrent_max } = all
  return {
    capabilities: {
      deletes,
      hints,
      createKey,
      precondition,
      times,
      archive,
      erase,
      readBatch_max,
      writeBatch_max,
      writes_concurrent_max,
      create: true,
      delete: true,
      merge: true,
    },
    faults: deletes === 'feed' ? FAULTS : FAULTS.filter((fault) => fault !== 'expireCursor'),
    sample,
    editable: 'title',
    bystander: 'given',
    multiline: 'note',
    many: 35,
    secrets: [],
    merges: true,
    unique: all.uniqueEmails,
    kept: (fields) =>
      Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, keep(name, value, all.rewrite)])),
    refused: () => ({ ...sample(1), emails: [{ value: 'no address at all' }], note: 'a private word' }),
    start: async () => start(all),
  }
}

function start(quirks: Quirks): World {
  worlds += 1
  let clock_ms = 1_000_000
  const app = new MemoryApp({ name: `world-${worlds}`, now: () => (clock_ms += 1), quirks })
  memoryApps.set(app.name, app)
  return {
    connector: memory.connect({ name: app.name }, { connection: 'crm', baseDir: '.', now: () => clock_ms }),
    human: {
      add: (fields) => app.add(fields),
      edit: (id, fields) => app.edit(id, fields),
      remove: (id) => app.remove(id),
      bin: () => app.archived(),
      merge: (loser, winner) => app.merge(loser, winner),
      list: () => [...app.all()].map(({ id, fields }) => ({ id, fields })),
    },
    faults: {
      loseNextAnswer: () => app.faults.next({ kind: 'lost' }),
      rateLimit: (retryAfter_ms) =>
        app.faults.next(retryAfter_ms === undefined ? { kind: 'ratelimit' } : { kind: 'ratelimit', retryAfter_ms }),
      serverError: () => app.faults.next({ kind: 'unavailable' }),
      partialFailure: () => app.faults.next({ kind: 'partial' }),
      refuseCredentials: () => void (app.revoked = true),
      ...(quirks.deletes === 'feed' ? { expireCursor: () => app.expireCursors() } : {}),
      truncateListing: () => app.faults.next({ kind: 'cut' }),
      breakRecord: (id) => {
        app.breakRecord(id)
        return () => app.breakRecord(id, true)
      },
    },
    clear: () => {
      app.faults.clear()
      app.revoked = false
    },
    settle: () => {
      clock_ms += Math.max(quirks.feedLag.time_ms, quirks.searchLag.time_ms)
      app.calls += Math.max(quirks.feedLag.calls, quirks.searchLag.calls)
    },
    ...(quirks.deletes === 'feed' ? { calls: () => app.calls } : {}),
    stop: async () => void memoryApps.delete(app.name),
  }
}
