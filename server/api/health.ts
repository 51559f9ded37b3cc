import { z } from 'zod'
import {
  HealthCountsDocument,
  healthCountsDocument,
  HealthDocument,
  healthDocument,
  HealthPositionDocument,
  HealthStateWord,
} from '../../workers/documents/health.ts'
import { healthPage } from '../../workers/health-page.ts'
import { countHealth } from '../../workers/health.ts'
import { cursorOf, positionFrom } from './cursor.ts'
import { knownPerson } from './person.ts'
import { ProblemError } from './problems.ts'
import { knownConnection, Limit, type ApiRoutes } from './route.ts'

const tags = ['Health']

export const healthRoutes: ApiRoutes = (api, house) => {
  const { household } = house
  api.get(
    '/health',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'How many records stand how, counted in the database. Asks no app.',
        response: { 200: HealthCountsDocument },
      },
    },
    async () => healthCountsDocument(await countHealth(household)),
  )
  api.get(
    '/health/records',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'How every record stands, why, and what moves it on, page by page. Asks no app.',
        querystring: z.strictObject({
          connection: z.string().optional(),
          state: HealthStateWord.optional(),
          person: z.string().min(1).optional().describe('Only one person: an id, an address, a number or a name.'),
          cursor: z.string().optional().describe("The `next` of the page before, with that page's filter."),
          limit: Limit.describe(
            'How many at most. The records of one person are told together: there may be a few more.',
          ),
        }),
        response: {
          200: z.object({
            records: z.array(HealthDocument),
            next: z
              .string()
              .nullable()
              .describe(
                'Where the next page begins; null where there is none. A page may be empty and have a next one.',
              ),
          }),
        },
      },
    },
    async ({ query: { connection, state, person, cursor, limit } }) => {
      const after = cursor === undefined ? null : positionFrom(HealthPositionDocument, cursor)
      if (cursor !== undefined && after === null)
        throw new ProblemError(400, 'the cursor is none', 'Begin without one.')
      const filter = {
        ...(connection === undefined ? {} : { connection: knownConnection(house, connection) }),
        ...(state === undefined ? {} : { state }),
        ...(person === undefined ? {} : { people: [(await knownPerson(house, person)).id] }),
      }
      // A person is told whole, on one page.
      if (filter.people && after) return { records: [], next: null }
      const { records, next } = await healthPage(household, filter, { limit, after })
      return { records: records.map(healthDocument), next: next && !filter.people ? cursorOf(next) : null }
    },
  )
}
