import type { Person } from '../engine/core/person.ts'
import type { Store } from '../engine/core/ports/store.ts'
import { peopleMeant } from '../workers/find-person.ts'
import { OperatorError } from './errors.ts'
import { personName } from './words.ts'

/**
 * The one person that an address, a number, a name or an id means; one who was merged into another is that other.
 * @throws OperatorError where it means nobody, or several people
 */
export async function findPerson(store: Store, query: string): Promise<Person> {
  const [only, ...others] = await peopleMeant(store, query)
  if (!only)
    throw new OperatorError(`nobody here is called "${query}"`, 'Look for a part of a name with: kith people <text>')
  if (others.length > 0) {
    const names = [only, ...others].map((person) => `  ${person.id}  ${personName(person, person.id)}`)
    throw new OperatorError(`"${query}" may be several people`, `Say which, by id:\n${names.join('\n')}`)
  }
  return only
}
