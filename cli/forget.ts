import { text as askText, isCancel } from '@clack/prompts'
import type { Erasure } from '../engine/core/erasure.ts'
import { ActRefusedError } from '../workers/acts.ts'
import { backupsWith } from '../workers/forget-backups.ts'
import { certificateDocument, erasureDocument, forgetPreviewDocument } from '../workers/documents/erasure.ts'
import { erasureNews, waiveConnection } from '../workers/erasure-news.ts'
import type { ErasureStep } from '../workers/erasures.ts'
import {
  erasureById,
  excludedBy,
  forget,
  forgetAgain,
  lift,
  previewForget,
  type DoomedRecord,
  type ForgetPreview,
  type ForgetWish,
} from '../workers/forget.ts'
import { certificatePath } from '../workers/certificates.ts'
import type { Household } from '../workers/household.ts'
import type { Runtime } from '../workers/runtime.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { confirm } from './ask.ts'
import { EXIT, OperatorError } from './errors.ts'
import { findPerson } from './find-person.ts'
import { operatorOf } from './operator.ts'
import { clock, count, table, type Output } from './output.ts'
import { withHousehold } from './session.ts'
import { plain } from './words.ts'

interface ForgetOptions {
  readonly why?: string
  readonly by?: string
  readonly yes?: boolean
  readonly list?: boolean
  readonly certificate?: string
  readonly lift?: string
  readonly again?: string
  readonly waive?: string
  readonly connection?: string
}

export const registerForget: Register = (program, run) => {
  program
    .command('forget')
    .argument('[person]', 'who: an e-mail address, a number, a name or an id')
    .description('Erases a person: in every app, here, and for good. Shows what will go, and asks for the name.')
    .option('--why <text>', 'on what ground, for the record (no name in it, please)')
    .option('--by <name>', 'who does it; otherwise the name you are logged in with')
    .option('--yes', 'do it without asking')
    .option('--list', 'shows every erasure, what open ones wait for, and who was added again')
    .option('--certificate <erasure>', 'prints the certificate of an erasure')
    .option('--waive <erasure>', 'do not wait for a connection any more; with --connection')
    .option('--connection <name>', 'the connection that is not waited for')
    .option('--again <erasure>', 'deletes records that somebody has made of the person since')
    .option('--lift <erasure>', 'the bar was a mistake: the person may be added again. Brings nothing back')
    .addHelpText(
      'after',
      `
Every app is asked to delete the person, by its own privacy call where it has one. When all have answered, Kith purges what it has
and keeps only keyed hashes: whoever has them in a record is not matched, merged or created anywhere. An app that cannot answer
keeps the erasure open; kith status says so. See docs/erasure.md.

Examples:
  kith forget ada@example.org
  kith forget ada@example.org --why "request of 20 November" --yes
  kith forget --list
  kith forget --certificate p7k2
  kith forget --waive p7k2 --connection sheet --why "deleted by hand"
${EXIT_CODES}`,
    )
    .action((person: string | undefined, options: ForgetOptions, command) =>
      run(command, (context) => withHousehold(context, (household) => start(context, household, person, options))),
    )
}

async function start(
  context: Context,
  household: Household,
  person: string | undefined,
  options: ForgetOptions,
): Promise<number> {
  try {
    if (options.list === true) return await list(context, household)
    if (options.certificate !== undefined) return await certificate(context, household, options.certificate)
    if (options.waive !== undefined) return await waiveOne(context, household, options.waive, options)
    if (options.lift !== undefined) return await liftOne(context, household, options.lift, options)
    if (options.again !== undefined) return await again(context, household, options.again, options)
    if (person === undefined) {
      throw new OperatorError(
        'say who is to be forgotten',
        'Such as: kith forget ada@example.org; or see kith forget --list',
      )
    }
    return await erase(context, household, person, options)
  } catch (error) {
    if (!(error instanceof ActRefusedError)) throw error
    throw new OperatorError(`nothing was done: ${error.message}`, 'See what there is with: kith forget --list')
  }
}

function wishOf({ env }: Context, { why, by }: ForgetOptions): ForgetWish {
  if (why === undefined || why.trim() === '') {
    throw new OperatorError('an operator says why', 'Add --why "...": it is kept with the certificate. No names in it.')
  }
  return { by: operatorOf(by, env), why }
}

async function erase(context: Context, household: Household, query: string, options: ForgetOptions): Promise<number> {
  const { output } = context
  const person = await findPerson(household.store, query)
  return working(context, household, async (runtime) => {
    const preview = await previewForget(runtime, person.id)
    const backups = await backupsWith(household)
    if (!output.json) await show(output, preview, backups)
    const answer = options.yes === true ? true : await confirmName(context, preview.person.name)
    if (answer !== true) {
      if (output.json) await output.print({ ...forgetPreviewDocument(preview, backups), erasure: null })
      await output.say(answer === null ? 'Nothing was done. Do it with: --why "..." --yes' : 'Nothing was done.')
      return EXIT.held
    }
    const wish = { seen: preview.seen, ...wishOf(context, options) }
    const erasure = await forget(runtime, preview.person.id, wish)
    if (output.json) await output.print({ ...forgetPreviewDocument(preview, backups), erasure: erasure.id })
    await begun(output, erasure)
    return EXIT.done
  })
}

async function begun(output: Output, { id }: Erasure): Promise<void> {
  await output.say(`Erasure ${id} has begun: the person is barred from now on, and goes from every app.`)
  await output.say(`The daemon does it, or: kith sync. How far it is: kith forget --list`)
}

/** Whoever erases somebody for good types their name. @returns null where nobody can be asked */
async function confirmName({ output, signal }: Context, name: string): Promise<boolean | null> {
  if (output.json || process.stdin.isTTY !== true || process.stdout.isTTY !== true) return null
  const answer = await askText({ message: `This cannot be undone. Type the name to go on: ${plain(name)}`, signal })
  return !isCancel(answer) && answer?.trim() === plain(name)
}

const HOW: { readonly [how in DoomedRecord['how']]: string } = {
  erase: 'erased for good',
  delete: 'deleted, as the app deletes (it may keep it in a bin for a while)',
  bin: 'deleted before; erased from the bin too',
  'by hand': 'to be deleted BY HAND: Kith cannot, or may not, delete there',
}

async function show(output: Output, preview: ForgetPreview, backups: readonly string[]): Promise<void> {
  const { person, merged, records, undecided, held, barred, shared, consents } = preview
  const others = merged > 0 ? `, and ${count(merged, 'person', 'people')} who were merged into them` : ''
  await output.say(`${output.bold(plain(person.name))} (${person.id})${others}`)
  await output.say()
  if (records.length === 0) await output.say('No app has a record of them.')
  else
    await output.say(
      table(
        ['in', 'record', 'will be'],
        records.map((one) => [one.connection, one.recordId, HOW[one.how]]),
      ),
    )
  for (const { connection, recordId } of undecided) {
    await output.say(
      output.yellow(`${connection} ${recordId} may be theirs or another's: decide first, with kith review`),
    )
  }
  await output.say()
  await output.say(
    `Kith has of them, and purges: ${count(held.cells, 'value')}, ${count(held.records, 'shadow')}, ${count(held.log, 'log entry', 'log entries')}, ` +
      `${count(held.deliveries, 'delivery', 'deliveries')}, ${count(held.conflicts, 'conflict')}, ${count(held.kept, 'kept sighting')}.`,
  )
  await output.say(
    `Barred from now on, by keyed hash: ${count(barred, 'key')}${shared > 0 ? `; ${shared} of them others have too: those with the name only` : ''}.`,
  )
  if (consents > 0) await output.say(`Consent of ${count(consents, 'address', 'addresses')} stays, under the hash.`)
  if (backups.length > 0) {
    await output.say(
      `${count(backups.length, 'backup')} made before may still have them: ${backups.join(', ')}. See docs/erasure.md.`,
    )
  }
}

async function list(context: Context, household: Household): Promise<number> {
  const { output } = context
  await household.connect(undefined, context.signal)
  return withRuntime(household, async (runtime) => {
    const all = await erasureNews(runtime, { limit: 1000 })
    if (output.json) await output.print({ erasures: all.map(erasureDocument) })
    if (all.length === 0) await output.say('Nobody was ever forgotten.')
    for (const { erasure, steps, back } of all) await tell(output, erasure, steps, back.length)
    return all.some(({ erasure }) => erasure.state === 'open') ? EXIT.parked : EXIT.done
  })
}

async function tell(output: Output, erasure: Erasure, steps: readonly ErasureStep[], back: number): Promise<void> {
  const { id, state, opened_ms, by, why } = erasure
  const line = `${id}  ${state}  ${clock(opened_ms)}  ${by}: ${plain(why)}`
  await output.say(state === 'open' ? output.red(line) : line)
  for (const step of steps) {
    const because = step.because === undefined ? '' : `: ${step.because}`
    const text = `  ${step.connection} ${step.recordId} ${step.state}${because}`
    await output.say(step.state === 'waiting' ? output.yellow(text) : text)
  }
  if (back > 0) {
    await output.say(
      output.yellow(
        `  ${count(back, 'record')} of the person was added again, and takes no part: kith forget --again ${id} --why "..."`,
      ),
    )
  }
}

async function certificate({ output }: Context, { store, certificates }: Household, id: string): Promise<number> {
  const erasure = await erasureById(store, id)
  if (!erasure.certificate) {
    await output.say('The erasure is open: not every app has answered. See kith forget --list')
    return EXIT.parked
  }
  await output.print(certificateDocument(erasure.certificate))
  if (!output.json) await output.complain(`Kept in ${certificatePath(certificates, id)} where it was finished.`)
  return EXIT.done
}

async function waiveOne(context: Context, household: Household, id: string, options: ForgetOptions): Promise<number> {
  const { connection } = options
  if (connection === undefined) {
    throw new OperatorError(
      'say which connection is not waited for',
      `Such as: kith forget --waive ${id} --connection crm --why "..."`,
    )
  }
  const wish = wishOf(context, options)
  return working(context, household, async (runtime) => {
    await waiveConnection(runtime, await erasureById(household.store, id), connection, wish)
    await context.output.say(`Erasure ${id} does not wait for ${connection} any more; the certificate will say so.`)
    return EXIT.done
  })
}

async function liftOne(context: Context, household: Household, id: string, options: ForgetOptions): Promise<number> {
  const wish = wishOf(context, options)
  const answer = options.yes === true ? true : await confirm(context, 'Let the person be added again?')
  if (answer !== true) {
    await context.output.say(answer === null ? 'Nothing was done. Do it with: --yes' : 'Nothing was done.')
    return EXIT.held
  }
  return withRuntime(household, async (runtime) => {
    await lift(runtime, await erasureById(household.store, id), wish)
    await context.output.say('The bar is lifted. Nothing comes back by that; what is added from now on is like any.')
    return EXIT.done
  })
}

async function again(context: Context, household: Household, id: string, options: ForgetOptions): Promise<number> {
  const { output } = context
  const erasure = await erasureById(household.store, id)
  const back = await excludedBy(household.store, id)
  for (const { connection, recordId } of back) await output.say(`${connection} ${recordId} will be deleted`)
  const answer = options.yes === true ? true : await confirm(context, 'Delete them?')
  if (answer !== true) {
    await output.say(answer === null ? 'Nothing was done. Do it with: --why "..." --yes' : 'Nothing was done.')
    return EXIT.held
  }
  const wish = wishOf(context, options)
  return working(context, household, async (runtime) => {
    await begun(output, await forgetAgain(runtime, erasure, { seen: back.length, ...wish }))
    return EXIT.done
  })
}

/** With the rules of every connection: what follows in the apps is planned by them. */
async function working<Result>(
  context: Context,
  household: Household,
  work: (runtime: Runtime) => Promise<Result>,
): Promise<Result> {
  await household.connect(undefined, context.signal)
  return withRuntime(household, work)
}

async function withRuntime<Result>(household: Household, work: (runtime: Runtime) => Promise<Result>): Promise<Result> {
  const queues = await household.openQueues()
  try {
    return await work(household.runtime(queues))
  } finally {
    await queues.close(0)
  }
}
