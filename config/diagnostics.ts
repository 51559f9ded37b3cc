/** Where something stands in a file of the operator's; lines and columns start at 1. */
export interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** One thing wrong (or doubtful) in the config. Holds no secret and no value that may be one (I15). */
export interface Diagnostic extends Place {
  /** What is wrong, in one sentence without a full stop. */
  readonly message: string
  /** What to write instead, or what to do next. */
  readonly advice: string
}

/** `kith.yaml:3:5: unknown option "pasword". Did you mean "password"?` */
export function formatDiagnostic({ file, line, column, message, advice }: Diagnostic): string {
  return `${file}:${line}:${column}: ${message}. ${advice}`
}

/** In the order in which a reader meets them. */
export function inReadingOrder(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return diagnostics.toSorted(
    (a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : 0) || a.line - b.line || a.column - b.column,
  )
}

/** The config cannot be used. Carries everything found wrong, not only the first thing. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly diagnostics: readonly Diagnostic[]

  constructor(diagnostics: readonly Diagnostic[]) {
    const ordered = inReadingOrder(diagnostics)
    super(ordered.map(formatDiagnostic).join('\n'))
    this.diagnostics = ordered
  }
}
