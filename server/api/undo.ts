import { z } from 'zod'
import { Time, timeOrNull } from '../../workers/documents/common.ts'
import {
  StoppedUndoDocument,
  stoppedUndoDocument,
  UndoDocument,
  undoLines,
  type UndoLines,
} from '../../workers/documents/undo.ts'
import {
  abandonUndo,
  performUndo,
  prepareUndo,
  previewUndo,
  undoUnderWay,
  type Undo,
  type UndoPart,
} from '../../workers/undo.ts'
import type { Runtime } from '../../workers/runtime.ts'
import { askedOf, undoFilterOf, UndoAskError, UNDO_RULES } from '../../workers/undo-ask.ts'
import { Seen } from '../../workers/seen.ts'
import { knownPerson } from './person.ts'
import { ProblemError } from './problems.ts'
import { ActBody, actorOf, endingOf, runtimeOf, ShownMax, stopping, type ApiRoutes, type House } from './route.ts'

const tags = ['Undo']

const Ask = z.strictObject({
  act: z.string().optional().describe('What an operator did: the id of an act.'),
  run: z
    .string()
    .max(100)
    .optional()
    .describe('What one reading of a connection brought, such as crm:12, see GET /log; or last.'),
  rule: z
    .enum(UNDO_RULES as readonly [string, ...string[]])
    .optional()
    .describe('What stands by one rule.'),
  person: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('An id, an address, a number or a name. Alone: back to what was first heard of them.'),
  connection: z.string().optional().describe('Only what came from this connection.'),
  since: Time.optional().describe('Only what was heard since then.'),
  until: Time.optional(),
  field: z.string().optional().describe('Only this field: title, emails, name.'),
  stopped: z
    .string()
    .optional()
    .describe('Carries on one that was stopped (GET /undo), by its id; nothing else is named then.'),
})

type Asked = z.infer<typeof Ask>

const PreviewDocument = UndoDocument.omit({ state: true, act: true }).extend({
  people: z.int(),
  changes: z.int().describe('Changes that would go back.'),
  leftAlone: z.int(),
  following: z.int().describe('Writes that follow at once.'),
  more: z.boolean().describe('There is more of something than is listed here.'),
  seen: z.string().describe('Names what was shown to POST /undo.'),
})

const DoneDocument = UndoDocument.pick({ act: true }).extend({
  state: z.enum(['done', 'nothing']),
  changes: z.int().describe('Changes taken back.'),
  held: z.int().describe('Writes that wait for an operator: see GET /brakes.'),
})

const NOTHING: z.infer<typeof DoneDocument> = { state: 'nothing', act: null, changes: 0, held: 0 }

export const undoRoutes: ApiRoutes = (api, house) => {
  const { store } = house.household
  const ending = endingOf(api)
  let underWay = false
  api.get(
    '/undo',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'The undo that was begun and is not finished, if there is one.',
        response: {
          200: z.object({
            undo: StoppedUndoDocument.nullable(),
            underWay: z
              .boolean()
              .describe('It is being done by this process. false: it was stopped; carry it on, or abandon it.'),
          }),
        },
      },
    },
    async () => {
      const undo = await undoUnderWay(store)
      return { undo: undo && stoppedUndoDocument(undo), underWay: undo !== null && underWay }
    },
  )
  api.post(
    '/undo/preview',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'Shows what would go back to what, what would be left, and what would be written where.',
        body: Ask.extend({ limit: ShownMax }),
        response: { 200: PreviewDocument },
      },
    },
    async ({ body }) => {
      const runtime = runtimeOf(house)
      const prepared = await prepare(house, body, { by: 'preview', why: '' })
      const shown = new Shown(body.limit)
      for await (const part of previewUndo(runtime, prepared)) shown.add(part)
      return { ...shown.document(prepared), log_since: timeOrNull(await store.oldestLog()) }
    },
  )
  api.post(
    '/undo',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: 'Takes changes back, as one act. What was edited since is left.',
        body: ActBody.extend({ ...Ask.shape, seen: z.string().describe('What the preview answered as `seen`.') }),
        response: { 200: DoneDocument },
      },
    },
    async (request) => {
      const runtime = runtimeOf(house)
      if (underWay) throw new ProblemError(409, 'an undo is under way', 'Look at it with GET /undo.')
      underWay = true
      try {
        const { body } = request
        const prepared = await prepare(house, body, actorOf(request, body), upToOf(body.seen))
        const shown = new Shown(0)
        for await (const part of previewUndo(runtime, prepared)) shown.add(part)
        if (shown.document(prepared).seen !== body.seen) {
          throw new ProblemError(
            409,
            'it would take back something else by now',
            'Look at it again: POST /undo/preview.',
          )
        }
        if (shown.changes === 0 && body.stopped === undefined) return NOTHING
        return await perform(runtime, prepared, ending)
      } finally {
        underWay = false
      }
    },
  )
  api.post(
    '/undo/abandon',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: 'Leaves an undo that was stopped as it is, so that another can be begun.',
        body: ActBody,
        response: { 200: z.object({ abandoned: StoppedUndoDocument.nullable() }) },
      },
    },
    async (request) => {
      if (underWay) throw new ProblemError(409, 'an undo is under way', 'Look at it with GET /undo.')
      const undo = await abandonUndo(runtimeOf(house), actorOf(request, request.body))
      return { abandoned: undo && stoppedUndoDocument(undo) }
    },
  )
}

async function perform(runtime: Runtime, undo: Undo, signal: AbortSignal): Promise<z.infer<typeof DoneDocument>> {
  let [changes, held] = [0, 0]
  await performUndo(runtime, undo, ({ undone, writes }) => {
    changes += undone.length
    held += writes.filter(({ state }) => state === 'held').length
    // Between two commits: what is done stands, and the rest is carried on.
    if (signal.aborted) throw stopping('When Kith is back, carry the undo on: see GET /undo.')
  })
  return { state: 'done', act: undo.id, changes, held }
}

/** @param upToId what the log says later is not meant; without it, all that it says now is */
async function prepare(
  house: House,
  asked: Asked,
  wish: { readonly by: string; readonly why: string },
  upToId?: number,
): Promise<Undo> {
  const runtime = runtimeOf(house)
  if (asked.stopped !== undefined) return stopped(house, asked, asked.stopped)
  const { person, since, until } = asked
  const personId = person === undefined ? undefined : (await knownPerson(house, person)).id
  // By the id: the words are kept with the act.
  const words = askedOf({ ...asked, person: personId })
  if (words === '')
    throw new ProblemError(400, 'nothing is named', 'Name an act, a run, a person, a connection or a time.')
  const before = await undoUnderWay(house.household.store)
  if (before) {
    const advice = 'Carry it on with stopped: its id (GET /undo), or abandon it.'
    throw new ProblemError(409, 'another undo was begun and is not finished', advice)
  }
  const { act, run, rule, connection, field } = asked
  const filter = await inProblems(() =>
    undoFilterOf(house.household, {
      ...(act === undefined ? {} : { act }),
      ...(run === undefined ? {} : { run }),
      ...(rule === undefined ? {} : { rule }),
      ...(personId === undefined ? {} : { personId }),
      ...(connection === undefined ? {} : { connection }),
      ...(since === undefined ? {} : { since_ms: Date.parse(since) }),
      ...(until === undefined ? {} : { until_ms: Date.parse(until) }),
      ...(field === undefined ? {} : { field }),
    }),
  )
  const prepared = await prepareUndo(runtime, filter, { asked: words, ...wish })
  return upToId === undefined ? prepared : { ...prepared, upToId: Math.min(upToId, prepared.upToId) }
}

async function stopped({ household }: House, asked: Asked, id: string): Promise<Undo> {
  if (askedOf(asked) !== '') throw new ProblemError(400, 'the one that was stopped says by itself what it takes back')
  const undo = await undoUnderWay(household.store)
  if (undo?.id === id) return undo
  throw new ProblemError(409, 'no such undo is unfinished', 'See GET /undo.')
}

const ADVICE: { readonly [about in UndoAskError['about']]: (known: string) => string } = {
  act: () => 'See GET /acts.',
  run: () => 'See GET /log.',
  rule: (known) => `The rules are ${known}.`,
  connection: (known) => `The config has: ${known}.`,
  field: (known) => `The fields are: ${known}.`,
}

async function inProblems<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof UndoAskError)) throw error
    const status = error.about === 'act' || error.about === 'connection' ? 404 : 400
    throw new ProblemError(status, error.message, ADVICE[error.about](error.known.join(', ')))
  }
}

/** `<last entry of the log>.<digest>` */
function upToOf(seen: string): number {
  const [, id] = /^(\d{1,15})\./.exec(seen) ?? []
  if (id !== undefined) return Number(id)
  throw new ProblemError(400, '/seen: this is nothing that a preview answered', 'Ask POST /undo/preview first.')
}

/** What a preview has shown so far: all of it counts, and some of it is listed. */
class Shown {
  readonly #limit: number
  readonly #lines: UndoLines = { undone: [], left: [], writes: [] }
  readonly #seen = new Seen()
  readonly #people = new Set<string>()
  changes = 0
  #left = 0
  #writes = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  add(part: UndoPart): void {
    this.changes += part.undone.length
    this.#left += part.left.length
    this.#writes += part.writes.length
    for (const one of part.undone) {
      this.#people.add(one.personId)
      this.#seen.add(one)
    }
    for (const { connection, op, personId, recordId, held, cells } of part.writes) {
      const values = Object.entries(cells).map(([cell, { before, after }]) => [cell, before, after])
      this.#seen.add([connection, op, personId, recordId, held ?? null, values])
    }
    const lines = undoLines(part)
    this.#lines.undone.push(...lines.undone.slice(0, this.#limit - this.#lines.undone.length))
    this.#lines.left.push(...lines.left.slice(0, this.#limit - this.#lines.left.length))
    this.#lines.writes.push(...lines.writes.slice(0, this.#limit - this.#lines.writes.length))
  }

  document({ upToId }: Undo): Omit<z.infer<typeof PreviewDocument>, 'log_since'> {
    return {
      ...this.#lines,
      people: this.#people.size,
      changes: this.changes,
      leftAlone: this.#left,
      following: this.#writes,
      more: [this.changes, this.#left, this.#writes].some((count) => count > this.#limit),
      seen: `${upToId}.${this.#seen.end()}`,
    }
  }
}
