import type { Command } from 'commander'
import { Output } from './output.ts'

/** What every command is given besides its own options. */
export interface Context {
  /** The path of kith.yaml. */
  readonly configFile: string
  readonly output: Output
  readonly env: { readonly [name: string]: string | undefined }
  readonly debug: boolean
  /** Aborted by the first Ctrl-C (or SIGTERM): come to an end. */
  readonly signal: AbortSignal
}

/** The signal of this process: a first Ctrl-C asks commands to come to an end, a second ends them at once. */
export function interruptible(): AbortSignal {
  const ending = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (ending.signal.aborted) process.exit(name === 'SIGINT' ? 130 : 143)
      ending.abort()
    })
  }
  return ending.signal
}

export function contextOf(command: Command, signal: AbortSignal): Context {
  const options = command.optsWithGlobals<{ config: string; json?: boolean; color: boolean }>()
  return {
    configFile: options.config,
    output: new Output({ json: options.json === true, colour: options.color }),
    env: process.env,
    debug: (process.env['KITH_DEBUG'] ?? '') !== '',
    signal,
  }
}

/** Runs a command's work and answers with its exit code. */
export type Run = (command: Command, work: (context: Context) => Promise<number>) => Promise<void>

/** Adds one command to the program. */
export type Register = (program: Command, run: Run) => void

export const EXIT_CODES = `
Exit codes: 0 done; 1 wrong input or config, or a connection failed; 2 held, waiting for approval; 3 done, some records
parked.`
