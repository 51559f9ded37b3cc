import { parse } from 'yaml'
import { z } from 'zod'
import { fieldOf, type FieldDef } from '../engine/core/catalogue.ts'
import type { Filter, FilterTest } from '../engine/core/include.ts'
import { INCLUDE_DEPTH_MAX } from './limits.ts'
import type { Path } from './source.ts'
import { didYouMean } from './suggest.ts'

/**
 * The `include:` of a connection, as written:
 *
 *     include:
 *       tags: { has: customer }          # a set holds it
 *       emails: present                  # or: blank
 *       any:
 *         - organisation: { is: Example Ltd }
 *         - emails: { endsWith: "@example.org" }
 *       not: { title: { in: [Intern, Trainee] } }
 *
 * Everything written side by side must hold.
 */
export type IncludeDocument = {
  readonly any?: readonly IncludeDocument[] | undefined
  readonly all?: readonly IncludeDocument[] | undefined
  readonly not?: IncludeDocument | undefined
} & { readonly [field: string]: unknown }

const Scalar = z.union([z.string(), z.number(), z.boolean()], { error: 'must be one value' })

const Tests = z.strictObject({
  has: Scalar.optional(),
  is: Scalar.optional(),
  in: z.array(Scalar).min(1).optional(),
  startsWith: z.string().min(1).optional(),
  endsWith: z.string().min(1).optional(),
  contains: z.string().min(1).optional(),
})

type Tests = z.infer<typeof Tests>

const Condition = z.union([z.enum(['present', 'blank']), Tests], {
  error: 'must be present, blank, or a test as { has: value }, { is: value }, { in: [values] } or { startsWith: text }',
})

/** The shape alone, for the schema that editors read; {@link compileInclude} knows the fields. */
export const IncludeShape: z.ZodType<IncludeDocument> = z
  .object({
    get any() {
      return z.array(IncludeShape).min(1).optional()
    },
    get all() {
      return z.array(IncludeShape).min(1).optional()
    },
    get not() {
      return IncludeShape.optional()
    },
  })
  .catchall(Condition) as unknown as z.ZodType<IncludeDocument>

export interface IncludeProblem {
  /** Within the include document. */
  readonly path: Path
  readonly what: 'key' | 'value'
  readonly message: string
  readonly advice: string
}

/** An include document that has the right shape, as the filter that the core evaluates. */
export function compileInclude(
  document: IncludeDocument,
  fields: ReadonlyMap<string, FieldDef>,
): { filter: Filter; problems: IncludeProblem[] } {
  const problems: IncludeProblem[] = []

  const compile = (part: IncludeDocument, path: Path): Filter => {
    if (path.length > 2 * INCLUDE_DEPTH_MAX) {
      const advice = `Write at most ${INCLUDE_DEPTH_MAX} levels.`
      problems.push({ path, what: 'value', message: 'the filter is nested too deep', advice })
      return { kind: 'all', of: [] }
    }
    const of: Filter[] = []
    for (const [key, value] of Object.entries(part)) {
      if (value === undefined) continue
      const at = [...path, key]
      const list = value as readonly IncludeDocument[]
      if (key === 'all') of.push(...list.map((item, index) => compile(item, [...at, index])))
      else if (key === 'any') of.push({ kind: 'any', of: list.map((item, index) => compile(item, [...at, index])) })
      else if (key === 'not') of.push({ kind: 'not', of: compile(value as IncludeDocument, at) })
      else of.push(condition(key, value as z.infer<typeof Condition>, at))
    }
    return of.length === 1 && of[0] ? of[0] : { kind: 'all', of }
  }

  const condition = (name: string, written: z.infer<typeof Condition>, path: Path): Filter => {
    const field = fields.get(fieldOf(name))
    if (!field || field.name !== name) {
      const advice = didYouMean(name, ['any', 'all', 'not', ...fields.keys()])
      problems.push({ path, what: 'key', message: `there is no field "${name}"`, advice })
      return { kind: 'all', of: [] }
    }
    const present: Filter = { kind: 'field', field: name, tests: [] }
    if (written === 'present') return present
    if (written === 'blank') return { kind: 'not', of: present }
    if (Object.keys(written).length === 0) {
      problems.push({
        path,
        what: 'value',
        message: `no test of "${name}" is named`,
        advice: 'Write present or blank.',
      })
    }
    const wrong = field.set ? 'is' : 'has'
    if (written[wrong] !== undefined) {
      const right = field.set ? 'has' : 'is'
      const message = `"${name}" holds ${field.set ? 'several values' : 'one value'}, so "${wrong}" says nothing`
      problems.push({ path: [...path, wrong], what: 'key', message, advice: `Write { ${right}: value }.` })
    }
    return { kind: 'field', field: name, tests: testsOf(written) }
  }

  return { filter: compile(document, []), problems }
}

/** A filter written on one line, as an operator types it: `{tags: {has: lead}}`. @returns null where it has no such shape */
export function readFilter(
  text: string,
  fields: ReadonlyMap<string, FieldDef>,
): { filter: Filter; problems: IncludeProblem[] } | null {
  let document: unknown
  try {
    document = parse(text)
  } catch {
    return null
  }
  const shape = IncludeShape.safeParse(document)
  return shape.success ? compileInclude(shape.data, fields) : null
}

function testsOf(written: Tests): FilterTest[] {
  const tests: FilterTest[] = []
  const one = written.has ?? written.is
  if (one !== undefined) tests.push({ op: 'in', values: [String(one)] })
  if (written.in) tests.push({ op: 'in', values: written.in.map(String) })
  for (const op of ['startsWith', 'endsWith', 'contains'] as const) {
    const text = written[op]
    if (text !== undefined) tests.push({ op, text })
  }
  return tests
}
