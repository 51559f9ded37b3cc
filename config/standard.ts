import { z } from 'zod'
import type { Address, FieldDef, FieldType } from '../engine/core/catalogue.ts'
import { canMend, FORMATS, type Check, type Format } from '../engine/core/standard-checks.ts'
import type { StandardRule } from '../engine/core/standard.ts'
import type { Checker } from './check.ts'
import type { Path } from './source.ts'
import { didYouMean } from './suggest.ts'

/**
 * The `standard:` of kith.yaml, as written:
 *
 *     standard:
 *       phones: { format: e164, do: fix, else: hold }
 *       emails:
 *         - { format: email, do: fix, else: hold }
 *         - { required: true, do: hold, in: [sheet] }
 *       addresses.country: { format: country, do: fix }
 */

const PARTS: readonly (keyof Address)[] = ['pobox', 'extended', 'street', 'locality', 'region', 'postcode', 'country']

const TEXT_TYPES: readonly FieldType[] = ['text', 'multiline', 'email', 'phone', 'date', 'url', 'tag']

/** The types of field that a format makes sense for. */
const FORMAT_TYPES: { readonly [format in Format]: readonly FieldType[] } = {
  e164: ['phone', 'text'],
  phone: ['phone', 'text'],
  email: ['email', 'text'],
  country: ['text', 'tag'],
  url: ['url', 'text'],
  date: ['date', 'text'],
}

const LENGTH_MAX = 1_000_000

const length = z
  .union([
    z.int().min(1).max(LENGTH_MAX),
    z.strictObject({
      min: z.int().min(0).max(LENGTH_MAX).optional(),
      max: z.int().min(1).max(LENGTH_MAX).optional(),
    }),
  ])
  .describe('How many characters: at most so many, or { min: 2, max: 40 }.')

const Rule = z
  .strictObject({
    required: z.literal(true).optional().describe('A new person without it waits (with do: hold).'),
    format: z
      .enum(FORMATS as [Format, ...Format[]])
      .optional()
      .describe('What a value must look like. e164 is a phone number as +4930901820; phone one that can be read so.'),
    pattern: z
      .string()
      .min(1)
      .optional()
      .describe('A regular expression that the whole value fits. In single quotes, so that YAML leaves it alone.'),
    allowed: z
      .array(z.union([z.string().min(1), z.number(), z.boolean()]))
      .min(1)
      .optional()
      .describe('The values there may be. fix corrects case and spaces.'),
    length: length.optional(),
    trim: z.literal(true).optional().describe('No stray spaces.'),
    case: z
      .enum(['upper', 'lower', 'title'])
      .optional()
      .describe('title: ADA KING and ada king become Ada King; van der Berg is left alone.'),
    do: z
      .enum(['fix', 'warn', 'hold'])
      .default('warn')
      .describe('fix: repaired, and the repaired value goes everywhere. warn: counted. hold: waits for an operator.'),
    else: z
      .enum(['warn', 'hold'])
      .optional()
      .describe('What happens to a value that fix cannot repair. Default: warn.'),
    in: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .describe('The connections at whose door it is asked for. Default: all.'),
  })
  .describe('What is asked of a field, and what happens to what does not meet it.')

type Rule = z.infer<typeof Rule>

const Rules = z.union([Rule, z.array(Rule).min(1)], {
  error: 'must be what is asked, as { format: e164, do: fix }, or a list of such',
})

/** The shape alone, for these fields; {@link readStandard} knows what fits which field. */
export function standardShape(fields: Iterable<FieldDef>) {
  return z.strictObject(Object.fromEntries(namesOf(fields).map((name) => [name, Rules.optional()])))
}

/** A field by its name; of an address also each part of it. */
function namesOf(fields: Iterable<FieldDef>): string[] {
  return [...fields].flatMap(({ name, type }) =>
    type === 'address' ? [name, ...PARTS.map((part) => `${name}.${part}`)] : [name],
  )
}

/** The checked rules of the file; what is wrong is reported at its place. */
export function readStandard(
  check: Checker,
  fields: ReadonlyMap<string, FieldDef>,
  connections: readonly string[],
): StandardRule[] {
  const path = ['standard']
  if (check.source.at(path) === undefined) return []
  const written = check.section(standardShape(fields.values()), path) as
    { readonly [name: string]: Rule | Rule[] | undefined } | undefined
  return Object.entries(written ?? {}).flatMap(([name, one]) => {
    const target = targetOf(name, fields)
    if (!target || one === undefined) return []
    const list = Array.isArray(one) ? one : [one]
    return list.flatMap((rule, index) => {
      const at = [...path, name, ...(Array.isArray(one) ? [index] : [])]
      return compile(rule, target, at, check, connections)
    })
  })
}

interface Target {
  readonly name: string
  readonly field: FieldDef
  readonly part: keyof Address | null
}

function targetOf(name: string, fields: ReadonlyMap<string, FieldDef>): Target | undefined {
  const whole = fields.get(name)
  if (whole) return { name, field: whole, part: null }
  const dot = name.lastIndexOf('.')
  const field = fields.get(name.slice(0, dot))
  const part = PARTS.find((known) => known === name.slice(dot + 1))
  return field && part ? { name, field, part } : undefined
}

function compile(rule: Rule, target: Target, at: Path, check: Checker, connections: readonly string[]): StandardRule[] {
  const checks = checksOf(rule)
  if (checks.length === 0) {
    const advice = 'Write one of required, format, pattern, allowed, length, trim, case.'
    check.report(at, 'value', `"${at.join('.')}" asks for nothing`, advice)
    return []
  }
  for (const [index, name] of (rule.in ?? []).entries()) {
    if (connections.includes(name)) continue
    check.report([...at, 'in', index], 'value', 'there is no such connection', didYouMean(name, connections))
  }
  if (rule.else !== undefined && rule.do !== 'fix') {
    const advice = `Leave it out, or write do: fix.`
    check.report([...at, 'else'], 'key', `"else" is for what fix cannot repair, and "do" is ${rule.do}`, advice)
  }
  return checks.flatMap(([key, asked]): StandardRule[] => {
    const wrong = faultIn(asked, key, rule, target)
    if (wrong) {
      check.report([...at, wrong.at], 'value', wrong.message, wrong.advice)
      return []
    }
    return [
      {
        id: `${target.name}.${key}`,
        field: target.field.name,
        part: target.part,
        check: asked,
        action: rule.do,
        otherwise: rule.else ?? 'warn',
        connections: rule.in ?? null,
      },
    ]
  })
}

function checksOf(rule: Rule): [keyof Rule, Check][] {
  const checks: [keyof Rule, Check][] = []
  // In the order in which repairs build on each other.
  if (rule.trim) checks.push(['trim', { kind: 'trim' }])
  if (rule.case !== undefined) checks.push(['case', { kind: 'case', letters: rule.case }])
  if (rule.format !== undefined) checks.push(['format', { kind: 'format', format: rule.format }])
  if (rule.allowed !== undefined) checks.push(['allowed', { kind: 'allowed', values: rule.allowed.map(String) }])
  if (rule.pattern !== undefined) checks.push(['pattern', { kind: 'pattern', source: rule.pattern }])
  if (rule.length !== undefined) {
    const { min = 0, max = LENGTH_MAX } = typeof rule.length === 'number' ? { max: rule.length } : rule.length
    checks.push(['length', { kind: 'length', min, max }])
  }
  if (rule.required) checks.push(['required', { kind: 'required' }])
  return checks
}

/** What is wrong with a check on this field; undefined where nothing is. */
function faultIn(
  asked: Check,
  key: keyof Rule,
  rule: Rule,
  { name, field, part }: Target,
): { at: keyof Rule; message: string; advice: string } | undefined {
  const type: FieldType = part === null ? field.type : 'text'
  if (asked.kind === 'required') {
    return rule.do === 'fix'
      ? { at: 'do', message: 'what is missing cannot be repaired', advice: 'Write do: hold, or do: warn.' }
      : undefined
  }
  if (type === 'address') {
    const advice = `Name the part: ${PARTS.map((known) => `${name}.${known}`).join(', ')}.`
    return { at: key, message: `${name} holds whole addresses, and ${key} is about one text`, advice }
  }
  if (asked.kind !== 'allowed' && !TEXT_TYPES.includes(type)) {
    return { at: key, message: `${key} is about text, and ${name} is a ${type} field`, advice: 'Write allowed: [...].' }
  }
  if (asked.kind === 'format' && !FORMAT_TYPES[asked.format].includes(type)) {
    const fitting = FORMATS.filter((format) => FORMAT_TYPES[format].includes(type))
    const advice = fitting.length > 0 ? `Here fit: ${fitting.join(', ')}.` : 'Write a pattern.'
    return { at: 'format', message: `${asked.format} is no format of a ${type} field`, advice }
  }
  if (asked.kind === 'length' && asked.min > asked.max) {
    return { at: 'length', message: 'min is more than max', advice: 'Correct the values.' }
  }
  if (asked.kind === 'pattern') {
    try {
      new RegExp(`^(?:${asked.source})$`, 'u')
    } catch {
      const advice = 'Correct it; in single quotes a \\ stands for itself.'
      return { at: 'pattern', message: 'this is no regular expression', advice }
    }
  }
  if (rule.do === 'fix' && !canMend(asked) && rule.else === undefined && alone(rule)) {
    const why = asked.kind === 'format' ? 'format: phone' : asked.kind
    return { at: 'do', message: `${why} has no repair`, advice: 'Write do: hold, or do: warn.' }
  }
  return undefined
}

/** Beside others that have a repair, a check without one says what `else` is for. */
function alone(rule: Rule): boolean {
  return !checksOf(rule).some(([, asked]) => canMend(asked))
}
