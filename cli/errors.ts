import { CommanderError } from 'commander'
import { ConfigError } from '../config/diagnostics.ts'
import { formatDiagnostic } from '../config/diagnostics.ts'
import { adviceFor, FailureError } from '../engine/core/failure.ts'

/** How a command ended, for scripts. */
export const EXIT = { done: 0, wrong: 1, held: 2, parked: 3, interrupted: 130 } as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** Wrong input: what is wrong, and what to do next. */
export class OperatorError extends Error {
  override readonly name = 'OperatorError'
  readonly advice: string

  constructor(message: string, advice: string) {
    super(message)
    this.advice = advice
  }
}

/** Errors of the database's own, whose messages already say what to do next. */
const SELF_EXPLAINING = new Set(['DatabaseError', 'DataInUseError', 'StoreFormatError', 'ListenError'])

/** What went wrong, in lines for the operator; never a stack trace, unless it is asked for. */
export function explainError(error: unknown, debug: boolean): string {
  if (error instanceof ConfigError) return error.diagnostics.map(formatDiagnostic).join('\n')
  if (error instanceof OperatorError) return `kith: ${error.message}\n${error.advice}`
  if (error instanceof FailureError) return `kith: ${error.message}\n${adviceFor(error.failure)}`
  if (error instanceof CommanderError) return `kith: ${error.message}`
  const { name, message, stack } = Object(error) as { name?: unknown; message?: unknown; stack?: unknown }
  const said = typeof message === 'string' ? withoutPasswords(message) : String(error)
  if (SELF_EXPLAINING.has(String(name))) return `kith: ${said}`
  if (name === 'StoreUnavailableError') {
    return `kith: ${said}\nLook whether it runs and DATABASE_URL is right; then run the command again: nothing is lost.`
  }
  if (debug) return typeof stack === 'string' ? withoutPasswords(stack) : said
  return `kith: something unexpected happened: ${said}\nThis is a mistake in Kith, please report it. Details: KITH_DEBUG=1 kith ...`
}

/** `scheme://user:password@host` without the middle. */
export function withoutPasswords(text: string): string {
  return text.replace(/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, '$1***@')
}
