import { actStamp, type Actor } from './act.ts'
import type { Catalogue, CellKey } from './catalogue.ts'
import type { Json } from './json.ts'
import type { Cell, Person } from './person.ts'
import type { Repair, Standard } from './standard.ts'
import { changeOf, type Workspace } from './workspace.ts'

/** What a standard would make of a person's present values, each held against what is asked of who said it. */
export function repairsOf(person: Person, standard: Standard, catalogue: Catalogue): Repair[] {
  return Object.entries(person.cells).flatMap(([cell, { value, stamp }]) =>
    value === null ? [] : standard.door(stamp.by).repaired({ [cell]: value }, catalogue).repairs,
  )
}

/**
 * Repairs a person's values, as an operator's decision: also where the field's own equality sees no difference. What stood there
 * is in the log.
 * @returns what was repaired
 */
export function repairPerson(
  ws: Workspace,
  personId: string,
  standard: Standard,
  catalogue: Catalogue,
  actor: Actor,
): Repair[] {
  const person = ws.person(personId)
  if (person?.state !== 'live') return []
  const repairs = repairsOf(person, standard, catalogue)
  if (repairs.length === 0) return repairs
  const cells: { [cell: CellKey]: Cell } = {}
  const set = (cell: CellKey, value: Json): void => {
    const current = cells[cell] ?? person.cells[cell]
    const stamp = actStamp(actor, current)
    const origin = { personId, recordId: null, now_ms: actor.at_ms }
    ws.log(changeOf(origin, cell, current?.value ?? null, value, stamp, 'applied', 'act'))
    cells[cell] = { value, stamp, rule: 'act' }
  }
  for (const { from, to, after } of repairs) {
    if (from === to) {
      set(to, after)
      continue
    }
    set(from, null)
    // The right spelling may be there already.
    if (((cells[to] ?? person.cells[to])?.value ?? null) === null) set(to, after)
  }
  ws.savePerson({ ...person, cells: { ...person.cells, ...cells } } satisfies Person)
  return repairs
}
