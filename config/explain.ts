import { z } from 'zod'
import type { Json } from '../engine/core/json.ts'
import type { Diagnostic } from './diagnostics.ts'
import type { Path, Source } from './source.ts'
import { didYouMean, nearest } from './suggest.ts'

type Issue = z.core.$ZodIssue

/** What the checks of one part of a file need to speak of it. */
export interface Subject {
  readonly source: Source
  /** Where the checked value stands in the file. */
  readonly base: Path
  readonly schema: z.ZodType
  /** Names that are allowed at the top of the value although the schema does not know them. */
  readonly alsoKnown?: readonly string[]
  /** Paths within the value that hold secrets: nothing is said about their content. */
  readonly secrets?: readonly string[]
}

/** A schema's complaints about a part of a file, each at its place, in the operator's words. */
export function explain(issues: readonly Issue[], subject: Subject): Diagnostic[] {
  return issues.flatMap((issue) => explainOne(issue, subject))
}

function explainOne(issue: Issue, subject: Subject): Diagnostic[] {
  const { source, base } = subject
  const inner = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step))
  const path = [...base, ...inner]
  // Said already: its variable is not set.
  if (source.unresolved(path)) return []
  const name = path.length === 0 ? 'the file' : `"${nameOf(path)}"`
  const value = source.at(path)
  const say = (message: string, advice: string, what: 'key' | 'value' = 'value'): Diagnostic[] => [
    { ...source.place(path, what), message, advice },
  ]
  const secret = subject.secrets?.includes(String(inner[0])) ?? false

  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = [...keysAt(subject.schema, inner), ...(inner.length === 0 ? (subject.alsoKnown ?? []) : [])]
      return issue.keys.map((key) => ({
        ...source.place([...path, key], 'key'),
        message: `${name} has no option "${key}"`,
        advice: didYouMean(key, known),
      }))
    }
    case 'invalid_type':
      return invalidType(issue.expected, value, name, say, issue.message, subject, inner)
    case 'invalid_value': {
      const words = issue.values.map(String)
      if (value === undefined) return say(`${name} is missing`, `Write one of: ${words.join(', ')}.`, 'key')
      const meant = secret || typeof value !== 'string' ? undefined : nearest(value, words)
      const hint = meant === undefined ? '' : ` Did you mean "${meant}"?`
      return say(`${name} must be ${listed(words)}`, `Write one of these.${hint}`)
    }
    case 'invalid_union':
      return explainUnion(issue, subject, () => {
        if (value === undefined) return say(`${name} is missing`, 'Add it.', 'key')
        if (!issue.message.startsWith('Invalid input')) return say(sentence(name, issue.message), 'Correct the value.')
        const wanted = new Set(everyIssue(issue.errors.flat()).filter(isOtherKind).flatMap(expectationOf))
        return say(`${name} must be ${listed([...wanted])}, not ${wordFor(kindOf(value))}`, 'Correct the value.')
      })
    case 'invalid_key':
      return say(issue.issues[0]?.message ?? 'this name is not allowed', 'Choose another name.', 'key')
    case 'too_small':
      return say(`${name} ${sizeOf(issue.origin, 'at least', Number(issue.minimum))}`, 'Correct the value.')
    case 'too_big':
      return say(`${name} ${sizeOf(issue.origin, 'at most', Number(issue.maximum))}`, 'Correct the value.')
    case 'custom': {
      const { advice, at } = (issue.params ?? {}) as { advice?: unknown; at?: unknown }
      const message = secret ? `${name} is not accepted` : sentence(name, issue.message)
      return say(message, typeof advice === 'string' ? advice : 'Correct the value.', at === 'key' ? 'key' : 'value')
    }
    default:
      return say(secret ? `${name} is not accepted` : sentence(name, issue.message), 'Correct the value.')
  }
}

function invalidType(
  expected: string,
  value: Json | undefined,
  name: string,
  say: (message: string, advice: string, what?: 'key' | 'value') => Diagnostic[],
  own: string,
  subject: Subject,
  inner: Path,
): Diagnostic[] {
  if (value === undefined) return say(`${name} is missing`, 'Add it.', 'key')
  // A schema that has words of its own for this says more than the types.
  if (!own.startsWith('Invalid input')) return say(sentence(name, own), 'Correct the value.')
  const found = wordFor(kindOf(value))
  switch (expected) {
    case 'object':
    case 'record': {
      const keys = keysAt(subject.schema, inner)
      const advice = `Write "name: value" lines below it${keys.length > 0 ? `; known here: ${keys.join(', ')}` : ''}.`
      return say(`${name} must be a map, not ${found}`, advice)
    }
    case 'array':
      return say(`${name} must be a list, not ${found}`, 'Write [first, second], or lines that start with "- ".')
    case 'string': {
      const quoted = typeof value === 'number' || typeof value === 'boolean'
      return say(`${name} must be text, not ${found}`, quoted ? 'Put it in double quotes.' : 'Write one text value.')
    }
    case 'int':
      return say(`${name} must be a whole number`, 'Correct the value.')
    default:
      return say(`${name} must be ${wordFor(expected)}, not ${found}`, 'Correct the value.')
  }
}

/** Of a union, the branch that the operator most likely meant: the right kind of value, and the least to complain of. */
function explainUnion(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  subject: Subject,
  otherwise: () => Diagnostic[],
): Diagnostic[] {
  const [meant] = issue.errors
    .filter((branch) => branch.length > 0 && !branch.some(isOtherKind))
    .toSorted((a, b) => a.length - b.length)
  const ownWords = !issue.message.startsWith('Invalid input')
  if (!meant || (ownWords && meant.some(({ path }) => path.length === 0))) return otherwise()
  return explain(
    meant.map((deeper) => ({ ...deeper, path: [...issue.path, ...deeper.path] })),
    subject,
  )
}

/** Whether an issue says that the value as a whole is of another kind than the schema speaks of. */
function isOtherKind(issue: Issue): boolean {
  if (issue.path.length > 0) return false
  if (issue.code === 'invalid_union') return issue.errors.every((branch) => branch.some(isOtherKind))
  return issue.code === 'invalid_type' || issue.code === 'invalid_value'
}

/** The issues of a union's branches too, with whole paths. */
export function everyIssue(issues: readonly Issue[]): Issue[] {
  return issues.flatMap((issue) => {
    if (issue.code !== 'invalid_union') return [issue]
    const deeper = issue.errors.flat().map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }))
    return [issue, ...everyIssue(deeper)]
  })
}

type Shape = { readonly [key: string]: unknown }

/** The names a schema knows at a path. */
export function keysAt(schema: z.ZodType, path: Path): string[] {
  const root = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Shape
  const resolve = (node: Shape): Shape => {
    const ref = node['$ref']
    if (typeof ref !== 'string') return node
    const steps = ref.split('/').slice(1)
    return resolve(steps.reduce<Shape>((at, step) => (at[step] ?? {}) as Shape, root))
  }
  const branches = (node: Shape): Shape[] => {
    const own = resolve(node)
    const parts = ['anyOf', 'oneOf', 'allOf'].flatMap((word) => (own[word] ?? []) as Shape[])
    return [own, ...parts.flatMap(branches)]
  }
  let nodes = branches(root)
  for (const step of path) {
    nodes = nodes
      .flatMap(({ properties, additionalProperties, items }) => {
        const next = (properties as Shape | undefined)?.[step] ?? additionalProperties ?? items
        return typeof next === 'object' && next !== null ? [next as Shape] : []
      })
      .flatMap(branches)
  }
  return [...new Set(nodes.flatMap((node) => Object.keys((node['properties'] ?? {}) as Shape)))]
}

function nameOf(path: Path): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .replace(/^\./, '')
}

/** Messages of a schema are either a predicate ("must be ...") or a sentence of their own. */
function sentence(name: string, message: string): string {
  const text = message.replace(/\.$/, '')
  if (/^(must|is|has|names|needs|cannot) /.test(text)) return `${name} ${text}`
  return text.includes(name) || text.startsWith('"') ? text : `${name}: ${text.charAt(0).toLowerCase()}${text.slice(1)}`
}

function sizeOf(origin: string, bound: string, size: number): string {
  if (origin === 'array' || origin === 'set') return `must list ${bound} ${size}`
  if (origin !== 'string') return `must be ${bound} ${size}`
  return size === 1 && bound === 'at least' ? 'must not be empty' : `must have ${bound} ${size} characters`
}

function kindOf(value: Json): string {
  return value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value
}

const KINDS: { readonly [kind: string]: string } = {
  null: 'empty',
  array: 'a list',
  object: 'a map',
  record: 'a map',
  tuple: 'a list',
  int: 'a whole number',
  string: 'text',
  number: 'a number',
  boolean: 'true or false',
}

function wordFor(kind: string): string {
  return KINDS[kind] ?? kind
}

function expectationOf(issue: Issue): string[] {
  if (issue.code === 'invalid_type') return [wordFor(issue.expected)]
  return issue.code === 'invalid_value' ? issue.values.map(String) : []
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}
