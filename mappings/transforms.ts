import type { Catalogue, FieldDef, FieldType } from '../engine/core/catalogue.ts'
import type { Json } from '../engine/core/json.ts'
import type { AppField } from '../engine/core/ports/connector.ts'
import { dateFormat, readDate } from './dates.ts'
import type { TransformSpec } from './schema.ts'

/**
 * How an app writes one value, and back. Laws, for every value of the field's type unless `lossy` is set: `get(put(x))` is
 * `x` under the catalogue's equality. A text that `get` cannot read passes as it is, so that what a human typed stays alive.
 */
export interface Transform {
  /** @param raw not blank. Undefined: the app says that there is no value. */
  get(raw: Json): Json | undefined
  /**
   * @param value not blank
   * @param current what the app holds now: tells a number from a text that spells one
   * @returns undefined where the app has no way to say the value; what it holds is then left alone
   */
  put(value: Json, current: Json | undefined): Json | undefined
  readonly lossy?: string
}

/** What a transform is made for. */
export interface TransformContext {
  readonly catalogue: Catalogue
  readonly field: FieldDef
  readonly appField: AppField | undefined
}

interface Kind {
  /** The types of field it can stand for; undefined: any that is written as a text. */
  readonly types?: readonly FieldType[]
  make(options: unknown, context: TransformContext): Transform
}

const TEXTS: readonly FieldType[] = ['text', 'multiline', 'email', 'phone', 'date', 'url', 'tag', 'number', 'boolean']

const text: Transform = {
  get: (raw) => asText(raw),
  put: (value) => asText(value),
}

function asText(value: Json): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

/** A transform of texts; other values pass through `text`. */
function ofText(
  get: (raw: string) => Json | undefined,
  put: (value: string) => string | undefined,
  lossy?: string,
): Transform {
  return {
    get: (raw) => (typeof raw === 'string' ? get(raw) : asText(raw)),
    put(value) {
      const written = asText(value)
      return written === undefined ? undefined : put(written)
    },
    ...(lossy === undefined ? {} : { lossy }),
  }
}

function makeDate(options: unknown, { appField }: TransformContext): Transform {
  // A field of the app's own type `date` refuses a birthday without its year; a text takes it.
  const typed = /^date(time)?$/i.test(appField?.type ?? '')
  const formats = (typeof options === 'string' ? [options] : ((options as string[] | undefined) ?? [])).map(dateFormat)
  const first = formats[0]
  return ofText(
    (raw) => {
      for (const format of formats) {
        const iso = format.read(raw)
        if (iso !== undefined) return iso
      }
      const iso = readDate(raw)
      return iso === undefined ? raw : (iso ?? undefined)
    },
    (value) => {
      const iso = readDate(value)
      if (iso === undefined || iso === null || (typed && iso.startsWith('--'))) return undefined
      // A date without its year in a format that wants one is written as ISO has it: get reads that always.
      return first?.write(iso) ?? iso
    },
    typed ? 'the app keeps no date without its year' : undefined,
  )
}

function makeNumber(_: unknown, { appField }: TransformContext): Transform {
  const numeric = /number|integer|int\b|float|double|decimal|currency/i.test(appField?.type ?? '')
  return {
    get(raw) {
      if (typeof raw === 'string' && /^\s*[+-]?\d+(\.\d+)?(e[+-]?\d+)?\s*$/i.test(raw)) return Number(raw)
      return typeof raw === 'number' ? raw : asText(raw)
    },
    put(value, current) {
      const number = typeof value === 'boolean' ? Number.NaN : Number(value)
      if (!Number.isFinite(number)) return undefined
      return typeof current === 'number' || (numeric && typeof current !== 'string') ? number : String(number)
    },
  }
}

const YES = new Set(['true', 'yes', 'y', '1', 'on', 'x', '✓'])
const NO = new Set(['false', 'no', 'n', '0', 'off'])

function makeBoolean(options: unknown, { appField }: TransformContext): Transform {
  const [yes, no] = (options as [string, string] | undefined) ?? ['true', 'false']
  const native = options === undefined && /bool/i.test(appField?.type ?? '')
  return {
    get(raw) {
      if (typeof raw === 'boolean') return raw
      const word = asText(raw)?.trim().toLowerCase() ?? ''
      if (word === yes.toLowerCase() || (options === undefined && YES.has(word))) return true
      if (word === no.toLowerCase() || (options === undefined && NO.has(word))) return false
      return asText(raw)
    },
    put(value, current) {
      if (typeof value !== 'boolean') return undefined
      return typeof current === 'boolean' || (native && typeof current !== 'string') ? value : value ? yes : no
    },
  }
}

function makePhone(_: unknown, { catalogue, field }: TransformContext): Transform {
  const phone: FieldDef = { ...field, type: 'phone' }
  return ofText(
    (raw) => raw,
    (value) => {
      const normal = catalogue.normal(phone, value)
      // Only a whole E.164 number reads the same everywhere; others stay as a human wrote them.
      return /^\+\d+$/.test(normal) ? normal : value
    },
    field.type === 'phone' ? undefined : 'numbers are written in international form',
  )
}

function makeMap(options: unknown): Transform {
  const toOurs = new Map(Object.entries(options as { [app: string]: Json }))
  const toTheirs = new Map<Json, string>()
  for (const [app, ours] of toOurs) if (!toTheirs.has(ours)) toTheirs.set(ours, app)
  return {
    get(raw) {
      const key = asText(raw)?.trim()
      return (key === undefined ? undefined : toOurs.get(key)) ?? asText(raw)
    },
    put(value) {
      const written = toTheirs.get(typeof value === 'string' ? value.trim() : value) ?? asText(value)
      // A value without an entry that the app would take for something else cannot be said.
      const means = written === undefined ? undefined : toOurs.get(written)
      return means !== undefined && !toTheirs.has(typeof value === 'string' ? value.trim() : value)
        ? undefined
        : written
    },
  }
}

function makeTruncate(options: unknown): Transform {
  const max = options as number
  return ofText(
    (raw) => raw,
    (value) => cut(value, max),
    `the app keeps at most ${max} characters`,
  )
}

/** The first `max` characters, no character of two halves cut in two. */
export function cut(value: string, max: number): string {
  if (value.length <= max) return value
  const last = value.charCodeAt(max - 1)
  return value.slice(0, last >= 0xd800 && last <= 0xdbff ? max - 1 : max)
}

/** Transforms of one value. Those of a whole set (elements, list, split) and of names are in lists.ts and naming.ts. */
const KINDS: { readonly [name: string]: Kind } = {
  text: { make: () => text },
  date: { types: ['date', 'text'], make: makeDate },
  number: { types: ['number'], make: makeNumber },
  boolean: { types: ['boolean'], make: makeBoolean },
  phone: { types: ['phone', 'text'], make: makePhone },
  upper: {
    make: () =>
      ofText(
        (raw) => raw,
        (value) => value.toUpperCase(),
        'the app keeps capitals only',
      ),
  },
  lower: {
    make: () =>
      ofText(
        (raw) => raw,
        (value) => value.toLowerCase(),
        'the app keeps small letters only',
      ),
  },
  map: { make: makeMap },
  truncate: { types: ['text', 'multiline', 'url', 'tag'], make: makeTruncate },
}

/** Transforms that need options, and so cannot be named alone. */
const NEEDS_OPTIONS = new Set(['map', 'truncate', 'split'])

/** Transforms of a whole set, and of a name's parts. */
export const SET_TRANSFORMS: readonly string[] = ['elements', 'list', 'split']
export const NAME_TRANSFORMS: readonly string[] = ['fullName', 'displayName']

export const TRANSFORM_NAMES: readonly string[] = [...Object.keys(KINDS), ...SET_TRANSFORMS, ...NAME_TRANSFORMS]

/** The name of a transform and what was said about it. */
export function transformOf(spec: TransformSpec): { name: string; options: unknown } {
  if (typeof spec === 'string') return { name: spec, options: undefined }
  const [name = '', options] = Object.entries(spec).find(([, value]) => value !== undefined) ?? []
  return { name, options }
}

/** What is wrong with a transform of one value on this field; undefined where nothing is. */
export function wrongTransform(spec: TransformSpec, field: FieldDef): { message: string; advice: string } | undefined {
  const { name, options } = transformOf(spec)
  const types = KINDS[name]?.types ?? TEXTS
  if (options === undefined && NEEDS_OPTIONS.has(name))
    return {
      message: `${name} needs to be told more`,
      advice: `write transform: { ${name}: ... }; see docs/mappings.md`,
    }
  if (!types.includes(field.type))
    return {
      message: `${name} is for ${types.join(' and ')} fields, and ${field.name} is a ${field.type} field`,
      advice: 'leave the transform out: the type of the field brings its own',
    }
  return undefined
}

/**
 * The transform of one value by name, or by the field's type where none is named.
 * @throws RangeError where its options make no sense (a date format without a day)
 */
export function makeTransform(spec: TransformSpec | undefined, context: TransformContext): Transform {
  const { type } = context.field
  const own = type === 'date' || type === 'number' || type === 'boolean' ? type : 'text'
  const { name, options } = transformOf(spec ?? own)
  const kind = KINDS[name]
  if (!kind) throw new RangeError(`there is no transform named ${name} for one value`)
  return kind.make(options, context)
}
