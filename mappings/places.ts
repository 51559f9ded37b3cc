import { isBlank, sameJson, type Json, type JsonObject } from '../engine/core/json.ts'
import type { AppField } from '../engine/core/ports/connector.ts'

/** Where a value stands in a record: an app field, or a part of an object or list that an app field holds. */
export interface Place {
  /** The app field. */
  readonly root: string
  readonly path: readonly (string | number)[]
  /** What the account says of the app field, where it does. */
  readonly field?: AppField
}

/** What the place holds; undefined where the app field is absent or has no such part. */
export function readPlace(record: JsonObject, place: Place): Json | undefined {
  return Object.hasOwn(record, place.root) ? descend(record[place.root], place.path) : undefined
}

function descend(whole: Json | undefined, path: Place['path']): Json | undefined {
  let value = whole
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return key === 0 && typeof value === 'string' ? value : undefined
    value = Array.isArray(value)
      ? typeof key === 'number'
        ? value[key]
        : undefined
      : Object.hasOwn(value, key)
        ? value[key]
        : undefined
  }
  return value
}

/** A record under change: reads see what was written, and what comes out are the app fields that differ. */
export class Draft {
  readonly #current: JsonObject
  readonly #written = new Map<string, Json>()
  /** Whether the record is yet to be created. */
  readonly isNew: boolean

  constructor(current: JsonObject | null) {
    this.#current = current ?? {}
    this.isNew = current === null
  }

  /** The record as it was. */
  get before(): JsonObject {
    return this.#current
  }

  read(place: Place): Json | undefined {
    const written = this.#written.get(place.root)
    return written === undefined ? readPlace(this.#current, place) : descend(written, place.path)
  }

  /** Puts `value` in the place, null to blank it; the other parts of the app field stay. */
  write(place: Place, value: Json): void {
    const whole = this.#written.has(place.root) ? this.#written.get(place.root) : this.#current[place.root]
    this.#written.set(place.root, withPart(whole, place.path, 0, value))
  }

  changes(): JsonObject {
    const changes: JsonObject = {}
    for (const [root, value] of this.#written) {
      const was = this.#current[root]
      if (sameJson(value, was) || (value === null && isBlank(was))) continue
      changes[root] = value
    }
    return changes
  }
}

function withPart(whole: Json | undefined, path: Place['path'], depth: number, value: Json): Json {
  const key = path[depth]
  if (key === undefined) return value
  if (typeof key === 'number') {
    const list: Json[] = Array.isArray(whole) ? [...whole] : typeof whole === 'string' ? [whole] : []
    while (list.length < key) list.push('')
    list[key] = withPart(list[key], path, depth + 1, value) ?? ''
    while (list.length > 0 && isBlank(list[list.length - 1])) list.pop()
    return list.length === 0 ? null : list
  }
  const members: JsonObject = typeof whole === 'object' && whole !== null && !Array.isArray(whole) ? { ...whole } : {}
  const part = withPart(Object.hasOwn(members, key) ? members[key] : undefined, path, depth + 1, value)
  // A blanked part is said to be blank: an app may take a part that is not named as one to leave alone.
  if (part !== null) members[key] = part
  else if (Object.hasOwn(members, key)) members[key] = ''
  return isBlank(members) ? null : members
}

/** The app fields of an account, to be found by name: exactly, else by letters and digits alone, whatever the case. */
export class AppFields {
  readonly #exact: ReadonlyMap<string, AppField>
  readonly #loose = new Map<string, AppField>()
  readonly #open: boolean

  /** @param open the app takes any field name, so that none is missing */
  constructor(available: readonly AppField[], open: boolean) {
    this.#exact = new Map(available.map((field) => [field.name, field]))
    for (const field of available) {
      const key = looseName(field.name)
      if (!this.#loose.has(key)) this.#loose.set(key, field)
    }
    this.#open = open
  }

  get names(): Iterable<string> {
    return this.#exact.keys()
  }

  /** All places that one of the names stands for, the most wanted first. */
  find(names: readonly string[]): Place[] {
    const known = names.flatMap((name) => this.#place(name) ?? [])
    const first = names[0]
    return known.length === 0 && this.#open && first !== undefined ? [pathOf(first)] : known
  }

  #place(name: string): Place | undefined {
    const whole = this.#lookup(name)
    if (whole) return { root: whole.name, path: [], field: whole }
    const { root, path } = pathOf(name)
    const field = path.length > 0 ? this.#lookup(root) : undefined
    return field && { root: field.name, path, field }
  }

  #lookup(name: string): AppField | undefined {
    return this.#exact.get(name) ?? this.#loose.get(looseName(name))
  }
}

function pathOf(name: string): Place {
  const [root = name, ...rest] = name.split('.')
  return { root, path: rest.map((part) => (/^\d+$/.test(part) ? Number(part) : part)) }
}

/** `E-mail 1 - Value`, `email_1_value` and `Email 1 Value` are one header to people. */
function looseName(name: string): string {
  return name
    .normalize('NFC')
    .toLowerCase()
    .replace(/[\s_-]+/g, '')
}

/** How the place is named in a mapping and in messages. */
export function placeName(place: Place): string {
  return [place.root, ...place.path].join('.')
}

/** Whether writing one place may change the other. */
export function overlaps(a: Place, b: Place): boolean {
  if (a.root !== b.root) return false
  const shared = Math.min(a.path.length, b.path.length)
  return a.path.slice(0, shared).every((key, index) => key === b.path[index])
}
