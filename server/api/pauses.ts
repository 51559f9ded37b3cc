import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { ADMIN_READ_MS_MAX, PAUSE_WAIT_MS } from '../../config/limits.ts'
import { readFilter } from '../../config/include.ts'
import { CLEAN_UP_GROUPS, type CleanUpGroup, type CleanUpPart } from '../../engine/core/clean-up.ts'
import type { Filter } from '../../engine/core/include.ts'
import { cancelPause, previewCleanUp, resolveCleanUp } from '../../workers/clean-up.ts'
import { catalogueOf } from '../../workers/connect.ts'
import { Time } from '../../workers/documents/common.ts'
import { CleanUpDocument, cleanUpDocument, PausedDocument, pausedDocument } from '../../workers/documents/pause.ts'
import type { Household } from '../../workers/household.ts'
import { beginPause, waitForPause } from '../../workers/pause.ts'
import { readNow } from '../../workers/read-now.ts'
import { ProblemError } from './problems.ts'
import { ActBody, actorOf, ConnectionParams, knownConnection, runtimeOf, type ApiRoutes, type House } from './route.ts'

const tags = ['Pause and clean up']

const Part = z.strictObject({
  way: z
    .enum(['release', 'drop', 'revert'])
    .describe('release: it goes on to the other apps. drop: it stays there alone. revert: the app is brought back.'),
  only: z
    .array(z.enum(CLEAN_UP_GROUPS as [CleanUpGroup, ...CleanUpGroup[]]))
    .min(1)
    .optional(),
  fields: z.array(z.string()).min(1).optional().describe('Only these fields of edits.'),
  filter: z
    .record(z.string(), z.unknown())
    .optional()
    .describe('Only such records, written as include: in the config: {"tags": {"has": "lead"}}'),
})

const SEEN = 'What the preview knew of (its `seen`): what came later is left for another decision.'

const PauseBody = ActBody.extend({
  until: Time.optional().describe('When it should be over: from then on it is told loudly.'),
  wait_ms: z
    .int()
    .min(0)
    .max(PAUSE_WAIT_MS)
    .default(10_000)
    .describe('How long to wait for writes under way. Ask again where it is not acknowledged by then.'),
})

export const pauseRoutes: ApiRoutes = (api, house) => {
  api.post(
    '/pause',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: 'Stops all writing everywhere.',
        body: PauseBody,
        response: { 200: z.object({ connections: z.record(z.string(), PausedDocument) }) },
      },
    },
    async (request) => {
      const names = house.household.config.connections.map(({ name }) => name)
      return { connections: Object.fromEntries(await pause(house, names, request)) }
    },
  )
  api.post(
    '/connections/:connection/pause',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: 'Stops all writing to a connection. Acknowledged only when no write to it is under way.',
        params: ConnectionParams,
        body: PauseBody,
        response: { 200: PausedDocument },
      },
    },
    async (request) => {
      const name = knownConnection(house, request.params.connection)
      const paused = new Map(await pause(house, [name], request))
      return paused.get(name) as z.infer<typeof PausedDocument>
    },
  )
  api.post(
    '/connections/:connection/resume/preview',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'Shows what was changed in a paused app, and what would follow elsewhere.',
        params: ConnectionParams,
        body: Part.partial({ way: true }),
        response: { 200: CleanUpDocument },
      },
    },
    async ({ params, body }) => {
      const name = await pausedConnection(house, params.connection)
      await readNow(house.daemon(), name, ADMIN_READ_MS_MAX)
      const preview = await previewCleanUp(runtimeOf(house), name, body.way ?? 'release', partOf(house.household, body))
      return cleanUpDocument(preview, null)
    },
  )
  api.post(
    '/connections/:connection/resume',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: 'Decides about a clean-up, or a part of it. With its last record decided, the pause ends.',
        params: ConnectionParams,
        body: ActBody.extend({ ...Part.shape, seen: z.int().min(0).describe(SEEN) }),
        response: { 200: CleanUpDocument },
      },
    },
    async (request) => {
      const { params, body } = request
      const name = await pausedConnection(house, params.connection)
      const runtime = runtimeOf(house)
      const part = partOf(house.household, body)
      const preview = await previewCleanUp(runtime, name, body.way, part)
      const wish = { way: body.way, part, seen: body.seen, ...actorOf(request, body) }
      return cleanUpDocument(preview, await resolveCleanUp(runtime, name, wish))
    },
  )
  api.post(
    '/connections/:connection/pause/cancel',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: 'Gives up a pause that was never acknowledged: nothing was kept aside in it.',
        params: ConnectionParams,
        body: ActBody,
        response: { 200: z.object({ cancelled: z.boolean() }) },
      },
    },
    async (request) => {
      const name = knownConnection(house, request.params.connection)
      const { by, why } = actorOf(request, request.body)
      return { cancelled: await cancelPause(runtimeOf(house), name, by, why) }
    },
  )
}

/** First the doors are closed, all of them; only then is what is under way waited for. */
async function pause(
  house: House,
  names: readonly string[],
  request: Pick<FastifyRequest, 'access'> & { readonly body: z.infer<typeof PauseBody> },
): Promise<[string, z.infer<typeof PausedDocument>][]> {
  const { until, wait_ms } = request.body
  const until_ms = until === undefined ? null : Date.parse(until)
  if (until_ms !== null && until_ms <= Date.now()) throw new ProblemError(400, 'until is no time to come')
  const runtime = runtimeOf(house)
  const wish = { ...actorOf(request, request.body), until_ms }
  const standing = await Promise.all(names.map((name) => beginPause(runtime, name, wish)))
  return Promise.all(
    names.map(async (name, index) => {
      const { pause: one, begun } = standing[index] as (typeof standing)[number]
      const underWay = await waitForPause(runtime, name, { timeout_ms: wait_ms })
      return [name, pausedDocument(one, begun, underWay)]
    }),
  )
}

/** @throws ProblemError where there is no acknowledged pause */
async function pausedConnection(house: House, connection: string): Promise<string> {
  const name = knownConnection(house, connection)
  const state = (await house.household.store.connections()).find((one) => one.name === name)
  if (!state?.pause) throw new ProblemError(409, `${name} is not in a pause`, 'See GET /status.')
  if (state.pause.since_ms !== null) return name
  throw new ProblemError(409, `writes to ${name} are still under way`, 'Ask for the pause again, or cancel it.')
}

function partOf(
  household: Household,
  { only, fields, filter }: Pick<z.infer<typeof Part>, 'only' | 'fields' | 'filter'>,
): CleanUpPart {
  return {
    groups: new Set(only ?? CLEAN_UP_GROUPS),
    fields: fields === undefined ? null : fieldsOf(household, fields),
    filter: filter === undefined ? null : filterOf(household, filter),
  }
}

/** A field with parts (`name`) stands for all of them. @throws ProblemError 400 */
export function fieldsOf({ config }: Household, wanted: readonly string[]): ReadonlySet<string> {
  const known = [...catalogueOf(config).fields].map(({ name }) => name)
  return new Set(
    wanted.flatMap((name) => {
      const found = known.filter((one) => one === name || one.startsWith(`${name}.`))
      if (found.length === 0)
        throw new ProblemError(400, `there is no field ${name}`, `Fields are: ${known.join(', ')}.`)
      return found
    }),
  )
}

function filterOf({ config }: Household, filter: object): Filter {
  const fields = new Map([...catalogueOf(config).fields].map((field) => [field.name, field]))
  const read = readFilter(JSON.stringify(filter), fields)
  const [problem] = read?.problems ?? []
  if (!read || problem) {
    throw new ProblemError(400, `the filter: ${problem?.message ?? 'cannot be read'}`, problem?.advice)
  }
  return read.filter
}
