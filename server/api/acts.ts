import { z } from 'zod'
import { ActDocument, actDocument } from '../../workers/documents/act.ts'
import { Time } from '../../workers/documents/common.ts'
import { Limit, type ApiRoutes } from './route.ts'

const tags = ['Acts']

export const actRoutes: ApiRoutes = (api, { household: { store } }) => {
  api.get(
    '/acts',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'What operators did, newest first.',
        querystring: z.strictObject({
          since: Time.optional(),
          kind: z.string().optional().describe('Only one kind: pause, resume, undo, merge, link, consent, forget, ...'),
          limit: Limit,
        }),
        response: { 200: z.object({ acts: z.array(ActDocument) }) },
      },
    },
    async ({ query: { since, kind, limit } }) => {
      const acts = await store.acts({
        ...(since === undefined ? {} : { since_ms: Date.parse(since) }),
        ...(kind === undefined ? {} : { kind }),
        limit,
      })
      return { acts: acts.map(actDocument) }
    },
  )
}
