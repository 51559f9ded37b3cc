import { Catalogue, type Cells, type FieldDef } from '../../engine/core/catalogue.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type { AppField } from '../../engine/core/ports/connector.ts'
import type { Lens } from '../../engine/core/ports/lens.ts'
import { compileLens, type MappingProblem } from '../../mappings/compile.ts'
import { phoneNormaliser } from '../../mappings/normalise.ts'
import { mappingSchema } from '../../mappings/schema.ts'

export const CUSTOM: readonly FieldDef[] = [
  { name: 'custom.tier', type: 'text', set: false, title: 'Tier' },
  { name: 'custom.score', type: 'number', set: false, title: 'Score' },
  { name: 'custom.vip', type: 'boolean', set: false, title: 'VIP' },
]

export const catalogue = new Catalogue(phoneNormaliser('DE'), CUSTOM)

export function appFields(...names: string[]): AppField[] {
  return names.map((name) => ({ name, type: 'text', writable: true }))
}

/** Compiles a mapping for an account that has `names`. */
export function compile(mapping: unknown, ...names: (string | AppField)[]): { lens: Lens; problems: MappingProblem[] } {
  const available = names.map((name) => (typeof name === 'string' ? { name, type: 'text', writable: true } : name))
  return compileLens(mappingSchema.parse(mapping), catalogue, available)
}

/** Compiles a mapping that is to have no problem. */
export function lensOf(mapping: unknown, ...names: (string | AppField)[]): Lens {
  const { lens, problems } = compile(mapping, ...names)
  if (problems.length > 0) throw new Error(problems.map(({ message }) => message).join('; '))
  return lens
}

/** Cells of scalars and of elements, keyed as the catalogue does it. */
export function cellsOf(values: { [field: string]: Json }): Cells {
  const cells: { [cell: string]: Json } = {}
  for (const [name, value] of Object.entries(values)) {
    const field = catalogue.field(name)
    if (!field.set) cells[name] = value
    else
      for (const item of value as Json[]) {
        const element = (
          typeof item === 'object' && item !== null && 'value' in item ? item : { value: item }
        ) as JsonObject
        cells[catalogue.elementCell(field, { value: element['value'] ?? null })] = element
      }
  }
  return cells
}
