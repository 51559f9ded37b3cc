import { z } from 'zod'
import type { App } from '../connectors/app.ts'
import type { Json, JsonObject } from '../engine/core/json.ts'
import type {
  AppRecord,
  Capabilities,
  ConnectionReport,
  Connector,
  FeedPage,
  ReadAnswer,
  WriteOutcome,
  WriteRequest,
} from '../engine/core/ports/connector.ts'
import { memoryFields } from './people.ts'

/**
 * An app that holds nothing: it makes its records up when they are read, and forgets what is written as soon as it has answered.
 * So the memory of the process is Kith's alone, however many people there are.
 */
const options = z.strictObject({ name: z.string(), people: z.int().min(0) })

/** Its fields are the memory app's. */
export const HOLLOW_MAPPING: JsonObject = {
  app: 'hollow',
  fields: {
    'name.given': 'given',
    'name.family': 'family',
    organisation: 'organisation',
    title: 'title',
    note: 'note',
    emails: 'emails',
    phones: 'phones',
  },
}

const PAGE = 100

const CAPABILITIES: Capabilities = {
  deletes: 'feed',
  hints: false,
  createKey: 'id',
  precondition: true,
  times: 'none',
  readBatch_max: 100,
  writeBatch_max: 100,
  writes_concurrent_max: 2,
  archive: false,
  create: true,
  delete: true,
}

export const hollow: App<z.infer<typeof options>> = {
  name: 'hollow',
  title: 'Hollow (for the bench)',
  options,
  secrets: [],
  account: ({ name }) => `hollow:${name}`,
  connect: ({ people }) => new Hollow(people),
}

class Hollow implements Connector {
  readonly app = 'hollow'
  readonly capabilities = CAPABILITIES
  readonly #people: number

  constructor(people: number) {
    this.#people = people
  }

  async check(): Promise<ConnectionReport> {
    const names = Object.keys(memoryFields(0))
    const fields = names.map((name) => ({
      name,
      type: Array.isArray(memoryFields(0)[name]) ? 'list' : 'text',
      writable: true,
    }))
    return { summary: `${this.#people} people`, fields, warnings: [] }
  }

  async *pull(cursor: Json | null): AsyncGenerator<FeedPage> {
    if (cursor === null) {
      for (let start = 0; start < this.#people; start += PAGE) {
        const length = Math.min(PAGE, this.#people - start)
        yield {
          sightings: Array.from(
            { length },
            (_, index) => ({ kind: 'record', record: recordOf(start + index) }) as const,
          ),
          inventory: { complete: false },
        }
      }
      yield { sightings: [], cursor: 'read', inventory: { complete: true } }
      return
    }
    yield { sightings: [], cursor }
  }

  async read(ids: readonly string[]): Promise<ReadAnswer[]> {
    return ids.map((id) => ({ kind: 'record', record: recordOf(Number(id)) }))
  }

  async write(requests: readonly WriteRequest[]): Promise<WriteOutcome[]> {
    return requests.map((request) => {
      const { ref } = request
      if (request.op === 'delete') return { ref, kind: 'deleted', id: request.id }
      const id = request.op === 'create' ? request.key : request.id
      return { ref, kind: 'written', record: { id, rev: '1', fields: request.fields satisfies JsonObject } }
    })
  }

  async close(): Promise<void> {}
}

function recordOf(n: number): AppRecord {
  return { id: String(n), rev: '1', fields: memoryFields(n) }
}
