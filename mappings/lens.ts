import type { ConsentSlot, Lens, LensField } from '../engine/core/ports/lens.ts'
import { Wanted, type Binding, type OpenCells } from './binding.ts'
import { Draft, type Place } from './places.ts'

/** The bindings of a mapping, in the order in which they run, as one lens. */
export function lensOf(
  lines: readonly { binding: Binding; rule: LensField }[],
  consents: readonly { slot: ConsentSlot; places: readonly Place[] }[] = [],
): Lens {
  const bindings = lines.map(({ binding }) => binding)
  const writing = lines.filter(({ rule }) => rule.direction !== 'in').map(({ binding }) => binding)
  const fields = new Map<string, LensField>()
  const sources = new Map<string, readonly string[]>()
  for (const { binding, rule } of lines) {
    const roots = rootsOf(binding.places)
    for (const name of binding.fields) {
      fields.set(name, rule)
      sources.set(name, roots)
    }
  }
  return {
    fields,
    appFields: rootsOf([...bindings, ...consents].flatMap(({ places }) => places)),
    consents: consents.map(({ slot }) => slot),
    sources,
    get(record) {
      const cells: OpenCells = {}
      for (const binding of bindings) binding.get(record, cells)
      return cells
    },
    knows(field, record) {
      const roots = sources.get(field)
      return roots !== undefined && roots.every((root) => Object.hasOwn(record, root))
    },
    put(cells, current) {
      const wanted = new Wanted(cells)
      const draft = new Draft(current)
      for (const binding of writing) binding.put(wanted, draft)
      return draft.changes()
    },
  }
}

function rootsOf(places: readonly Place[]): string[] {
  return [...new Set(places.map(({ root }) => root))].sort()
}
