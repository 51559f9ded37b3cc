import type { Catalogue, CellKey } from '../engine/core/catalogue.ts'
import type { Json } from '../engine/core/json.ts'
import type { Person } from '../engine/core/person.ts'

/** Which value of a field shall stand in a merge: the one of either person, or another. */
export type KeepChoice = { readonly of: 'first' | 'second' } | { readonly value: string | number | boolean | null }

/** A choice that cannot be kept. */
export class KeepError extends Error {
  override readonly name = 'KeepError'
  readonly advice: string

  constructor(message: string, advice: string) {
    super(message)
    this.advice = advice
  }
}

/** @throws KeepError */
export function keptCells(
  catalogue: Catalogue,
  [first, second]: readonly [Person, Person],
  choices: { readonly [field: string]: KeepChoice },
): { [cell: CellKey]: Json } {
  const keep: { [cell: CellKey]: Json } = {}
  for (const [name, choice] of Object.entries(choices)) {
    if (!catalogue.has(name)) {
      const names = [...catalogue.fields].filter(({ set }) => !set).map((field) => field.name)
      throw new KeepError(`there is no field named ${name}`, `The fields are: ${names.join(', ')}.`)
    }
    const { set, type } = catalogue.field(name)
    if (set) throw new KeepError(`${name} holds several values`, 'Those of both people are put together.')
    if ('of' in choice) keep[name] = (choice.of === 'first' ? first : second).cells[name]?.value ?? null
    else keep[name] = fitting(name, type, choice.value)
  }
  return keep
}

function fitting(name: string, type: string, value: string | number | boolean | null): Json {
  if (value === null) return null
  if (type === 'number') {
    if (typeof value === 'number') return value
    throw new KeepError(`${name} is a number`, 'Write it as 12 or 3.5.')
  }
  if (type === 'boolean') {
    if (typeof value === 'boolean') return value
    throw new KeepError(`${name} is true or false`, 'Write true or false.')
  }
  if (typeof value === 'string') return value === '' ? null : value
  throw new KeepError(`${name} is a text`, 'Write it in quotes.')
}
