import type { Catalogue, Cells, Element, FieldDef, FieldType } from '../engine/core/catalogue.ts'
import type { Json } from '../engine/core/json.ts'
import type { Lens } from '../engine/core/ports/lens.ts'

/** Values such as people write them, chosen for what apps are known to spoil: case, accents, blanks, length, a missing year. */
const SAMPLES: { readonly [type in FieldType]: readonly Json[] } = {
  text: ['Ada', 'van der Berg', 'MÜLLER', 'émile o’neil', '山田', '4711', 'yes', 'x'.repeat(60)],
  multiline: ['one line', 'two\nlines', 'Grüße,\n\n  indented'],
  email: ['ada@example.org', 'Ada.King@Example.ORG'],
  phone: ['+49 30 901820', '+1 (212) 555-2368', '112'],
  address: [
    { street: '1 Main St', locality: 'Springfield', region: 'IL', postcode: '62701', country: 'USA' },
    { pobox: 'PO 7', extended: 'Floor 2', street: 'Allee 3', locality: 'Köln', postcode: '50667', country: 'Germany' },
  ],
  date: ['1985-04-12', '2000-02-29', '--12-31'],
  url: ['https://example.org/ada?x=1', 'example.org'],
  tag: ['friends', 'Q3 Customers', 'Größe'],
  number: [0, 42, -1.5, 1e21],
  boolean: [true, false],
}

const ROUNDS = 4

/**
 * Sends samples through `put` and `get`: `lossy` where one comes back as something else, `oscillating` where it is something
 * else again each time. undefined where all come back as they were.
 */
export function probe(lens: Lens, catalogue: Catalogue, field: FieldDef): 'lossy' | 'oscillating' | undefined {
  let worst: 'lossy' | undefined
  for (const sample of samplesOf(field, catalogue)) {
    let cells = sample
    for (let round = 0; round < ROUNDS; round++) {
      const back = only(field, lens.get(lens.put(cells, null)))
      if (agree(catalogue, cells, back)) break
      if (round === ROUNDS - 1) return 'oscillating'
      worst = 'lossy'
      cells = back
    }
  }
  return worst
}

function samplesOf(field: FieldDef, catalogue: Catalogue): Cells[] {
  const values = SAMPLES[field.type]
  if (!field.set) return values.map((value) => ({ [field.name]: value }))
  const cell = (value: Json): Cells => {
    const element: Element = { value }
    return { [catalogue.elementCell(field, element)]: element as unknown as Json }
  }
  return [...values.map(cell), Object.assign({}, ...values.map(cell)) as Cells]
}

function only(field: FieldDef, cells: Cells): Cells {
  const own = (cell: string): boolean => cell === field.name || cell.startsWith(`${field.name}:`)
  return Object.fromEntries(Object.entries(cells).filter(([cell]) => own(cell)))
}

/** Whether both say the same, cell by cell. */
export function agree(catalogue: Catalogue, a: Cells, b: Cells): boolean {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((cell) => catalogue.equal(cell, a[cell], b[cell]))
}
