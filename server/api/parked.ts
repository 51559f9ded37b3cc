import { z } from 'zod'
import { ParkedDocument, parkedDocument } from '../../workers/documents/parked.ts'
import { actOnParked, listParked, type ParkedFilter } from '../../workers/parked.ts'
import { knownPerson } from './person.ts'
import { ActBody, actorOf, knownConnection, Limit, runtimeOf, type ApiRoutes, type House } from './route.ts'

const tags = ['Parked']

const Which = {
  connection: z.string().optional().describe('Only those of one connection.'),
  person: z.string().min(1).optional().describe('Only those of one person: an id, an address, a number or a name.'),
}

const Body = ActBody.extend({
  ...Which,
  seen: z
    .int()
    .min(1)
    .describe('How many such writes there were (`writes`): with any other number by now, nothing is done.'),
})

export const parkedRoutes: ApiRoutes = (api, house) => {
  const { store, config } = house.household
  api.get(
    '/parked',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'Writes that an app refused, and records that cannot be read, with cause and cure.',
        querystring: z.strictObject({ ...Which, limit: Limit }),
        response: {
          200: z.object({
            parked: z.array(ParkedDocument),
            more: z.boolean(),
            writes: z
              .int()
              .describe('How many writes there are in all. Records that cannot be read are not among them.'),
          }),
        },
      },
    },
    async ({ query: { limit, ...which } }) => {
      const { parked, more, writes } = await listParked(store, await filterOf(house, which), limit)
      return { parked: parked.map(parkedDocument), more, writes }
    },
  )
  api.post(
    '/parked/retry',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: 'Tries refused writes again. A record that cannot be read is read again when it changes in its app.',
        body: Body,
        response: { 200: z.object({ retried: z.int() }) },
      },
    },
    async (request) => {
      const { connection, person, seen } = request.body
      const runtime = runtimeOf(house)
      const filter = await filterOf(house, { connection, person })
      const retried = await actOnParked(runtime, 'retry', filter, { seen, ...actorOf(request, request.body) })
      const names = connection === undefined ? config.connections.map(({ name }) => name) : [connection]
      for (const name of names) await runtime.queue.wakeDeliver(name)
      return { retried }
    },
  )
  api.post(
    '/parked/drop',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: 'Gives refused writes up: the values stay in Kith and in the other apps.',
        body: Body,
        response: { 200: z.object({ dropped: z.int() }) },
      },
    },
    async (request) => {
      const { connection, person, seen } = request.body
      const filter = await filterOf(house, { connection, person })
      const dropped = await actOnParked(runtimeOf(house), 'drop', filter, {
        seen,
        ...actorOf(request, request.body),
      })
      return { dropped }
    },
  )
}

async function filterOf(
  house: House,
  { connection, person }: { readonly connection?: string | undefined; readonly person?: string | undefined },
): Promise<ParkedFilter> {
  return {
    ...(connection === undefined ? {} : { connection: knownConnection(house, connection) }),
    ...(person === undefined ? {} : { personId: (await knownPerson(house, person)).id }),
  }
}
