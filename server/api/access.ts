import { z } from 'zod'
import { grantAccess, revokeAccess, type AccessDesk } from '../../workers/access.ts'
import { AccessDocument, accessDocument, RoleWord } from '../../workers/documents/access.ts'
import { Time } from '../../workers/documents/common.ts'
import { ActBody, actorOf, runtimeOf, type ApiRoutes } from './route.ts'

const tags = ['Tokens']

const Name = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .describe('Who uses it: what is done with it is recorded under this name.')

export const accessRoutes: ApiRoutes = (api, house) => {
  const { access } = house.household
  const desk = (): AccessDesk => ({ ...deskOf(runtimeOf(house)), access })
  api.get(
    '/tokens',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary: 'The tokens of this API, newest first.',
        response: { 200: z.object({ tokens: z.array(AccessDocument) }) },
      },
    },
    async () => ({ tokens: (await access.list()).map((token) => accessDocument(token, Date.now())) }),
  )
  api.post(
    '/tokens',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary: 'Makes a token. Its secret is in this answer, and never again.',
        body: ActBody.extend({ name: Name, role: RoleWord, expires: Time.nullable().default(null) }),
        response: { 201: z.object({ token: AccessDocument, secret: z.string() }) },
      },
    },
    async (request, reply) => {
      const { name, role, expires } = request.body
      const expires_ms = expires === null ? null : Date.parse(expires)
      const made = await grantAccess(desk(), { name, role, expires_ms, ...actorOf(request, request.body) })
      return reply.code(201).send({ token: accessDocument(made.token, Date.now()), secret: made.secret })
    },
  )
  api.post(
    '/tokens/:name/revoke',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary: 'Revokes a token: the next request with it is refused.',
        params: z.object({ name: Name }),
        body: ActBody,
        response: { 200: z.object({ token: AccessDocument }) },
      },
    },
    async (request) => {
      const { name } = request.params
      const token = await revokeAccess(desk(), { name, ...actorOf(request, request.body) })
      return { token: accessDocument(token, Date.now()) }
    },
  )
}

function deskOf({ store, now, newId }: ReturnType<typeof runtimeOf>): Omit<AccessDesk, 'access'> {
  return { store, now, newId }
}
