import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node } from 'yaml'
import type { Json, JsonObject } from '../engine/core/json.ts'
import type { Diagnostic, Place } from './diagnostics.ts'
import { CONFIG_DEPTH_MAX, CONFIG_NODES_MAX } from './limits.ts'
import { explainSyntax, NO_ANCHOR } from './syntax.ts'

/** Where a value stands in a document: `['connections', 'crm', 'app']`. */
export type Path = readonly (string | number)[]

export type Environment = { readonly [name: string]: string | undefined }

interface Mark {
  readonly key: number | undefined
  readonly value: number
  /** The text as written, before `${NAME}` was filled in. */
  readonly written: string | undefined
  readonly fromEnv: boolean
  readonly unresolved: boolean
}

/** A YAML document as plain data that still knows where everything stood. */
export class Source {
  readonly file: string
  readonly value: Json | undefined
  readonly #marks: ReadonlyMap<string, Mark>
  readonly #lines: LineCounter

  constructor(file: string, value: Json | undefined, marks: ReadonlyMap<string, Mark>, lines: LineCounter) {
    this.file = file
    this.value = value
    this.#marks = marks
    this.#lines = lines
  }

  /** Where a value, or its key, stands; where it is absent, where the nearest thing around it stands. */
  place(path: Path, what: 'key' | 'value' = 'value'): Place {
    const mark = this.#marks.get(keyOf(path))
    if (!mark) return path.length === 0 ? { file: this.file, line: 1, column: 1 } : this.place(path.slice(0, -1), 'key')
    const { line, col } = this.#lines.linePos(what === 'key' ? (mark.key ?? mark.value) : mark.value)
    return { file: this.file, line, column: col }
  }

  at(path: Path): Json | undefined {
    return path.reduce<Json | undefined>((value, step) => {
      if (typeof value !== 'object' || value === null) return undefined
      return Array.isArray(value) ? value[Number(step)] : Object.hasOwn(value, step) ? value[step] : undefined
    }, this.value)
  }

  /** Whether the text, or a part of it, came from the environment. */
  fromEnv(path: Path): boolean {
    return this.#marks.get(keyOf(path))?.fromEnv ?? false
  }

  /** Whether the text names a variable that is not set: said once, and not again as a wrong value. */
  unresolved(path: Path): boolean {
    return this.#marks.get(keyOf(path))?.unresolved ?? false
  }

  /** The text as the operator wrote it, `${NAME}` and all. */
  written(path: Path): string | undefined {
    return this.#marks.get(keyOf(path))?.written
  }
}

/**
 * Reads a YAML text and fills in `${NAME}` and `${NAME:-default}` in its text values; `$${` stands for a plain `${`.
 *
 * @param interpolates whether a value takes part in that; mappings do not, so that one reads alike in a file and inline
 */
export function parseSource(
  file: string,
  text: string,
  env: Environment,
  interpolates: (path: Path) => boolean = () => true,
): { source: Source; problems: Diagnostic[] } {
  const lines = new LineCounter()
  const body = text.replace(/^\uFEFF/, '')
  // The parser's own pretty errors quote the line, which may hold a secret.
  const document = parseDocument(body, { lineCounter: lines, prettyErrors: false, strict: true, uniqueKeys: true })
  const problems: Diagnostic[] = [...document.errors, ...document.warnings].map((error) => {
    const { line, col } = lines.linePos(error.pos[0])
    return { file, line: Math.max(1, line), column: Math.max(1, col), ...explainSyntax(error, body) }
  })
  const reader = new Reader(file, document, lines, env, interpolates)
  const value = problems.length > 0 || !document.contents ? undefined : reader.read(document.contents, [], undefined)
  // What was cut off for its size has no shape to speak of.
  const whole = reader.tooLarge ? undefined : value
  return { source: new Source(file, whole, reader.marks, lines), problems: [...problems, ...reader.problems] }
}

class Reader {
  readonly marks = new Map<string, Mark>()
  readonly problems: Diagnostic[] = []
  readonly #file: string
  readonly #document: Document
  readonly #lines: LineCounter
  readonly #env: Environment
  readonly #interpolates: (path: Path) => boolean
  #nodes = 0

  get tooLarge(): boolean {
    return this.#nodes > CONFIG_NODES_MAX
  }

  constructor(
    file: string,
    document: Document,
    lines: LineCounter,
    env: Environment,
    interpolates: (path: Path) => boolean,
  ) {
    this.#file = file
    this.#document = document
    this.#lines = lines
    this.#env = env
    this.#interpolates = interpolates
  }

  read(node: unknown, path: Path, key: number | undefined): Json {
    const start = startOf(node)
    this.#nodes++
    if (this.tooLarge) {
      if (this.#nodes === CONFIG_NODES_MAX + 1)
        this.#report(start, 'the file is too large once its aliases are followed', 'Write fewer aliases.')
      return null
    }
    const mark = { key, value: start ?? key ?? 0, written: undefined, fromEnv: false, unresolved: false }
    this.marks.set(keyOf(path), mark)
    if (path.length > CONFIG_DEPTH_MAX) {
      this.#report(
        start,
        `this is nested more than ${CONFIG_DEPTH_MAX} levels deep`,
        'Does an alias stand within its anchor?',
      )
      return null
    }
    if (isAlias(node)) {
      const target = node.resolve(this.#document)
      if (target) return this.read(target, path, key)
      this.#report(start, NO_ANCHOR.message, NO_ANCHOR.advice)
      return null
    }
    if (isMap(node)) {
      const object: JsonObject = {}
      for (const pair of node.items) {
        const at = startOf(pair.key)
        const name = isScalar(pair.key) ? String(pair.key.value) : undefined
        if (name === undefined || name === '__proto__')
          this.#report(at, 'this cannot be a name', 'Write a plain word before the colon.')
        else object[name] = this.read(pair.value, [...path, name], at)
      }
      return object
    }
    if (isSeq(node)) return node.items.map((item, index) => this.read(item, [...path, index], undefined))
    if (!isScalar(node)) return null
    const { value } = node
    if (typeof value === 'string') return this.#text(value, path, mark)
    return typeof value === 'number' || typeof value === 'boolean' ? value : null
  }

  #text(written: string, path: Path, mark: Mark): string {
    if (!this.#interpolates(path)) {
      this.marks.set(keyOf(path), { ...mark, written })
      return written
    }
    let fromEnv = false
    let unresolved = false
    const filled = written.replaceAll(VARIABLE, (whole, name?: string, fallback?: string) => {
      if (whole === '$${') return '${'
      if (name === undefined) {
        unresolved = true
        const advice = 'Write ${NAME} or ${NAME:-default}; for a plain dollar and brace write $${.'
        this.#report(mark.value, '"${" starts a variable, and this is not the name of one', advice)
        return whole
      }
      fromEnv = true
      const value = this.#env[name]
      // As in a shell, :- also stands in for a variable that is set and empty.
      if (fallback !== undefined) return value === undefined || value === '' ? fallback : value
      if (value !== undefined) return value
      unresolved = true
      const advice = `Set it before Kith starts, or give a default: \${${name}:-default}`
      this.#report(mark.value, `the environment variable ${name} is not set`, advice)
      return whole
    })
    this.marks.set(keyOf(path), { ...mark, written, fromEnv, unresolved })
    return filled
  }

  #report(offset: number | undefined, message: string, advice: string): void {
    const { line, col } = this.#lines.linePos(offset ?? 0)
    this.problems.push({ file: this.#file, line, column: col, message, advice })
  }
}

const VARIABLE = /\$\$\{|\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}|\$\{/g

function keyOf(path: Path): string {
  return path.map(String).join('\0')
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0]
}
