import { z } from 'zod'
import { Time } from '../../workers/documents/common.ts'
import { LogDocument, logDocument } from '../../workers/documents/log.ts'
import { PeopleDocument, peopleDocument } from '../../workers/documents/people.ts'
import { StoryDocument, storyDocument } from '../../workers/documents/story.ts'
import { listLog } from '../../workers/log-list.ts'
import { listPeople, personById } from '../../workers/people-list.ts'
import { storyFields, storyOf } from '../../workers/story.ts'
import { knownPerson } from './person.ts'
import { notFound, ProblemError } from './problems.ts'
import { knownConnection, Limit, type ApiRoutes } from './route.ts'

const tags = ['People']

export const peopleRoutes: ApiRoutes = (api, house) => {
  const { household } = house
  const { store, config } = household
  api.get(
    '/people',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'People, with the connections that have a record of them.',
        querystring: z.strictObject({
          query: z.string().max(200).default('').describe('A part of a name, an address, a number or an id.'),
          limit: Limit,
        }),
        response: { 200: PeopleDocument },
      },
    },
    async ({ query: { query, limit } }) => peopleDocument(await listPeople(store, query, limit)),
  )
  api.get(
    '/people/:id',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'One person: each value, who said it when and why it stands, what lost, what was sent where.',
        params: z.object({
          id: z.string().describe('The id of a person. One who was merged is who they were merged into.'),
        }),
        querystring: z.strictObject({
          field: z.string().optional().describe('Only this field: title, emails, name.family.'),
        }),
        response: { 200: StoryDocument },
      },
    },
    async ({ params: { id }, query: { field } }) => {
      const fields = storyFields(config)
      if (field !== undefined && !fields.has(field)) {
        throw new ProblemError(400, `there is no field ${field}`, `Fields are: ${fields.known.join(', ')}.`)
      }
      const person = await personById(store, id)
      if (!person) throw notFound('there is no person of that id', 'Look for them with GET /people.')
      return storyDocument(await storyOf(household, person, field))
    },
  )
  api.get(
    '/log',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'The change log, newest first: what came from where, and what became of it.',
        querystring: z.strictObject({
          person: z.string().min(1).optional().describe('Only one person: an id, an address, a number or a name.'),
          connection: z.string().optional().describe('Only what came from this connection.'),
          since: Time.optional().describe('Only what was heard since then.'),
          before: z.coerce
            .number()
            .int()
            .min(1)
            .optional()
            .describe('Only older entries than the one of this id: to page on.'),
          limit: Limit,
        }),
        response: { 200: LogDocument },
      },
    },
    async ({ query: { person, connection, since, before, limit } }) => {
      const wish = {
        ...(person === undefined ? {} : { personId: (await knownPerson(house, person)).id }),
        ...(connection === undefined ? {} : { connection: knownConnection(house, connection) }),
        ...(since === undefined ? {} : { since_ms: Date.parse(since) }),
        ...(before === undefined ? {} : { beforeId: before }),
      }
      return logDocument(await listLog(store, wish, limit))
    },
  )
}
