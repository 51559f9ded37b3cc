import type { z } from 'zod'
import type { Json } from '../engine/core/json.ts'
import type { Diagnostic } from './diagnostics.ts'
import { everyIssue, explain, type Subject } from './explain.ts'
import type { Path, Source } from './source.ts'

/** Gathers everything wrong with one file while its parts are checked one by one. */
export class Checker {
  readonly source: Source
  readonly errors: Diagnostic[] = []
  readonly warnings: Diagnostic[] = []

  constructor(source: Source) {
    this.source = source
  }

  /**
   * Checks the part of the file at `base`; undefined when it is wrong, which is then reported.
   * @param instead what is checked where the file says nothing
   */
  section<Schema extends z.ZodType>(schema: Schema, base: Path, instead?: Json): z.output<Schema> | undefined {
    return this.value(this.source.at(base) ?? instead, { source: this.source, base, schema }) as z.output<Schema>
  }

  /** Checks a value that stands at `subject.base`, though it may have been changed since (a secret filled in). */
  value(value: Json | undefined, subject: Subject): unknown {
    let result = subject.schema.safeParse(value)
    if (!result.success && value !== undefined) {
      const retyped = retype(value, result.error.issues, subject)
      if (retyped) result = subject.schema.safeParse(retyped)
    }
    if (result.success) return result.data
    this.errors.push(...explain(result.error.issues, subject))
    return undefined
  }

  report(path: Path, what: 'key' | 'value', message: string, advice: string): void {
    this.errors.push({ ...this.source.place(path, what), message, advice })
  }

  warn(path: Path, message: string, advice: string): void {
    this.warnings.push({ ...this.source.place(path), message, advice })
  }
}

/** The environment holds text only: a number or truth value that came from there is read as one where one is wanted. */
function retype(value: Json, issues: readonly z.core.$ZodIssue[], { source, base }: Subject): Json | undefined {
  const copy = structuredClone(value)
  let changed = false
  for (const issue of everyIssue(issues)) {
    if (issue.code !== 'invalid_type') continue
    const inner = issue.path.map(String)
    const last = inner.at(-1)
    if (last === undefined || !source.fromEnv([...base, ...inner])) continue
    const parent = inner.slice(0, -1).reduce<unknown>((at, step) => (at as { [key: string]: unknown })[step], copy) as {
      [key: string]: Json
    }
    const text = parent[last]
    if (typeof text !== 'string') continue
    const wanted = issue.expected
    if ((wanted === 'number' || wanted === 'int') && /^-?\d+(\.\d+)?$/.test(text)) parent[last] = Number(text)
    else if (wanted === 'boolean' && /^(true|false)$/.test(text)) parent[last] = text === 'true'
    else continue
    changed = true
  }
  return changed ? copy : undefined
}
