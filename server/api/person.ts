import type { Person } from '../../engine/core/person.ts'
import { peopleMeant } from '../../workers/find-person.ts'
import { notFound, ProblemError } from './problems.ts'
import type { House } from './route.ts'

/**
 * The one person that an id, an address, a number or a name means; one who was merged into another is that other. Whom a query may
 * mean besides is told by id alone: a problem names nobody (I15).
 *
 * @throws ProblemError 404 where it means nobody, 409 where it may mean several people
 */
export async function knownPerson({ household: { store } }: House, query: string): Promise<Person> {
  const [only, ...others] = await peopleMeant(store, query)
  if (!only) throw notFound('nobody here is meant by that', 'Look for a part of a name with GET /people.')
  if (others.length === 0) return only
  const ids = [only, ...others].map(({ id }) => id).join(', ')
  throw new ProblemError(409, 'several people may be meant by that', `Say which, by id: ${ids}.`)
}
