import { hookDocument } from '../workers/documents/hooks.ts'
import type { HookState } from '../workers/subscriptions.ts'
import { hookStates, syncHooks } from '../workers/subscriptions.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { operatorOf } from './operator.ts'
import { failureSentence, withHousehold } from './session.ts'

export const registerHooks: Register = (program, run) => {
  const hooks = program
    .command('hooks')
    .description('The webhooks by which the apps announce what changes: where they should go, and whether they do.')
    .addHelpText(
      'after',
      `
Hooks only make Kith read sooner; without them it reads at every poll. They need server: with its publicUrl: in kith.yaml.

Examples:
  kith hooks list
  kith hooks sync
  kith hooks list --json | jq '.hooks[].byHand'
${EXIT_CODES}`,
    )
  hooks
    .command('list')
    .description('Shows what each app announces, and what a human must set up. Changes nothing.')
    .action((_options: object, command) => run(command, (context) => show(context, null)))
  hooks
    .command('sync')
    .description(
      'Registers and repairs subscriptions where the app can be told, and lists what a human must do elsewhere.',
    )
    .option('--why <text>', 'why, for the record')
    .option('--by <name>', 'who does it; otherwise the name you are logged in with')
    .action(({ by, why }: { by?: string; why?: string }, command) =>
      run(command, (context) => show(context, { by: operatorOf(by, context.env), why: why ?? '' })),
    )
}

/** @param wish to register and repair; null: to look */
async function show(context: Context, wish: { by: string; why: string } | null): Promise<number> {
  const { output, signal } = context
  const states = await withHousehold(context, async (household) => {
    if (wish !== null && (household.config.server?.publicUrl ?? null) === null) {
      throw new OperatorError(
        'kith.yaml does not say how the apps reach Kith',
        'Add server: { publicUrl: https://kith.example.org }, the address that your reverse proxy hands on to Kith.',
      )
    }
    await household.connect(undefined, signal)
    return wish === null ? hookStates(household, 'list', household.dataDir, signal) : syncHooks(household, wish, signal)
  })
  if (output.json) await output.print({ hooks: states.map(hookDocument) })
  else for (const state of states) await print(context, state)
  return states.some(({ failure }) => failure !== null) ? EXIT.wrong : EXIT.done
}

async function print({ output }: Context, state: HookState): Promise<void> {
  const { connection, app, url, subscriptions, byHand, failure } = state
  await output.say(`${output.bold(connection)} (${app}): ${url ?? 'sends no webhooks; it is read at every poll'}`)
  for (const { what, state: stands, detail, did } of subscriptions) {
    const sign = did ?? (stands === 'right' ? 'ok' : stands)
    const shown = stands === 'right' || did !== undefined ? output.green(sign) : output.yellow(sign)
    await output.say(`  ${shown} ${what}${detail === undefined ? '' : `: ${detail}`}`)
  }
  if (failure) await output.complain(`  ${output.red('failed')} ${failureSentence(connection, failure)}`)
  if (byHand.length > 0) await output.say(`  ${output.yellow('by hand')}`)
  for (const [index, step] of byHand.entries()) await output.say(`    ${index + 1}. ${step}`)
}
