import { pino, type Logger } from 'pino'
import { adviceFor } from '../engine/core/failure.ts'
import type { Log } from '../workers/runtime.ts'
import { withoutPasswords } from './errors.ts'
import { clock } from './output.ts'

type Facts = { readonly [name: string]: string | number | boolean | null }

/** Names of facts that may hold a secret: none should ever be given to the log, and none gets out (I15). */
const REDACTED = ['password', 'secret', 'token', 'authorization', 'url', 'databaseUrl', 'redisUrl']

/**
 * The log of a process that stays: JSON lines on standard output, or plain lines where that is a terminal.
 * @param json JSON lines even on a terminal
 */
export function processLog(json: boolean): Log {
  return json || process.stdout.isTTY !== true ? jsonLog() : plainLog()
}

function jsonLog(): Log {
  const logger: Logger = pino({
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: REDACTED, censor: '***' },
  })
  return {
    info: (event, facts) => logger.info(clean(facts), event),
    warn: (event, facts) => logger.warn(clean(facts), event),
    failure: (event, connection, failure) => {
      const { kind, message, code } = failure
      const facts = { connection, kind, message, advice: adviceFor(failure), ...(code === undefined ? {} : { code }) }
      logger.warn(clean(facts), event)
    },
  }
}

function plainLog(): Log {
  const line = (sign: string, event: string, facts: Facts = {}): void => {
    const shown = Object.entries(clean(facts)).map(([name, value]) => `${name}=${String(value)}`)
    process.stdout.write(`${[clock(Date.now()), sign, event, ...shown].join(' ')}\n`)
  }
  return {
    info: (event, facts) => line('·', event, facts),
    warn: (event, facts) => line('!', event, facts),
    failure: (event, connection, failure) => {
      line('!', `${event}: ${connection}: ${withoutPasswords(failure.message)}. ${adviceFor(failure)}`)
    },
  }
}

function clean(facts: Facts = {}): Facts {
  const entries = Object.entries(facts).map(([name, value]) => {
    if (REDACTED.includes(name)) return [name, '***'] as const
    return [name, typeof value === 'string' ? withoutPasswords(value) : value] as const
  })
  return Object.fromEntries(entries)
}
