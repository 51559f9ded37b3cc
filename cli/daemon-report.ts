import type { Household } from '../workers/household.ts'
import type { Events, Log } from '../workers/runtime.ts'

/** Tells the log what a daemon does: counts only, no personal value (I15). */
export function loggedEvents(log: Log): Events {
  return {
    read: (connection, sightings, known) => {
      if (sightings > known) log.info('read', { connection, sightings, news: sightings - known })
    },
    applied: (connection, heard, unchanged, changes) => {
      if (heard > unchanged) log.info('applied', { connection, heard, unchanged, changes: changes.length })
    },
    planned: (intents) => {
      for (const [connection, items] of Map.groupBy(intents, (intent) => intent.connection)) {
        const held = items.filter((intent) => intent.state === 'held').length
        log.info('planned', { connection, writes: items.length, held })
      }
    },
    settled: ({ connection, op, personId, failure: earlier }, answer, settlement) => {
      if (answer.kind === 'failed') {
        log.failure(settlement?.state === 'parked' ? 'parked' : 'write failed', connection, answer.failure)
        return
      }
      // By the person's id: a record's may be a file name, and that a human's name.
      log.info(answer.kind, { connection, op, person: personId, ...(earlier ? { retried: true } : {}) })
    },
  }
}

/** Says at the start of a process that stays what it is about. */
export function announce(log: Log, household: Household, dataDir: string): void {
  const { config, warnings } = household
  const connections = config.connections.map(({ name, app, mode }) => `${name} (${app}, ${mode})`).join(', ')
  log.info('started', { connections, data: dataDir, config: config.file, status: 'kith status' })
  for (const { message, advice, line } of warnings) log.warn('config', { line, message, advice })
}

/** Where a household keeps its data, for people. */
export function dataOf(household: Household, env: { readonly [name: string]: string | undefined }): string {
  if ((env['DATABASE_URL'] ?? '') !== '') return 'the database of DATABASE_URL'
  return env['KITH_DATA'] ?? `${household.config.baseDir}/.kith`
}
