import { expect, test } from '@jest/globals'
import { FailureError } from '../../engine/core/failure.ts'
import type { Connector, FeedPage } from '../../engine/core/ports/connector.ts'
import type { Harness } from './harness.ts'
import { memoryHarness } from './memory.ts'
import { findingsOf } from './suite.ts'

/** The memory connector with some of its methods replaced by worse ones. */
function spoilt(spoil: (honest: Connector) => Partial<Connector>, harness: Harness = memoryHarness({})): Harness {
  return {
    ...harness,
    start: async () => {
      const world = await harness.start()
      const honest = world.connector
      const bound: Connector = {
        app: honest.app,
        capabilities: honest.capabilities,
        check: (signal) => honest.check(signal),
        pull: (cursor, signal) => honest.pull(cursor, signal),
        read: (ids, signal) => honest.read(ids, signal),
        write: (requests, signal) => honest.write(requests, signal),
        ...(honest.merge
          ? {
              merge: (request, signal) =>
                (honest.merge as NonNullable<Connector['merge']>).call(honest, request, signal),
            }
          : {}),
        close: () => honest.close(),
      }
      return { ...world, connector: { ...bound, ...spoil(honest) } }
    },
  }
}

async function* mapPages(pages: AsyncIterable<FeedPage>, map: (page: FeedPage) => FeedPage): AsyncGenerator<FeedPage> {
  for await (const page of pages) yield map(page)
}

const LIES: readonly (readonly [string, Harness])[] = [
  [
    'claims that every page completes the inventory',
    spoilt((honest) => ({
      pull: (cursor, signal) =>
        mapPages(honest.pull(cursor, signal), (page) =>
          page.inventory ? { ...page, inventory: { complete: true } } : page,
        ),
    })),
  ],
  [
    'claims that a listing cut short was complete',
    spoilt((honest) => ({
      async *pull(cursor, signal) {
        let last: FeedPage | undefined
        for await (const page of honest.pull(cursor, signal)) {
          if (last) yield last
          last = page
        }
        if (last) yield last.inventory ? { ...last, inventory: { complete: true } } : last
      },
    })),
  ],
  [
    'leaves deletions out of the feed',
    spoilt((honest) => ({
      pull: (cursor, signal) =>
        mapPages(honest.pull(cursor, signal), (page) => ({
          ...page,
          sightings: page.sightings.filter(({ kind }) => kind !== 'gone'),
        })),
    })),
  ],
  [
    'ignores the revision of an update',
    spoilt((honest) => ({
      write: (requests) =>
        honest.write(requests.map((request) => (request.op === 'update' ? { ...request, rev: null } : request))),
    })),
  ],
  [
    'deletes over an older revision',
    spoilt((honest) => ({
      write: (requests) =>
        honest.write(requests.map((request) => (request.op === 'delete' ? { ...request, rev: null } : request))),
    })),
  ],
  [
    'makes a new record of a repeated create',
    spoilt((honest) => {
      let times = 0
      return {
        write: (requests) =>
          honest.write(
            requests.map((request) =>
              request.op === 'create' ? { ...request, key: `${request.key}-${(times += 1)}` } : request,
            ),
          ),
      }
    }),
  ],
  [
    'calls a lost answer transient',
    spoilt((honest) => ({
      write: async (requests) => {
        const outcomes = await honest.write(requests)
        return outcomes.map((outcome) =>
          outcome.kind === 'failed' && outcome.failure.kind === 'uncertain'
            ? { ...outcome, failure: { ...outcome.failure, kind: 'transient' } }
            : outcome,
        )
      },
    })),
  ],
  [
    'throws when an answer is lost',
    spoilt((honest) => ({
      write: async (requests) => {
        const outcomes = await honest.write(requests)
        for (const outcome of outcomes) {
          if (outcome.kind === 'failed' && outcome.failure.kind === 'uncertain') throw new FailureError(outcome.failure)
        }
        return outcomes
      },
    })),
  ],
  [
    'answers a write with what was sent, not with what the app holds',
    spoilt(
      (honest) => ({
        write: async (requests) => {
          const outcomes = await honest.write(requests)
          return outcomes.map((outcome, at) => {
            const request = requests[at]
            if (outcome.kind !== 'written' || !request || request.op === 'delete') return outcome
            return {
              ...outcome,
              record: { ...outcome.record, fields: { ...outcome.record.fields, ...request.fields } },
            }
          })
        },
      }),
      memoryHarness({ rewrite: { emails: 'lower' } }),
    ),
  ],
  [
    'answers a write with another revision than readers see',
    spoilt((honest) => ({
      write: async (requests) => {
        const outcomes = await honest.write(requests)
        return outcomes.map((outcome) =>
          outcome.kind === 'written' ? { ...outcome, record: { ...outcome.record, rev: 'made up' } } : outcome,
        )
      },
    })),
  ],
  [
    'blanks the fields that an update does not name',
    spoilt((honest) => ({
      write: (requests) =>
        honest.write(
          requests.map((request) =>
            request.op === 'update' ? { ...request, fields: { given: null, ...request.fields } } : request,
          ),
        ),
    })),
  ],
  [
    'forgets where it was: the last cursor skips what changed meanwhile',
    spoilt((honest) => ({
      async *pull(cursor, signal) {
        yield* mapPages(honest.pull(cursor, signal), ({ cursor: next, ...page }) =>
          next === undefined ? page : { ...page, cursor: { ...(next as object), seq: 1_000_000 } },
        )
      },
    })),
  ],
  [
    'hides refused credentials',
    spoilt((honest) => ({ read: (ids, signal) => honest.read(ids, signal).catch(() => []) })),
  ],
  [
    'tells of an absence that it has not seen',
    spoilt((honest) => ({
      read: async (ids, signal) =>
        (await honest.read(ids, signal)).map((answer) =>
          answer.kind === 'broken' ? { kind: 'gone', id: answer.id } : answer,
        ),
    })),
  ],
  [
    'fails a whole batch for one bad record',
    spoilt((honest) => ({
      write: async (requests) => {
        const outcomes = await honest.write(requests)
        const bad = outcomes.find(({ kind }) => kind === 'failed')
        if (bad?.kind === 'failed' && bad.failure.kind === 'gone') throw new FailureError(bad.failure)
        return outcomes
      },
    })),
  ],
  [
    'leaves a timer behind',
    spoilt((honest) => {
      let timer: NodeJS.Timeout | undefined
      return {
        watch: async () => {
          timer = setInterval(() => undefined, 1000)
          return async () => undefined
        },
        close: async () => {
          // Ends by itself once the suite has had time to notice.
          setTimeout(() => clearInterval(timer), 3000).unref()
          await honest.close()
        },
      }
    }),
  ],
]

test('the suite finds nothing wrong with an honest connector behind the same wrapping', async () => {
  expect(await findingsOf(spoilt(() => ({})))).toEqual([])
})

test.each(LIES)('the suite notices a connector that %s', async (_, harness) => {
  expect(await findingsOf(harness)).not.toEqual([])
})
