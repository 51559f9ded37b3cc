import { catalogueOf } from '../workers/connect.ts'
import { brakeHolds, prepareApproval, waitingForApproval } from '../workers/approve.ts'
import { Daemon } from '../workers/daemon.ts'
import {
  ambiguousDocument,
  conflictDocument,
  operationDocument,
  planSummaryDocument,
} from '../workers/documents/plan.ts'
import { dryRun } from '../workers/dry-run.ts'
import { summarisePlan } from '../workers/plan-summary.ts'
import type { Household } from '../workers/household.ts'
import { Meter } from '../workers/meter.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT } from './errors.ts'
import { ambiguousOf, conflictsOf, operationsOf } from '../workers/listing.ts'
import { printArray } from './output.ts'
import { PlanText } from './plan-text.ts'
import { Progress } from './progress.ts'
import { failing, failureSentence, leading, processOf, withHousehold } from './session.ts'
import { Tally } from './tally.ts'

export const registerPlan: Register = (program, run) => {
  program
    .command('plan')
    .description('Reads everything and shows what would be written where, and why. Writes nothing.')
    .option('--all', 'show every record of a long plan (JSON always does)')
    .addHelpText(
      'after',
      `
Examples:
  kith plan
  kith plan --json | jq '.operations | group_by(.connection) | map({(.[0].connection): length}) | add'

In JSON, an element of a set (an e-mail address, a phone number) is an object: {value, label, pref}.
${EXIT_CODES}`,
    )
    .action((options: { all?: boolean }, command) => run(command, (context) => plan(context, options.all === true)))
}

async function plan(context: Context, all: boolean): Promise<number> {
  const tally = new Tally()
  const { output } = context
  const work = async (household: Household): Promise<number> => {
    await prepareApproval(household)
    const read = async (): Promise<void> => {
      await household.connect(undefined, context.signal)
      const daemon = await Daemon.start(household, { leads: false, delivers: false })
      const progress = new Progress(tally)
      try {
        await dryRun(household, daemon, { signal: context.signal, onProgress: progress.show })
      } finally {
        progress.end()
        await daemon.stop()
      }
    }
    await leading(household, 'plan', read, async (leader) => {
      await read()
      const who = leader ? `kith ${leader.command}, ${processOf(leader)}` : 'another Kith'
      await output.complain(`${who}, is at work too: what is not held it sends, and it is not in this plan any more.`)
    })
    if (context.signal.aborted) return EXIT.interrupted
    return show(context, household, all)
  }
  return withHousehold(context, work, { events: tally.events, apps: new Meter().apps })
}

async function show({ output }: Context, household: Household, all: boolean): Promise<number> {
  const { config, store } = household
  const brakes = await brakeHolds(household)
  const waiting = await waitingForApproval(household)
  const held = waiting > 0 || brakes.length > 0
  const failed = failing(config, await store.connections())
  if (output.json) {
    await output.raw(
      `{\n  "summary": ${JSON.stringify(planSummaryDocument(await summarisePlan(household)))},\n  "operations": `,
    )
    await printArray(
      output,
      each(operationsOf(store), ({ line }) => operationDocument(line)),
    )
    await output.raw(',\n  "ambiguous": ')
    await printArray(output, each(ambiguousOf(store), ambiguousDocument))
    await output.raw(',\n  "conflicts": ')
    await printArray(output, each(conflictsOf(store), conflictDocument))
    await output.raw(`,\n  "held": ${held}\n}\n`)
  } else {
    const text = new PlanText(output, catalogueOf(config).fields, all)
    await text.summary(await summarisePlan(household))
    await text.operations(config, operationsOf(store))
    await text.ambiguous(ambiguousOf(store))
    await text.conflicts(conflictsOf(store))
    await text.unreadable(store)
    await text.brakes(brakes)
    await text.conclusion(waiting, brakes.length > 0, failed.length > 0)
  }
  for (const { name, failure } of failed) await output.complain(output.red(failureSentence(name, failure)))
  return failed.length > 0 ? EXIT.wrong : held ? EXIT.held : EXIT.done
}

async function* each<Line>(lines: AsyncIterable<Line>, made: (line: Line) => unknown): AsyncIterable<unknown> {
  for await (const line of lines) yield made(line)
}
