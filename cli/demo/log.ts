import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '../../workers/runtime.ts'

/** What goes wrong beneath is kept in `kith.log` of the demo's folder: nothing should. */
export function fileLog(dir: string): Log {
  const file = join(dir, 'kith.log')
  const write = (level: string, event: string, facts: object): void =>
    appendFileSync(file, `${JSON.stringify({ time: new Date().toISOString(), level, event, ...facts })}\n`)
  return {
    info: () => {},
    warn: (event, facts = {}) => write('warn', event, facts),
    failure: (event, connection, failure) => write('failure', event, { connection, ...failure }),
  }
}
