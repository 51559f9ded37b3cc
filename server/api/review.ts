import { z } from 'zod'
import { ReviewItemDocument, reviewItemDocument, ReviewKindWord } from '../../workers/documents/review.ts'
import { findItems, type ReviewFilter, type ReviewItem, type ReviewKind } from '../../workers/review-items.ts'
import { alikeItems, decideItems, listReview } from '../../workers/review-round.ts'
import { ruleFor } from '../../workers/review-rules.ts'
import { skipItem } from '../../workers/review-skips.ts'
import { notFound, ProblemError } from './problems.ts'
import { ActBody, actorOf, knownConnection, Limit, runtimeOf, type ApiRoutes, type House } from './route.ts'

const tags = ['Review']

const ItemParams = z.object({ id: z.string().describe('The id of an item.') })

export const reviewRoutes: ApiRoutes = (api, house) => {
  const { store, config } = house.household
  api.get(
    '/review',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'What waits for an operator: conflicts, matches, duplicates, held deletes.',
        querystring: z.strictObject({
          kind: ReviewKindWord.optional(),
          connection: z.string().optional(),
          later: z.stringbool().default(false).describe('Those left for later, too.'),
          limit: Limit,
        }),
        response: {
          200: z.object({
            items: z.array(ReviewItemDocument),
            total: z.int(),
            counts: z.record(z.string(), z.int()),
            later: z.int().describe('Items left for later.'),
          }),
        },
      },
    },
    async ({ query: { kind, connection, later, limit } }) => {
      const filter: ReviewFilter = {
        ...(kind === undefined ? {} : { kind: kind as ReviewKind }),
        ...(connection === undefined ? {} : { connection: knownConnection(house, connection) }),
      }
      const list = await listReview(runtimeOf(house), filter, { limit, all: later })
      return { ...list, items: list.items.map(reviewItemDocument), counts: { ...list.counts } }
    },
  )
  api.get(
    '/review/:id',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'One item, and how many are like it: one decision may fit all.',
        params: ItemParams,
        response: { 200: z.object({ item: ReviewItemDocument, alike: z.int() }) },
      },
    },
    async ({ params: { id } }) => {
      const item = await itemOf(house, id)
      const alike = await alikeItems(runtimeOf(house), item, {})
      return { item: reviewItemDocument(item), alike: alike.length }
    },
  )
  api.post(
    '/review/:id/decide',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: 'Decides an item, or all that are like it. What follows is planned, and sent like any change.',
        params: ItemParams,
        body: ActBody.extend({
          choose: z.string().describe("One of the item's choices."),
          person: z.string().optional().describe('With link or merge: which person it is, or which of the two stands.'),
          value: z.string().optional().describe('With the choice value.'),
          alike: z
            .int()
            .min(1)
            .optional()
            .describe('All that are like it: how many there are, so that none is decided unseen.'),
        }),
        response: {
          200: z.object({
            acts: z.array(z.string()),
            refused: z.array(z.object({ id: z.string(), why: z.string() })),
          }),
        },
      },
    },
    async (request) => {
      const { choose, person, value, alike } = request.body
      const runtime = runtimeOf(house)
      const item = await itemOf(house, request.params.id)
      if (!item.choices.includes(choose)) {
        throw new ProblemError(400, `"${choose}" is no choice for ${item.id}`, `Choose ${item.choices.join(', ')}.`)
      }
      const items = alike === undefined ? [item] : await alikeItems(runtime, item, {})
      if (alike !== undefined && items.length !== alike) {
        throw new ProblemError(
          409,
          `${items.length} items are like this one by now, not ${alike}`,
          'Look at them again.',
        )
      }
      const decided = await decideItems(runtime, items, {
        choose,
        ...(person === undefined ? {} : { person }),
        ...(value === undefined ? {} : { value }),
        ...actorOf(request, request.body),
      })
      const [first] = decided.refused
      if (decided.acts.length === 0 && first) throw new ProblemError(409, `${first.id} stays as it is: ${first.why}`)
      return { acts: [...decided.acts], refused: [...decided.refused] }
    },
  )
  api.post(
    '/review/:id/skip',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: 'Leaves an item for later: it waits on, out of sight until it is asked for.',
        params: ItemParams,
        response: { 200: z.object({ skipped: z.string() }) },
      },
    },
    async ({ params }) => {
      const { id } = await itemOf(house, params.id)
      await skipItem(store, id)
      return { skipped: id }
    },
  )
  api.get(
    '/review/:id/rule',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary:
          'The lines of kith.yaml that would decide such cases by themselves. The file is for its owner to edit.',
        params: ItemParams,
        querystring: z.strictObject({ choose: z.string() }),
        response: {
          200: z.object({
            yaml: z.string().nullable(),
            meaning: z.string().describe('What the lines say; or, where there are none, why.'),
          }),
        },
      },
    },
    async ({ params, query: { choose } }) => {
      const rule = await ruleFor(config, store, await itemOf(house, params.id), choose)
      return 'none' in rule ? { yaml: null, meaning: rule.none } : { yaml: rule.yaml, meaning: rule.meaning }
    },
  )
}

/** @throws ProblemError 404 */
async function itemOf(house: House, id: string): Promise<ReviewItem> {
  const item = (await findItems(runtimeOf(house), id)).find((one) => one.id === id)
  if (item) return item
  throw notFound(`nothing called ${id} waits`, 'It may be decided by now. See GET /review.')
}
