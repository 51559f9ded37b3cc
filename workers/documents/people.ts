import { z } from 'zod'
import { elementsOf } from '../../engine/core/catalogue.ts'
import { valuesOf, type Person } from '../../engine/core/person.ts'
import type { ListedPerson } from '../people-list.ts'
import { personName } from '../words.ts'
import { Value } from './common.ts'

export const PersonStateWord = z.enum([
  'live',
  'deleted',
  'archived',
  'merged',
  'erased',
] satisfies readonly Person['state'][])

/** A person as lists have them. */
export const PersonDocument = z
  .object({
    id: z.string(),
    name: z.string(),
    state: PersonStateWord,
    emails: z.array(Value),
    phones: z.array(Value),
    connections: z.array(z.string()).describe('Those that have a record of the person.'),
  })
  .meta({ id: 'Person' })

export const PeopleDocument = z.object({ people: z.array(PersonDocument), more: z.boolean() }).meta({ id: 'People' })

export function peopleDocument({
  people,
  more,
}: {
  readonly people: readonly ListedPerson[]
  readonly more: boolean
}): z.infer<typeof PeopleDocument> {
  return {
    people: people.map(({ person, connections }) => ({
      id: person.id,
      name: personName(person, person.id),
      state: person.state,
      emails: elementsOf('emails', valuesOf(person)).map(({ value }) => value),
      phones: elementsOf('phones', valuesOf(person)).map(({ value }) => value),
      connections: [...connections],
    })),
    more,
  }
}
