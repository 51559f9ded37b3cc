import { z } from 'zod'
import type { Intent } from '../../engine/core/ports/store.ts'
import {
  approvable,
  approvePlan,
  brakeHolds,
  isApproved,
  planStanding,
  prepareApproval,
  releaseBrakes,
  waitingForApproval,
} from '../../workers/approve.ts'
import {
  BrakeDocument,
  brakeDocument,
  OperationDocument,
  operationDocument,
  OpWord,
  PlanDocument,
  planDocument,
} from '../../workers/documents/plan.ts'
import { dryRun } from '../../workers/dry-run.ts'
import { operationsOf, type Operation } from '../../workers/listing.ts'
import { Seen } from '../../workers/seen.ts'
import { cursorOf, positionFrom } from './cursor.ts'
import { ProblemError } from './problems.ts'
import {
  ActBody,
  actorOf,
  endingOf,
  knownConnection,
  Limit,
  runtimeOf,
  type Api,
  type ApiRoutes,
  type House,
} from './route.ts'

const tags = ['Plan and approve']

export const planRoutes: ApiRoutes = (api, house) => {
  const { household } = house
  const planning = new Planning(api, house)
  api.get(
    '/plan',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'What is to be written where, in sums, and whether it waits. Asks no app.',
        response: { 200: PlanDocument },
      },
    },
    () => planDocument(household, planning.isUnderWay),
  )
  api.post(
    '/plan',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'Reads every connection and plans anew. Answers at once; GET /plan tells when it is done.',
        body: z.strictObject({}),
        response: { 202: z.object({ planning: z.literal(true) }) },
      },
    },
    async (_request, reply) => {
      planning.begin()
      return reply.code(202).send({ planning: true })
    },
  )
  api.get(
    '/plan/operations',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'The writes of the plan one by one, page by page: by connection, then as they were planned.',
        querystring: z.strictObject({
          connection: z.string().optional(),
          op: OpWord.optional(),
          held: z
            .stringbool()
            .optional()
            .describe('true: only those that wait for an operator. false: only the others.'),
          cursor: z.string().optional().describe('`next` of the page before, asked for with the same filters.'),
          limit: Limit,
        }),
        response: {
          200: z.object({
            operations: z.array(OperationDocument),
            next: z.string().nullable().describe('Asks for the page after this one; null: this is the last.'),
          }),
        },
      },
    },
    async ({ query: { connection, op, held, cursor, limit } }) => {
      const filter = {
        ...(connection === undefined ? {} : { connection: knownConnection(house, connection) }),
        ...(op === undefined ? {} : { op }),
        ...(held === undefined ? {} : { held }),
      }
      const page: Operation[] = []
      for await (const operation of operationsOf(household.store, filter, placeFrom(cursor))) {
        page.push(operation)
        if (page.length > limit) break
      }
      const shown = page.slice(0, limit)
      const last = page.length > limit ? shown.at(-1) : undefined
      return {
        operations: shown.map(({ line }) => operationDocument(line)),
        next: last === undefined ? null : cursorOf([last.intent.connection, last.intent.planned_ms, last.intent.id]),
      }
    },
  )
  api.post(
    '/plan/approve',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: 'Sends exactly what the plan holds for approval, and approves the config with it.',
        body: ActBody.extend({
          writes: z.int().min(0).describe('How many GET /plan showed (approve.writes).'),
          fingerprint: z.string().describe('Which plan GET /plan showed (approve.fingerprint).'),
        }),
        response: {
          200: z.object({
            released: z.int(),
            waiting: z
              .int()
              .describe('Writes planned since, which nobody has seen: they wait for a plan of their own.'),
          }),
        },
      },
    },
    async (request) => {
      const { writes, fingerprint } = request.body
      const runtime = runtimeOf(house)
      const { standing } = await planStanding(household)
      if (standing !== 'present') {
        const detail =
          standing === 'none' ? 'nothing has been planned yet' : 'the config has changed since the plan was made'
        throw new ProblemError(409, detail, 'Plan with POST /plan, look at it with GET /plan, then approve it.')
      }
      const now = await approvable(household)
      if (now.writes !== writes || now.fingerprint !== fingerprint) {
        throw new ProblemError(
          409,
          `this is another plan by now, of ${now.writes} writes`,
          'Look at it with GET /plan.',
        )
      }
      const idle = now.writes === 0 && (await isApproved(household))
      const released = idle ? 0 : await approvePlan(household, actorOf(request, request.body))
      for (const { name } of household.config.connections) await runtime.queue.wakeDeliver(name)
      return { released, waiting: await waitingForApproval(household) }
    },
  )
  api.get(
    '/brakes',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'What the brakes hold: writes, and deletions that were heard and not believed.',
        querystring: z.strictObject({ connection: z.string().optional() }),
        response: {
          200: z.object({
            brakes: z.array(BrakeDocument),
            seen: z.string().describe('Names what is held to POST /brakes/release.'),
          }),
        },
      },
    },
    async ({ query: { connection } }) => {
      const brakes = await brakesOf(house, connection)
      return { brakes, seen: seenOf(brakes) }
    },
  )
  api.post(
    '/brakes/release',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: 'Lets go what the brakes hold: sends the writes, and believes the deletions.',
        body: ActBody.extend({
          connection: z.string().optional().describe('Only what is held in this one. Without it: everywhere.'),
          seen: z.string().describe('What GET /brakes answered as `seen`, asked with the same connection.'),
        }),
        response: {
          200: z.object({
            released: z.int().describe('Writes released and deletions believed.'),
            brakes: z.array(BrakeDocument).describe('What is held now: what follows from deletions meets brakes, too.'),
          }),
        },
      },
    },
    async (request) => {
      const { connection, seen } = request.body
      const runtime = runtimeOf(house)
      const brakes = await brakesOf(house, connection)
      if (seenOf(brakes) !== seen) {
        throw new ProblemError(409, 'the brakes hold something else by now', 'Look at it with GET /brakes.')
      }
      const released = brakes.length === 0 ? 0 : await releaseBrakes(runtime, brakes, actorOf(request, request.body))
      return { released, brakes: await brakesOf(house, connection) }
    },
  )
}

/** Planning reads everything, which may take minutes: it is done beside the requests, once at a time. */
class Planning {
  readonly #house: House
  readonly #signal: AbortSignal
  #underWay: Promise<void> | null = null

  constructor(api: Api, house: House) {
    this.#house = house
    this.#signal = endingOf(api)
    api.addHook('onClose', async () => {
      await this.#underWay
    })
  }

  get isUnderWay(): boolean {
    return this.#underWay !== null
  }

  /** Once more while one is under way is no more than once. @throws ProblemError 503 until the workers have started */
  begin(): void {
    if (this.#underWay) return
    const daemon = this.#house.daemon()
    const { household } = this.#house
    const plan = async (): Promise<void> => {
      try {
        await prepareApproval(household)
        await dryRun(household, daemon, { signal: this.#signal })
      } catch (error) {
        daemon.runtime.log.warn('planning failed', { error: error instanceof Error ? error.name : 'unknown' })
      } finally {
        this.#underWay = null
      }
    }
    this.#underWay = plan()
  }
}

async function brakesOf(house: House, connection: string | undefined): Promise<z.infer<typeof BrakeDocument>[]> {
  const only = connection === undefined ? undefined : knownConnection(house, connection)
  return (await brakeHolds(house.household, only)).map(brakeDocument)
}

/** Another one with every other count. */
function seenOf(brakes: readonly z.infer<typeof BrakeDocument>[]): string {
  const seen = new Seen()
  const lines = brakes.map(({ connection, reason, what, count }) => JSON.stringify([connection, reason, what, count]))
  for (const line of lines.toSorted()) seen.add(line)
  return seen.end()
}

const Place = z.tuple([z.string(), z.number(), z.string()])

function placeFrom(cursor: string | undefined): Pick<Intent, 'connection' | 'planned_ms' | 'id'> | undefined {
  if (cursor === undefined) return undefined
  const place = positionFrom(Place, cursor)
  if (!place) {
    throw new ProblemError(400, '/querystring/cursor: this is no cursor of ours', 'Take `next` of the page before.')
  }
  const [connection, planned_ms, id] = place
  return { connection, planned_ms, id }
}
