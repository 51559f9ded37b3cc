import { CONSENT_STATES, type Consent, type ConsentEvent, type ConsentState } from '../engine/core/consent.ts'
import { ActRefusedError } from '../workers/acts.ts'
import { actOnConsent, consentKeyFor, consentStory, type ConsentStory } from '../workers/consent-acts.ts'
import { catalogueOf } from '../workers/connect.ts'
import { consentDocument } from '../workers/documents/consent.ts'
import type { Household } from '../workers/household.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { operatorOf } from './operator.ts'
import { clock } from './output.ts'
import { withHousehold } from './session.ts'

interface ConsentOptions {
  readonly set?: string
  readonly optedIn?: string
  readonly why?: string
  readonly by?: string
}

export const registerConsent: Register = (program, run) => {
  program
    .command('consent')
    .argument('<address>', 'an e-mail address or a phone number')
    .description('Whether an address may be written to: who said what, when, and what stands. Or says so yourself.')
    .option('--set <state>', `what holds from now on: ${CONSENT_STATES.join(', ')}`)
    .option('--opted-in <time>', 'when the person opted in, as you can prove it: 2026-11-20T10:00Z')
    .option('--why <text>', 'why, for the record; with --set')
    .option('--by <name>', 'who says so; otherwise the name you are logged in with')
    .addHelpText(
      'after',
      `
The strictest state that any app has told stands everywhere. Only the person's own opt-in, later than the restriction,
ends it: an app that can prove one does so by itself; you do it with --opted-in.

Examples:
  kith consent ada@example.org
  kith consent ada@example.org --set unsubscribed --why "asked by phone"
  kith consent ada@example.org --set subscribed --opted-in 2026-11-20T10:00Z --why "signed the form at the fair"
${EXIT_CODES}`,
    )
    .action((address: string, options: ConsentOptions, command) =>
      run(command, (context) => withHousehold(context, (household) => consent(context, household, address, options))),
    )
}

async function consent(
  context: Context,
  household: Household,
  address: string,
  options: ConsentOptions,
): Promise<number> {
  const { output } = context
  const key = consentKeyFor(catalogueOf(household.config), address)
  if (key === null) {
    throw new OperatorError(
      `"${address}" is neither an e-mail address nor a phone number`,
      'Write it as an app has it.',
    )
  }
  if (options.set !== undefined) await say(context, household, key, options.set, options)
  else if (options.why !== undefined || options.optedIn !== undefined) {
    throw new OperatorError('--why and --opted-in go with --set', 'Say what holds, such as --set unsubscribed.')
  }
  const story = await consentStory(household.store, key)
  if (output.json) await output.print(consentDocument(story))
  else await tell(context, story)
  return EXIT.done
}

async function say(
  { env }: Context,
  household: Household,
  key: string,
  word: string,
  options: ConsentOptions,
): Promise<void> {
  const state = CONSENT_STATES.find((known) => known === word)
  if (!state)
    throw new OperatorError(`"${word}" is no state of consent`, `The states are ${CONSENT_STATES.join(', ')}.`)
  if (options.why === undefined || options.why.trim() === '') {
    throw new OperatorError('an operator says why', 'Add --why "...": it is kept with the address.')
  }
  const wish = { by: operatorOf(options.by, env), why: options.why, state, optIn_ms: timeOf(options.optedIn) }
  // What follows in the apps is planned by the rules of every connection.
  await household.connect()
  const queues = await household.openQueues()
  try {
    await actOnConsent(household.runtime(queues), key, wish)
  } catch (error) {
    if (!(error instanceof ActRefusedError)) throw error
    throw new OperatorError(`it stays as it is: ${error.message}`, adviceFor(state))
  } finally {
    await queues.close(0)
  }
}

function adviceFor(state: ConsentState): string {
  return state === 'subscribed'
    ? 'Give the time of the opt-in with --opted-in, if the person did opt in since.'
    : 'See what stands with: kith consent <address>'
}

function timeOf(text: string | undefined): number | null {
  if (text === undefined) return null
  const time = Date.parse(text)
  if (!Number.isFinite(time) || time > Date.now()) {
    throw new OperatorError(`"${text}" is no time in the past`, 'Write it as 2026-11-20 or 2026-11-20T10:00Z.')
  }
  return time
}

async function tell({ output }: Context, { key, entry, holders }: ConsentStory): Promise<void> {
  const address = key.slice(key.indexOf(':') + 1)
  if (!entry) await output.say(`Nothing was told about ${address}: apps do with it what they do by themselves.`)
  else {
    await output.say(`${output.bold(address)} is ${entry.state}, by ${whoSaid(entry)}, ${clock(entry.stamp.at)}`)
    for (const event of entry.events) await output.say(`  ${eventLine(event)}`)
  }
  for (const { connection, recordId, personId } of holders) {
    await output.say(
      `  held by ${connection} ${recordId}${personId === null ? ', not matched yet' : `, person ${personId}`}`,
    )
  }
}

function eventLine(event: ConsentEvent): string {
  const { state, stamp, recordId, optIn_ms, kind, heard_ms, note } = event
  const parts = [
    `${clock(stamp.at)}  ${whoSaid({ stamp })} said ${state}`,
    ...(recordId === null ? [] : [`record ${recordId}`]),
    ...(optIn_ms === null ? [] : [`opted in ${clock(optIn_ms)}`]),
    ...(kind === 'refused' ? ['refused: it would have loosened what stands'] : []),
    ...(heard_ms === stamp.at ? [] : [`heard ${clock(heard_ms)}`]),
    ...(note === undefined ? [] : [`"${note}"`]),
  ]
  return parts.join(', ')
}

function whoSaid({ stamp }: Pick<Consent, 'stamp'>): string {
  return stamp.by.replace(/^operator:/, 'operator ')
}
