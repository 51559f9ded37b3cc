import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { catalogueOf } from '../../workers/connect.ts'
import { MergeDocument, mergeDocument } from '../../workers/documents/merge.ts'
import { mergeTwo, previewMerge, type MergePreview, type MergeWish } from '../../workers/merge.ts'
import { KeepError, keptCells } from '../../workers/merge-keep.ts'
import { Seen } from '../../workers/seen.ts'
import { knownPerson } from './person.ts'
import { ProblemError } from './problems.ts'
import { ActBody, actorOf, runtimeOf, type ApiRoutes, type House } from './route.ts'

const tags = ['Merge']

const Who = z.string().min(1).max(200)

const Two = z.strictObject({
  first: Who.describe('Who stands: an id, an address, a number or a name.'),
  second: Who.describe('Who is the same human, and becomes the first one.'),
  keep: z
    .record(
      z.string(),
      z.union([
        z.strictObject({ of: z.enum(['first', 'second']) }),
        z.strictObject({ value: z.union([z.string(), z.number(), z.boolean(), z.null()]) }),
      ]),
    )
    .default({})
    .describe('Fields whose value is chosen: {"title": {"of": "first"}, "note": {"value": "met in May"}}.'),
})

export const mergeRoutes: ApiRoutes = (api, house) => {
  api.post(
    '/merge/preview',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'Shows what making two people one would do: which value stands and why, and what follows in each app.',
        body: Two,
        response: { 200: MergeDocument.extend({ seen: z.string().describe('Names what was shown to POST /merge.') }) },
      },
    },
    async ({ body }) => {
      const preview = await previewMerge(runtimeOf(house), await wishOf(house, body))
      return { ...mergeDocument(preview), seen: seenOf(preview) }
    },
  )
  api.post(
    '/merge',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: 'Makes two people one. What cannot be undone in an app waits there for an approval.',
        body: ActBody.extend({ ...Two.shape, seen: z.string().describe('What the preview answered as `seen`.') }),
        response: { 200: MergeDocument.extend({ act: z.string() }) },
      },
    },
    (request) => merge(house, request, request.body),
  )
}

async function merge(
  house: House,
  request: Pick<FastifyRequest, 'access'>,
  body: z.infer<typeof Two> & z.infer<typeof ActBody> & { readonly seen: string },
): Promise<z.infer<typeof MergeDocument> & { act: string }> {
  const runtime = runtimeOf(house)
  const wish = await wishOf(house, body)
  const preview = await previewMerge(runtime, wish)
  if (seenOf(preview) !== body.seen) {
    throw new ProblemError(409, 'the two are not as they were shown', 'Look at them again: POST /merge/preview.')
  }
  const act = await mergeTwo(runtime, wish, actorOf(request, body))
  return { ...mergeDocument(preview), act: act.id }
}

async function wishOf(house: House, { first, second, keep }: z.infer<typeof Two>): Promise<MergeWish> {
  const [winner, loser] = [await knownPerson(house, first), await knownPerson(house, second)]
  if (winner.id === loser.id) throw new ProblemError(409, 'these are one person already', 'Name two people.')
  try {
    const cells = keptCells(catalogueOf(house.household.config), [winner, loser], keep)
    return { winner: winner.id, loser: loser.id, keep: cells }
  } catch (error) {
    if (!(error instanceof KeepError)) throw error
    throw new ProblemError(400, `/keep: ${error.message}`, error.advice)
  }
}

function seenOf(preview: MergePreview): string {
  const seen = new Seen()
  const { winner, loser, cells, records, writes, toldApart } = preview
  seen.add([winner.id, loser.id, toldApart])
  for (const { cell, stands, why } of cells) seen.add([cell, stands, why])
  for (const record of records) seen.add(record)
  for (const { connection, op, personId, recordId, into, held, fields } of writes) {
    seen.add([connection, op, personId, recordId, into ?? null, held ?? null, fields])
  }
  return seen.end()
}
