import type { LogEntry } from '../engine/core/ports/store.ts'
import { catalogueOf } from '../workers/connect.ts'
import { logDocument } from '../workers/documents/log.ts'
import type { Household } from '../workers/household.ts'
import { listLog } from '../workers/log-list.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { findPerson } from './find-person.ts'
import { since, wholeNumber } from './numbers.ts'
import { clock } from './output.ts'
import { withHousehold } from './session.ts'
import { showValue, titles } from './words.ts'

const LIMIT = 50

interface LogOptions {
  readonly person?: string
  readonly connection?: string
  readonly since?: number
  readonly limit: number
}

export const registerLog: Register = (program, run) => {
  program
    .command('log')
    .description('The change log, newest first: what came from where, and what became of it.')
    .option('--person <email|name|id>', 'only what concerns one person')
    .option('--connection <name>', 'only what came from one connection')
    .option('--since <time>', 'only what was heard since then: 2h, 7d, 2026-11-22', since)
    .option('--limit <number>', 'how many entries at most', wholeNumber, LIMIT)
    .addHelpText(
      'after',
      `
Examples:
  kith log --since 2h
  kith log --person ada@example.org --connection phone --json
${EXIT_CODES}`,
    )
    .action((options: LogOptions, command) =>
      run(command, (context) => withHousehold(context, (household) => log(context, household, options))),
    )
}

async function log({ output }: Context, household: Household, options: LogOptions): Promise<number> {
  const { config, store } = household
  const { connection, since: since_ms, limit } = options
  if (connection !== undefined && !config.connections.some(({ name }) => name === connection)) {
    throw new OperatorError(`there is no connection named ${connection}`, 'See: kith status')
  }
  const found = await listLog(
    store,
    {
      ...(options.person === undefined ? {} : { personId: (await findPerson(store, options.person)).id }),
      ...(connection === undefined ? {} : { connection }),
      ...(since_ms === undefined ? {} : { since_ms }),
    },
    limit,
  )
  if (output.json) {
    await output.print(logDocument(found))
    return EXIT.done
  }
  const { entries } = found
  if (entries.length === 0) await output.say('Nothing to tell: no change has been heard that fits.')
  const title = titles(catalogueOf(config).fields)
  for (const { entry, name } of entries) {
    const values = `${showValue(entry.before)} → ${showValue(entry.after)}`
    const source =
      entry.act === null ? (entry.pass === null ? '' : `  ${entry.stamp.by}:${entry.pass}`) : `  act ${entry.act}`
    const became = output.dim(`${outcome(entry)}${source}`)
    await output.say(`${clock(entry.heard_ms)}  ${entry.stamp.by}  ${name}: ${title(entry.cell)}  ${values}  ${became}`)
  }
  return EXIT.done
}

/** What became of a change, in words. */
export function outcome({ kind, rule }: Pick<LogEntry, 'kind' | 'rule'>): string {
  switch (kind) {
    case 'applied':
      return 'stands'
    case 'lost':
      return rule === 'standard' ? 'held by the standard' : `lost (${rule})`
    case 'repaired':
      return 'repaired by the standard'
    case 'refused':
      return `refused (${rule})`
    case 'rewritten':
      return 'rewritten by the app'
  }
}
