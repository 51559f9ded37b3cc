import {
  fieldOf,
  isElement,
  type Address,
  type Catalogue,
  type CellKey,
  type Cells,
  type Element,
} from './catalogue.ts'
import { isBlank, sameJson, type Json, type JsonObject } from './json.ts'
import type { Lens } from './ports/lens.ts'
import { canMend, meets, mended, wanted, type Check, type Readings } from './standard-checks.ts'

/**
 * What happens at the door to a value that is not up to the standard.
 *
 * - `fix`  it is repaired, and the repaired value counts: it is the person's, and flows back to where it came from
 * - `warn` it counts, and is counted
 * - `hold` it waits for an operator: it stays where it was said, and goes nowhere else
 */
export type DoorAction = 'fix' | 'warn' | 'hold'

/** One thing that the standard asks of one field. Plain data: it is part of a config. */
export interface StandardRule {
  /** `phones.format`, `addresses.country.format`: what audits and holds call it. */
  readonly id: string
  readonly field: string
  /** For addresses: the part that it is about. */
  readonly part: keyof Address | null
  readonly check: Check
  readonly action: DoorAction
  /** What happens to a value that `fix` cannot repair. */
  readonly otherwise: 'warn' | 'hold'
  /** The connections at whose door it is asked for; null for all. */
  readonly connections: readonly string[] | null
}

/** The start of the reason why a write waits for the standard's sake. */
export const STANDARD_HOLD = 'standard: '

/** A value that was repaired at the door. */
export interface Repair {
  /** The cell that the value as it was said belongs to; a repair may move an element of a set to another. */
  readonly from: CellKey
  readonly to: CellKey
  readonly before: Json
  readonly after: Json
  readonly by: readonly StandardRule[]
}

/** A repair that changes its own result is none: after so many rounds the value is left as it was said. */
const ROUNDS_MAX = 4

/** The data standard of a household. Pure: repairs are functions of the value alone, and repairing twice is repairing once. */
export class Standard {
  readonly rules: readonly StandardRule[]
  readonly #readings: Readings
  readonly #doors = new Map<string, Door>()

  constructor(rules: readonly StandardRule[], readings: Readings) {
    this.rules = rules
    this.#readings = readings
  }

  /** What is asked of values that come from a connection; of anybody else's (an operator's) only what is asked of all. */
  door(connection: string): Door {
    const known = this.#doors.get(connection)
    if (known) return known
    const rules = this.rules.filter(({ connections }) => connections === null || connections.includes(connection))
    const door = new Door(rules, this.#readings)
    this.#doors.set(connection, door)
    return door
  }

  /**
   * What a new person lacks that is required, so that nothing of them is created anywhere.
   * @param origins the connections that know the person; a rule for some connections is about people of these alone
   */
  lacking(cells: Cells, origins: readonly string[]): StandardRule[] {
    return this.rules.filter(
      ({ check, action, connections, field, part }) =>
        check.kind === 'required' &&
        action === 'hold' &&
        (connections === null || (origins.length > 0 && origins.every((name) => connections.includes(name)))) &&
        !isThere(cells, field, part),
    )
  }
}

/** Whether the field, or the part of one of its addresses, has a value. */
export function isThere(cells: Cells, field: string, part: keyof Address | null): boolean {
  return Object.keys(cells).some((cell) => {
    if (fieldOf(cell) !== field) return false
    const held = valueIn(cells[cell] ?? null)
    return !isBlank(part === null ? held : ((held as JsonObject | null)?.[part] ?? null))
  })
}

/** The standard as it holds for one connection. */
export class Door {
  readonly rules: readonly StandardRule[]
  readonly #readings: Readings
  readonly #byField: ReadonlyMap<string, readonly StandardRule[]>
  readonly #mending: ReadonlyMap<string, readonly StandardRule[]>

  constructor(rules: readonly StandardRule[], readings: Readings) {
    this.rules = rules
    this.#readings = readings
    this.#byField = Map.groupBy(rules, ({ field }) => field)
    const mending = rules.filter(({ action, check }) => action === 'fix' && canMend(check))
    this.#mending = Map.groupBy(mending, ({ field }) => field)
  }

  /** What a record says, as it counts. Without anything to repair these are the very same cells. */
  repaired(cells: Cells, catalogue: Catalogue): { readonly cells: Cells; readonly repairs: readonly Repair[] } {
    const repairs = Object.keys(cells).flatMap((cell) => this.#repair(cell, cells[cell] ?? null, catalogue) ?? [])
    if (repairs.length === 0) return { cells, repairs }
    const next: { [cell: CellKey]: Json } = { ...cells }
    for (const { from } of repairs) delete next[from]
    for (const { to, after } of repairs) {
      const twin = next[to]
      // Two spellings of one element: the one that says more of itself stays as it is.
      next[to] = isElement(twin) && isElement(after) ? { ...(after as JsonObject), ...(twin as JsonObject) } : after
    }
    return { cells: next, repairs }
  }

  #repair(cell: CellKey, said: Json, catalogue: Catalogue): Repair | undefined {
    const rules = this.#mending.get(fieldOf(cell))
    if (!rules || said === null) return undefined
    const before = valueIn(said)
    const { value, by } = this.#mend(rules, before)
    if (by.length === 0) return undefined
    const field = catalogue.field(fieldOf(cell))
    if (!field.set) return { from: cell, to: cell, before: said, after: value, by }
    const element = { ...(said as unknown as Element), value }
    return {
      from: cell,
      to: catalogue.elementCell(field, element),
      before: said,
      after: element as unknown as Json,
      by,
    }
  }

  /** All repairs in their order, until nothing changes any more: then the result is its own repair. */
  #mend(rules: readonly StandardRule[], value: Json): { value: Json; by: readonly StandardRule[] } {
    const by = new Set<StandardRule>()
    let current = value
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const before = current
      for (const rule of rules) {
        const next = this.#mendBy(rule, current)
        if (sameJson(next, current)) continue
        current = next
        by.add(rule)
      }
      if (sameJson(current, before))
        return sameJson(current, value) ? { value, by: [] } : { value: current, by: [...by] }
    }
    return { value, by: [] }
  }

  #mendBy({ check, part }: StandardRule, value: Json): Json {
    const mend = (text: Json | undefined): Json | undefined =>
      typeof text === 'string' && text !== '' ? (mended(check, text, this.#readings) ?? text) : text
    if (part === null) return mend(value) ?? value
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    const next = mend(value[part])
    return next === undefined ? value : { ...value, [part]: next }
  }

  /** What a value, repaired as far as it can be, still does not meet. */
  unmet(cell: CellKey, said: Json): StandardRule[] {
    const rules = this.#byField.get(fieldOf(cell))
    if (!rules || said === null) return []
    const value = valueIn(said)
    return rules.filter(({ check, part }) => {
      if (check.kind === 'required') return false
      if (part === null) return !meets(check, value, this.#readings)
      const own = (value as JsonObject | null)?.[part]
      return !isBlank(own) && !meets(check, own ?? null, this.#readings)
    })
  }

  /** Why a value must wait for an operator; undefined where it need not. */
  holds(cell: CellKey, said: Json): StandardRule | undefined {
    return this.unmet(cell, said).find((rule) => actionOn(rule) === 'hold')
  }

  /**
   * App fields that say the right thing in the wrong spelling: to the field's own equality the two are the same, so that a lens
   * leaves the app's spelling alone; here the standard asks for its own. Nothing else in these app fields changes.
   */
  respelled(lens: Lens, catalogue: Catalogue, fields: JsonObject): { patch: JsonObject; repairs: Repair[] } {
    const patch: { [field: string]: Json } = {}
    const done: Repair[] = []
    if (this.#mending.size === 0) return { patch, repairs: done }
    const { repairs } = this.repaired(lens.get(fields), catalogue)
    for (const repair of repairs) {
      const name = fieldOf(repair.to)
      if (repair.from !== repair.to || lens.fields.get(name)?.direction === 'in') continue
      if (!catalogue.equal(repair.to, repair.before, repair.after)) continue
      const now = { ...fields, ...patch }
      const spelled = respell(lens.sources.get(name) ?? [], now, textsOf(repair))
      const [before, after] = [lens.get(now), lens.get({ ...now, ...spelled })]
      const others = Object.keys({ ...before, ...after }).filter((cell) => cell !== repair.to)
      const apart = others.every((cell) => sameJson(before[cell], after[cell]))
      if (!apart || !sameJson(valueIn(after[repair.to] ?? null), valueIn(repair.after))) continue
      Object.assign(patch, spelled)
      done.push(repair)
    }
    return { patch, repairs: done }
  }
}

/** The texts that a repair replaces, and by which. */
function textsOf({ before, after }: Repair): ReadonlyMap<string, string> {
  const [from, to] = [valueIn(before), valueIn(after)]
  if (typeof from === 'string' && typeof to === 'string') return new Map([[from, to]])
  const parts = Object.entries((from ?? {}) as JsonObject).flatMap(([part, text]) => {
    const next = (to as JsonObject)[part]
    return typeof text === 'string' && typeof next === 'string' && text !== next ? [[text, next] as const] : []
  })
  return new Map(parts)
}

function respell(roots: readonly string[], fields: JsonObject, texts: ReadonlyMap<string, string>): JsonObject {
  const walk = (value: Json): Json => {
    if (typeof value === 'string') return texts.get(value) ?? value
    if (Array.isArray(value)) return value.map(walk)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, walk(inner)]))
  }
  const patch: { [field: string]: Json } = {}
  for (const root of roots) {
    const before = fields[root] ?? null
    const after = walk(before)
    if (!sameJson(before, after)) patch[root] = after
  }
  return patch
}

/** What happens to a value that does not meet a rule, once it was repaired as far as it can be. */
export function actionOn({ action, otherwise }: StandardRule): 'warn' | 'hold' {
  return action === 'fix' ? otherwise : action
}

/** One sentence for why somebody or something waits: `standard: E-mail is missing`. */
export function lackingReason(rules: readonly StandardRule[], title: (field: string) => string): string {
  const names = [...new Set(rules.map(({ field, part }) => title(field) + (part === null ? '' : ` (${part})`)))]
  return `${STANDARD_HOLD}${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} missing`
}

/** What a rule found fault with, in words: `is not a phone number as +4930901820`. */
export function faultOf({ check, part }: StandardRule): string {
  const where = part === null ? '' : `(${part}) `
  return check.kind === 'required' ? `${where}is missing` : `${where}is not ${wanted(check)}`
}

/** The value in a cell: of an element of a set, what it holds. */
export function valueIn(said: Json): Json {
  return isElement(said) ? (said.value ?? null) : said
}
