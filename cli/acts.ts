import type { Act } from '../engine/core/act.ts'
import type { BrakeHold } from '../workers/approve.ts'
import { actDocument } from '../workers/documents/act.ts'
import type { Household } from '../workers/household.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT } from './errors.ts'
import { since, wholeNumber } from './numbers.ts'
import { clock, count } from './output.ts'
import { withHousehold } from './session.ts'
import { plain } from './words.ts'

interface ActsOptions {
  readonly since?: number
  readonly kind?: string
  readonly limit: number
}

export const registerActs: Register = (program, run) => {
  program
    .command('acts')
    .description('What operators did, newest first: when, who, what and why. Each can be undone by its id.')
    .option('--since <time>', 'only what was done since then: 2h, 7d, 2026-11-22', since)
    .option('--kind <kind>', 'only acts of one kind: approve, release, undo, merge, link, consent')
    .option('--limit <number>', 'how many at most', wholeNumber, 50)
    .addHelpText(
      'after',
      `
Examples:
  kith acts --since 7d
  kith acts --kind merge --json
  kith undo --act 4f0c6k2m9x7qzt1v
${EXIT_CODES}`,
    )
    .action((options: ActsOptions, command) =>
      run(command, (context) => withHousehold(context, (household) => acts(context, household, options))),
    )
}

async function acts({ output }: Context, { store }: Household, options: ActsOptions): Promise<number> {
  const { since: since_ms, kind, limit } = options
  const found = await store.acts({
    ...(since_ms === undefined ? {} : { since_ms }),
    ...(kind === undefined ? {} : { kind }),
    limit,
  })
  if (output.json) {
    await output.print({ acts: found.map(actDocument) })
    return EXIT.done
  }
  if (found.length === 0) await output.say('No operator has done anything that fits.')
  for (const act of found) await output.say(line(act, output.dim))
  return EXIT.done
}

function line({ id, at_ms, by, kind, why, about }: Act, dim: (text: string) => string): string {
  const what = plain(whatOf(about))
  const because = why === '' ? '' : `  "${plain(why)}"`
  return `${clock(at_ms)}  ${id}  ${plain(by)}: ${kind}${what === '' ? '' : ` ${what}`}${dim(because)}`
}

/** What it was about, where the kind of act does not say it all. */
function whatOf({ asked, writes, held }: Act['about']): string {
  if (typeof asked === 'string') return asked
  if (typeof writes === 'number') return count(writes, 'write')
  if (!Array.isArray(held)) return ''
  const parts = held.map((one) => {
    const { connection, what, count: number } = one as { connection: string; what: BrakeHold['what']; count: number }
    return `${connection}: ${count(number, what === 'deletions' ? 'deletion' : what)}`
  })
  return parts.join(', ')
}
