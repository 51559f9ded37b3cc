import { fieldOf } from '../engine/core/catalogue.ts'
import { CLEAN_UP_GROUPS, type CleanUpGroup, type CleanUpPart, type CleanUpWay } from '../engine/core/clean-up.ts'
import { readFilter } from '../config/include.ts'
import type { Filter } from '../engine/core/include.ts'
import type { Intent } from '../engine/core/ports/store.ts'
import { ActRefusedError } from '../workers/acts.ts'
import {
  cancelPause,
  previewCleanUp,
  resolveCleanUp,
  type CleanUpCounts,
  type CleanUpPreview,
  type CleanUpResolved,
  type Following,
} from '../workers/clean-up.ts'
import { catalogueOf } from '../workers/connect.ts'
import { Daemon } from '../workers/daemon.ts'
import { cleanUpDocument } from '../workers/documents/pause.ts'
import type { Household } from '../workers/household.ts'
import { runToQuiet } from '../workers/quiet.ts'
import { confirm } from './ask.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { operatorOf } from './operator.ts'
import { count, type Output } from './output.ts'
import { mustKnow, pauseWords } from './pause.ts'
import { withHousehold } from './session.ts'
import { plain, showValue, titles } from './words.ts'

interface ResumeOptions {
  readonly release?: boolean
  readonly drop?: boolean
  readonly revert?: boolean
  readonly only?: string
  readonly field?: string
  readonly filter?: string
  readonly reason?: string
  readonly by?: string
  readonly yes?: boolean
}

export const registerResume: Register = (program, run) => {
  program
    .command('resume')
    .argument('<connection>', 'a connection in a pause')
    .description('Shows what was changed in a paused app, and what would follow elsewhere; then decides about it.')
    .option('--release', 'it goes on to the other apps, as changes that were heard')
    .option('--drop', 'it stays in that app, and the others never hear of it')
    .option('--revert', 'the app is brought back to what it was')
    .option('--only <groups>', `only a part: ${CLEAN_UP_GROUPS.join(', ')}`)
    .option('--field <fields>', 'only these fields of edits: title,organisation')
    .option('--filter <filter>', 'only such records, written as `include:` in the config: {tags: {has: lead}}')
    .option('--reason <text>', 'why, for the record')
    .option('--by <name>', 'who does it; otherwise the name you are logged in with')
    .option('--yes', 'do it without asking')
    .addHelpText(
      'after',
      `
Without --release, --drop or --revert it only shows what a release would lead to. What is not decided stays pending, and
the pause goes on until nothing is left. Brakes hold as ever: many deletions are held, and named by kith status.

Examples:
  kith resume crm
  kith resume crm --drop --only creates
  kith resume crm --revert --field title
  kith resume crm --release --yes
${EXIT_CODES}`,
    )
    .action((connection: string, options: ResumeOptions, command) =>
      run(command, (context) => withHousehold(context, (household) => resume(context, household, connection, options))),
    )
}

async function resume(
  context: Context,
  household: Household,
  connection: string,
  options: ResumeOptions,
): Promise<number> {
  const { output } = context
  mustKnow(
    household.config.connections.map(({ name }) => name),
    connection,
  )
  const chosen = wayOf(options)
  const part = partOf(household, options)
  const pause = (await household.store.connections()).find(({ name }) => name === connection)?.pause
  if (!pause) throw notPaused(household, connection)
  // What people did there last is part of it.
  await household.connect(undefined, context.signal)
  const daemon = await Daemon.start(household, { leads: false, delivers: false })
  try {
    const { runtime } = daemon
    const by = operatorOf(options.by, context.env)
    if (pause.since_ms === null) {
      if (!(await cancelPause(runtime, connection, by, options.reason ?? 'never acknowledged'))) {
        throw new OperatorError(`${connection} is being paused or resumed just now`, 'Run the command again.')
      }
      await output.say(
        `The pause of ${connection} is given up: writes were still under way, so nothing was kept aside.`,
      )
      return EXIT.done
    }
    await runToQuiet(daemon, { delivered: false, signal: context.signal })
    if (context.signal.aborted) return EXIT.interrupted
    const preview = await previewCleanUp(runtime, connection, chosen ?? 'release', part)
    const empty = preview.records === 0 && sum(preview.whole) === 0
    if (!output.json) await show(output, household, preview, chosen, empty)
    const way = chosen ?? (empty ? 'release' : null)
    if (way === null) {
      if (output.json) await output.print(cleanUpDocument(preview, null))
      return EXIT.held
    }
    if (options.yes !== true) {
      const question = empty ? `Write to ${connection} again?` : `${VERBS[way]} ${countsLine(preview.part)}?`
      const answer = await confirm(context, question)
      if (answer !== true) {
        if (output.json) await output.print(cleanUpDocument(preview, null))
        await output.say(
          answer === null ? 'Nothing was done. To do it without being asked: --yes' : 'Nothing was done.',
        )
        return EXIT.held
      }
    }
    const why = options.reason ?? `${way}: ${pause.why}`
    const resolved = await resolveCleanUp(runtime, connection, { way, part, by, why, seen: preview.seen })
    if (output.json) await output.print(cleanUpDocument(preview, resolved))
    else await tell(output, connection, resolved)
    return resolved.ended ? EXIT.done : EXIT.held
  } catch (error) {
    if (!(error instanceof ActRefusedError)) throw error
    throw new OperatorError(error.message, `See where it stands with: kith status`)
  } finally {
    await daemon.stop()
  }
}

const VERBS: { readonly [way in CleanUpWay]: string } = { release: 'Release', drop: 'Drop', revert: 'Revert' }

function wayOf({ release, drop, revert }: ResumeOptions): CleanUpWay | null {
  const ways = [release && 'release', drop && 'drop', revert && 'revert'].filter(Boolean) as CleanUpWay[]
  if (ways.length > 1) {
    throw new OperatorError(
      'choose one of --release, --drop and --revert',
      'Part by part, with --only, --field or --filter.',
    )
  }
  return ways[0] ?? null
}

function partOf(household: Household, { only, field, filter }: ResumeOptions): CleanUpPart {
  const groups = only?.split(',').map((name) => name.trim()) ?? [...CLEAN_UP_GROUPS]
  for (const name of groups) {
    if (CLEAN_UP_GROUPS.includes(name as CleanUpGroup)) continue
    throw new OperatorError(`a clean-up has no ${name}`, `Write one or more of: ${CLEAN_UP_GROUPS.join(', ')}.`)
  }
  return {
    groups: new Set(groups as CleanUpGroup[]),
    fields: field === undefined ? null : fieldsOf(household, field),
    filter: filter === undefined ? null : filterOf(household, filter),
  }
}

function fieldsOf({ config }: Household, text: string): ReadonlySet<string> {
  const known = [...catalogueOf(config).fields].map(({ name }) => name)
  const wanted = text.split(',').map((name) => name.trim())
  const found = wanted.flatMap((name) => {
    const fields = known.filter((one) => one === name || one.startsWith(`${name}.`))
    if (fields.length === 0) throw new OperatorError(`there is no field ${name}`, `Fields are: ${known.join(', ')}.`)
    return fields
  })
  return new Set(found)
}

function filterOf({ config }: Household, text: string): Filter {
  const fields = new Map([...catalogueOf(config).fields].map((field) => [field.name, field]))
  const read = readFilter(text, fields)
  if (!read) throw new OperatorError('the filter cannot be read', 'Write it as include: {tags: {has: lead}}')
  const [problem] = read.problems
  if (problem) throw new OperatorError(`the filter: ${problem.message}`, problem.advice)
  return read.filter
}

function notPaused({ config }: Household, connection: string): OperatorError {
  const mode = config.connections.find(({ name }) => name === connection)?.mode
  return mode === 'paused'
    ? new OperatorError(
        `${connection} is not read or written because kith.yaml says "mode: paused"`,
        'Change it there, and start Kith again.',
      )
    : new OperatorError(`${connection} is not in a pause`, 'See where every connection stands with: kith status')
}

/** `412 edited, 37 merged into 35, 120 deleted, 64 created`. */
export function countsLine({ edited, merged, into, deleted, created }: CleanUpCounts): string {
  const number = (value: number): string => value.toLocaleString('en-GB')
  const parts = [
    edited > 0 ? `${number(edited)} edited` : '',
    merged > 0 ? `${number(merged)} merged into ${number(into)}` : '',
    deleted > 0 ? `${number(deleted)} deleted` : '',
    created > 0 ? `${number(created)} created` : '',
  ]
  return parts.filter(Boolean).join(', ') || 'nothing'
}

function sum({ edited, merged, deleted, created }: CleanUpCounts): number {
  return edited + merged + deleted + created
}

async function show(
  output: Output,
  household: Household,
  preview: CleanUpPreview,
  way: CleanUpWay | null,
  empty: boolean,
): Promise<void> {
  const { connection, pause, whole, part, following, waiting } = preview
  await output.say(`${connection} is paused ${pauseWords(pause)}.`)
  await output.say(empty ? 'Nothing was changed there since.' : `Since then: ${output.bold(countsLine(whole))}.`)
  const title = titles(catalogueOf(household.config).fields)
  const fields = Object.entries(part.fields).sort(([, a], [, b]) => b - a)
  if (fields.length > 0) {
    await output.say(`  edited: ${fields.map(([field, number]) => `${title(field)} ${number}`).join(', ')}`)
  }
  if (sum(part) !== sum(whole)) await output.say(`This part of it: ${countsLine(part)}.`)
  await samples(output, preview)
  if (waiting > 0) {
    await output.say(`${count(waiting, 'write')} from elsewhere ${waiting === 1 ? 'waits' : 'wait'} for ${connection}.`)
  }
  if (empty) return
  await output.say(`\n${FORETOLD[way ?? 'release']}`)
  if (preview.deletionsHeld !== null) await output.say(output.yellow(`  deletions are held: ${preview.deletionsHeld}`))
  if (following.length === 0) await output.say('  nothing follows anywhere')
  for (const one of following) await follow(output, one, title)
  const refused = Map.groupBy(preview.refused, ({ why }) => why)
  for (const [why, records] of refused)
    await output.say(output.yellow(`  not for ${count(records.length, 'record')}: ${why}`))
  if (way === null) await output.say('\nNothing is decided yet: --release, --drop or --revert; see kith resume --help')
}

const FORETOLD: { readonly [way in CleanUpWay]: string } = {
  release: 'Released, it leads to:',
  drop: 'Dropped, it stays there, and leads to:',
  revert: 'Reverted, it leads to:',
}

async function follow(output: Output, one: Following, title: (cell: string) => string): Promise<void> {
  const counts = [
    one.creates > 0 ? `${one.creates} to create` : '',
    one.updates > 0 ? `${one.updates} to update` : '',
    one.deletes > 0 ? `${one.deletes} to delete` : '',
    one.merges > 0 ? `${one.merges} to merge` : '',
  ]
  const held = one.held > 0 ? `; ${one.held} held` : ''
  await output.say(`  ${one.connection}: ${counts.filter(Boolean).join(', ')}${held}`)
  for (const reason of one.reasons) await output.say(output.yellow(`    ${reason}`))
  for (const intent of one.samples) await output.say(output.dim(`    ${sample(intent, title)}`))
}

function sample({ op, recordId, cells }: Intent, title: (cell: string) => string): string {
  const changes = Object.entries(cells)
    .slice(0, 3)
    .map(([cell, { before, after }]) =>
      op === 'create' ? showValue(after) : `${title(fieldOf(cell))}: ${showValue(before)} -> ${showValue(after)}`,
    )
  return `${op} ${recordId === null ? '' : `${plain(recordId)} `}${changes.join('; ')}`
}

async function samples(output: Output, { samples: some }: CleanUpPreview): Promise<void> {
  for (const { group, recordId, before, after, into } of some) {
    const names = Object.keys({ ...before, ...after })
    const changed = names.filter(
      (name) => JSON.stringify(before?.[name] ?? null) !== JSON.stringify(after?.[name] ?? null),
    )
    const what =
      into !== undefined
        ? `merged into ${plain(into)}`
        : group === 'deletes'
          ? 'deleted'
          : changed
              .slice(0, 3)
              .map((name) => `${name}: ${showValue(before?.[name] ?? null)} -> ${showValue(after?.[name] ?? null)}`)
              .join('; ')
    await output.say(output.dim(`  ${plain(recordId)} ${what}`))
  }
}

async function tell(
  output: Output,
  connection: string,
  { decided, left, ended, refused }: CleanUpResolved,
): Promise<void> {
  await output.say(`${count(decided, 'record')} decided.`)
  if (refused.length > 0) await output.say(output.yellow(`${count(refused.length, 'record')} could not be; see above.`))
  if (ended)
    await output.say(output.bold(`${connection} goes on. What waited for it is sent by the daemon, or by: kith sync`))
  else
    await output.say(
      `${count(left, 'record')} still to be decided: ${connection} stays paused. See: kith resume ${connection}`,
    )
}
