import { z } from 'zod'
import {
  CertificateDocument,
  certificateDocument,
  ErasureDocument,
  erasureDocument,
  ForgetPreviewDocument,
  forgetPreviewDocument,
} from '../../workers/documents/erasure.ts'
import { erasureNews, waiveConnection, type ErasureNews } from '../../workers/erasure-news.ts'
import { backupsWith } from '../../workers/forget-backups.ts'
import { forget, forgetAgain, lift, previewForget, type Erasure } from '../../workers/forget.ts'
import { personById } from '../../workers/people-list.ts'
import { notFound, type ProblemError } from './problems.ts'
import { ActBody, actorOf, Limit, runtimeOf, type ApiRoutes, type House } from './route.ts'

const tags = ['Erasure']

const PersonParams = z.object({
  id: z.string().describe('The id of a person. One who was merged is who they were merged into.'),
})
const ErasureParams = z.object({ id: z.string().describe('The id of an erasure.') })

/** The reason is kept with the certificate, when the person is long gone. */
const ForgetBody = ActBody.extend({
  why: ActBody.shape.why.describe('On what ground, for the record. No names in it: it is kept with the certificate.'),
})

export const erasureRoutes: ApiRoutes = (api, house) => {
  api.post(
    '/people/:id/forget/preview',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'Shows what forgetting a person would do: in every app, and here.',
        params: PersonParams,
        response: { 200: ForgetPreviewDocument },
      },
    },
    async ({ params: { id } }) => {
      const preview = await previewForget(runtimeOf(house), await personOf(house, id))
      return forgetPreviewDocument(preview, await backupsWith(house.household))
    },
  )
  api.post(
    '/people/:id/forget',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary: 'Erases a person: in every app, here, and for good. Goes on by itself until every app has answered.',
        params: PersonParams,
        body: ForgetBody.extend({
          seen: z
            .string()
            .min(1)
            .describe('The `seen` of the preview: nothing is done where something else would go by now.'),
        }),
        response: { 202: ErasureDocument },
      },
    },
    async (request, reply) => {
      const { params, body } = request
      const wish = { seen: body.seen, ...actorOf(request, body) }
      const { id } = await forget(runtimeOf(house), await personOf(house, params.id), wish)
      return reply.code(202).send(erasureDocument(await newsOf(house, id)))
    },
  )
  api.get(
    '/erasures',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'Erasures, newest first: what open ones wait for, and who was added again.',
        querystring: z.strictObject({ state: z.enum(['open', 'done', 'lifted']).optional(), limit: Limit }),
        response: { 200: z.object({ erasures: z.array(ErasureDocument), more: z.boolean() }) },
      },
    },
    async ({ query: { state, limit } }) => {
      const news = await erasureNews(runtimeOf(house), { ...(state === undefined ? {} : { state }), limit: limit + 1 })
      return { erasures: news.slice(0, limit).map(erasureDocument), more: news.length > limit }
    },
  )
  api.get(
    '/erasures/:id',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'One erasure: where each record stands and, once all have answered, the certificate.',
        params: ErasureParams,
        response: { 200: ErasureDocument.extend({ certificate: CertificateDocument.nullable() }) },
      },
    },
    async ({ params: { id } }) => {
      const news = await newsOf(house, id)
      const { certificate } = news.erasure
      return { ...erasureDocument(news), certificate: certificate ? certificateDocument(certificate) : null }
    },
  )
  api.post(
    '/erasures/:id/waive',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary: 'Does not wait for a connection any more. The certificate says so.',
        params: ErasureParams,
        body: ForgetBody.extend({ connection: z.string().min(1) }),
        response: { 200: ErasureDocument },
      },
    },
    async (request) => {
      const { params, body } = request
      const erasure = await erasureOf(house, params.id)
      await waiveConnection(runtimeOf(house), erasure, body.connection, actorOf(request, body))
      return erasureDocument(await newsOf(house, erasure.id))
    },
  )
  api.post(
    '/erasures/:id/again',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary: 'Deletes the records that somebody has made of the person since.',
        params: ErasureParams,
        body: ForgetBody.extend({
          seen: z
            .int()
            .min(1)
            .describe('How many there were (`addedAgain`): nothing is done where there are others by now.'),
        }),
        response: { 202: ErasureDocument },
      },
    },
    async (request, reply) => {
      const { params, body } = request
      const wish = { seen: body.seen, ...actorOf(request, body) }
      const { id } = await forgetAgain(runtimeOf(house), await erasureOf(house, params.id), wish)
      return reply.code(202).send(erasureDocument(await newsOf(house, id)))
    },
  )
  api.post(
    '/erasures/:id/lift',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary: 'The bar was a mistake: the person may be added again. Brings nothing back.',
        params: ErasureParams,
        body: ForgetBody,
        response: { 200: ErasureDocument },
      },
    },
    async (request) => {
      const erasure = await erasureOf(house, request.params.id)
      await lift(runtimeOf(house), erasure, actorOf(request, request.body))
      return erasureDocument(await newsOf(house, erasure.id))
    },
  )
}

/** @throws ProblemError 404 */
async function personOf({ household: { store } }: House, id: string): Promise<string> {
  const person = await personById(store, id)
  if (person) return person.id
  throw notFound('there is no person of that id', 'Look for them with GET /people.')
}

/** @throws ProblemError 404 */
async function erasureOf(house: House, id: string): Promise<Erasure> {
  const [erasure] = await house.household.store.erasures({ id, limit: 1 })
  if (erasure) return erasure
  throw noErasure()
}

/** @throws ProblemError 404 */
async function newsOf(house: House, id: string): Promise<ErasureNews> {
  const [news] = await erasureNews(runtimeOf(house), { id, limit: 1 })
  if (news) return news
  throw noErasure()
}

function noErasure(): ProblemError {
  return notFound('there is no erasure of that id', 'See GET /erasures.')
}
