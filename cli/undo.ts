import { fieldOf, PERSON_RECORD, PERSON_STATE } from '../engine/core/catalogue.ts'
import { nameOf, type Rule } from '../engine/core/person.ts'
import type { Intent } from '../engine/core/ports/store.ts'
import type { Left, Undone } from '../engine/core/undo.ts'
import { ActRefusedError } from '../workers/acts.ts'
import { catalogueOf } from '../workers/connect.ts'
import type { Household } from '../workers/household.ts'
import type { Runtime } from '../workers/runtime.ts'
import {
  abandonUndo,
  lastRun,
  performUndo,
  prepareUndo,
  previewUndo,
  undoUnderWay,
  type Undo,
  type UndoFilter,
  type UndoPart,
} from '../workers/undo.ts'
import { confirm } from './ask.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { findPerson } from './find-person.ts'
import { since } from './numbers.ts'
import { operatorOf } from './operator.ts'
import { clock, count, type Output } from './output.ts'
import { withHousehold } from './session.ts'
import { plain, showValue, titles } from './words.ts'

interface UndoOptions {
  readonly act?: string
  readonly run?: string
  readonly rule?: string
  readonly person?: string
  readonly connection?: string
  readonly since?: string
  readonly until?: string
  readonly field?: string
  readonly why?: string
  readonly by?: string
  readonly yes?: boolean
  readonly all?: boolean
  readonly abandon?: boolean
}

const RULES: readonly Rule[] = [
  'first',
  'edit',
  'latest',
  'prefer',
  'owner',
  'fill',
  'same',
  'act',
  'consent',
  'standard',
]

/** People that a preview shows one by one, unless all are asked for. */
const SHOWN_MAX = 20

export const registerUndo: Register = (program, run) => {
  program
    .command('undo')
    .description(
      'Takes changes back: shows what would go back to what, and asks. What was edited since is left and named.',
    )
    .option('--act <id>', 'what an operator did: see kith acts')
    .option('--run <connection:pass>', 'what one reading of a connection brought, see kith log; or: last')
    .option('--rule <rule>', `what stands by one rule: ${RULES.join(', ')}`)
    .option('--person <email|name|id>', 'only one person; alone: back to what was first heard of them')
    .option('--connection <name>', 'only what came from one connection')
    .option('--since <time>', 'only what was heard since then: 2h, 7d, 2026-11-22')
    .option('--until <time>', 'and until then')
    .option('--field <field>', 'only this field: title, emails, name')
    .option('--why <text>', 'why, for the record')
    .option('--by <name>', 'who does it; otherwise the name you are logged in with')
    .option('--all', 'show everybody in a long preview (JSON always does)')
    .option('--yes', 'do it without asking')
    .option('--abandon', 'leave an undo that was stopped as it is, so that another can be begun')
    .addHelpText(
      'after',
      `
What is named holds together: --connection crm --since 2h is what came from crm in the last two hours.
An undo is one act: undo it by its id, and all is as before. Stopped in the middle, the same command carries on.
Records that it makes anew or takes away wait: kith plan shows them, kith approve <connection> lets them go.
Consent is never loosened by an undo. What was pruned from the log cannot be undone.

Examples:
  kith undo --run last
  kith undo --connection crm --since 2h --field title
  kith undo --act 4f0c6k2m9x7qzt1v --yes --why "wrong person"
${EXIT_CODES}`,
    )
    .action((options: UndoOptions, command) => run(command, (context) => undo(context, options)))
}

async function undo(context: Context, options: UndoOptions): Promise<number> {
  return withHousehold(context, async (household) => {
    if (options.abandon === true) return abandon(context, household)
    const asked = askedOf(options)
    const stopped = await undoUnderWay(household.store)
    // A time like 2h means the same as when it was begun.
    const filter = stopped?.asked === asked ? stopped.filter : await filterOf(household, options)
    // What follows in the apps is planned by the rules of every connection.
    await household.connect(undefined, context.signal)
    const queues = await household.openQueues()
    try {
      const runtime = household.runtime(queues)
      const by = operatorOf(options.by, context.env)
      const prepared = await prepareUndo(runtime, filter, { asked, by, why: options.why ?? '' })
      return await previewAndDo(context, household, runtime, prepared, options, stopped?.asked === asked)
    } catch (error) {
      if (!(error instanceof ActRefusedError)) throw error
      throw new OperatorError(error.message, 'Run that one again to finish it, or: kith undo --abandon')
    } finally {
      await queues.close(0)
    }
  })
}

async function abandon({ output }: Context, { store }: Household): Promise<number> {
  const stopped = await undoUnderWay(store)
  if (stopped) await abandonUndo(store)
  await output.say(
    stopped
      ? `Left as it is: ${stopped.asked}. What it took back: kith undo --act ${stopped.id}`
      : 'No undo is unfinished.',
  )
  if (output.json) await output.print({ abandoned: stopped?.id ?? null })
  return EXIT.done
}

/** The same command in the same words, however its options are ordered. */
function askedOf(options: UndoOptions): string {
  const words = (['act', 'run', 'rule', 'person', 'connection', 'since', 'until', 'field'] as const).flatMap((name) => {
    const value = options[name]
    return value === undefined ? [] : [`--${name} ${value}`]
  })
  if (words.length === 0) {
    throw new OperatorError(
      'say what to undo',
      'Name an act, a run, a person, a connection or a time: kith undo --help',
    )
  }
  return words.join(' ')
}

async function filterOf(household: Household, options: UndoOptions): Promise<UndoFilter> {
  const { store, config } = household
  const { act, rule, connection, field } = options
  if (connection !== undefined) mustKnow(household, connection)
  if (act !== undefined && (await store.acts({ id: act, limit: 1 })).length === 0) {
    throw new OperatorError(`there is no act ${act}`, 'See: kith acts')
  }
  const known = RULES.find((name) => name === rule)
  if (rule !== undefined && known === undefined) {
    throw new OperatorError(`there is no rule ${rule}`, `The rules are ${RULES.join(', ')}.`)
  }
  const names = [...catalogueOf(config).fields].map(({ name }) => name)
  if (
    field !== undefined &&
    !names.some((name) => name === field || name.startsWith(`${field}.`)) &&
    !isConsent(field)
  ) {
    throw new OperatorError(`there is no field named ${field}`, `The fields are: ${names.join(', ')}.`)
  }
  return {
    ...(act === undefined ? {} : { act }),
    ...(options.run === undefined ? {} : { run: await runOf(household, options.run, connection) }),
    ...(known === undefined ? {} : { rule: known }),
    ...(options.person === undefined ? {} : { personId: (await findPerson(store, options.person)).id }),
    ...(connection === undefined ? {} : { connection }),
    ...(options.since === undefined ? {} : { since_ms: timeOf('--since', options.since) }),
    ...(options.until === undefined ? {} : { until_ms: timeOf('--until', options.until) }),
    ...(field === undefined ? {} : { field }),
  }
}

function isConsent(field: string): boolean {
  return field === 'consent' || field.startsWith('consent.')
}

function mustKnow({ config }: Household, connection: string): void {
  const names = config.connections.map(({ name }) => name)
  if (names.includes(connection)) return
  throw new OperatorError(`there is no connection named ${connection}`, `The config has: ${names.join(', ')}.`)
}

function timeOf(option: string, text: string): number {
  try {
    return since(text)
  } catch (error) {
    throw new OperatorError(
      `${option} ${text}: ${error instanceof Error ? error.message : 'no time'}`,
      'See: kith undo --help',
    )
  }
}

async function runOf(
  household: Household,
  text: string,
  connection: string | undefined,
): Promise<{ connection: string; pass: number }> {
  if (text === 'last') {
    const run = await lastRun(household.store, connection)
    if (run) return run
    throw new OperatorError('the log knows of no run that changed anything', 'See: kith log')
  }
  const [, name = '', pass = ''] = /^(.+):(\d+)$/.exec(text) ?? []
  if (name === '') throw new OperatorError(`"${text}" is no run`, 'Write it as kith log does, such as crm:12; or: last')
  mustKnow(household, name)
  return { connection: name, pass: Number(pass) }
}

async function previewAndDo(
  context: Context,
  household: Household,
  runtime: Runtime,
  prepared: Undo,
  options: UndoOptions,
  resumes: boolean,
): Promise<number> {
  const { output, signal } = context
  const shown = new UndoText(context, household, options.all === true)
  if (resumes) await output.say(`This carries on the undo begun ${clock(prepared.begun_ms)} by ${plain(prepared.by)}.`)
  if (prepared.filter.run) {
    const { connection, pass } = prepared.filter.run
    await output.say(`Run ${connection}:${pass}`)
  }
  for await (const part of previewUndo(runtime, prepared)) {
    await shown.part(part)
    if (signal.aborted) return EXIT.interrupted
  }
  const reach_ms = await household.store.oldestLog()
  await shown.sums(reach_ms)
  if (shown.undone === 0) {
    if (resumes) await performUndo(runtime, prepared)
    await shown.end({ act: null, state: 'nothing', reach_ms })
    return EXIT.done
  }
  if (options.yes !== true) {
    const answer = await confirm(context, `Take back ${count(shown.undone, 'change')}?`)
    if (answer !== true) {
      if (answer === null) await output.complain('Nothing was done. To do it: the same command with --yes')
      await shown.end({ act: null, state: 'preview', reach_ms })
      return EXIT.held
    }
  }
  let [done, held] = [0, 0]
  await performUndo(runtime, prepared, (part) => {
    done += part.undone.length
    held += part.writes.filter(isHeld).length
  })
  await output.say(`${count(done, 'change')} taken back. To have it as before: kith undo --act ${prepared.id}`)
  if (held > 0)
    await output.say(`${count(held, 'write waits', 'writes wait')} for you: kith plan, then kith approve <connection>`)
  else await output.say('A daemon sends what follows; without one: kith sync')
  await shown.end({ act: prepared.id, state: 'done', reach_ms })
  return EXIT.done
}

function isHeld(intent: Intent): boolean {
  return intent.state === 'held'
}

/** Tells of an undo part by part, in words or as JSON. */
class UndoText {
  readonly #output: Output
  readonly #title: (cell: string) => string
  readonly #shown_max: number
  readonly #writes = new Map<string, Map<Intent['op'], { sent: number; held: number }>>()
  readonly #lines: { undone: object[]; left: object[]; writes: object[] } = { undone: [], left: [], writes: [] }
  #left: string[] = []
  #leftCount = 0
  #people = 0
  undone = 0

  constructor({ output }: Context, { config }: Household, all: boolean) {
    this.#output = output
    this.#title = titles(catalogueOf(config).fields)
    this.#shown_max = all ? Infinity : SHOWN_MAX
  }

  async part({ undone, left, writes, names }: UndoPart): Promise<void> {
    const nameFor = (id: string): string => plain(nameOf(names.get(id) ?? {}, id))
    for (const [personId, changes] of Map.groupBy(undone, (one) => one.personId)) {
      this.#people++
      this.undone += changes.length
      if (this.#output.json) {
        for (const one of changes)
          this.#lines.undone.push({ person: personId, name: nameFor(personId), ...changeJson(one) })
      } else if (this.#people <= this.#shown_max) {
        await this.#output.say(this.#output.bold(nameFor(personId)) + this.#output.dim(`  ${personId}`))
        for (const one of changes) await this.#output.say(`    ${this.#change(one)}`)
        for (const intent of writes.filter((write) => write.personId === personId)) {
          const held = isHeld(intent) ? this.#output.yellow(`  held: ${intent.held ?? ''}`) : ''
          await this.#output.say(
            `    ${this.#output.dim(`→ ${intent.connection}: ${intent.op}${what(intent, this.#title)}`)}${held}`,
          )
        }
      }
    }
    for (const one of left) {
      this.#leftCount++
      if (this.#output.json)
        this.#lines.left.push({ person: one.personId, name: nameFor(one.personId), ...leftJson(one) })
      else if (this.#left.length < this.#shown_max) {
        this.#left.push(`${nameFor(one.personId)}, ${this.#title(one.cell)}: ${showValue(one.value)}  ${because(one)}`)
      }
    }
    for (const intent of writes) this.#count(intent)
  }

  #count(intent: Intent): void {
    const { connection, op, personId, recordId, held } = intent
    const ops = this.#writes.get(connection) ?? new Map<Intent['op'], { sent: number; held: number }>()
    const sums = ops.get(op) ?? { sent: 0, held: 0 }
    sums[isHeld(intent) ? 'held' : 'sent']++
    this.#writes.set(connection, ops.set(op, sums))
    if (!this.#output.json) return
    const fields = Object.entries(intent.cells).map(([cell, { before, after }]) => ({
      field: fieldOf(cell),
      before,
      after,
    }))
    this.#lines.writes.push({ connection, op, person: personId, record: recordId, fields, held: held ?? null })
  }

  #change({ cell, before, after }: Undone): string {
    if (cell === PERSON_STATE) return `${stateWords(before)}, and is ${stateWords(after)} again`
    if (cell === PERSON_RECORD)
      return `the record ${recordWords(before ?? after)} ${before === null ? 'is made anew' : 'waits for a decision again'}`
    return `${this.#title(cell)}: ${showValue(before)} → ${showValue(after)}`
  }

  async sums(reach_ms: number | null): Promise<void> {
    const output = this.#output
    const more = this.#people - this.#shown_max
    if (!output.json && more > 0)
      await output.say(output.dim(`  … and ${count(more, 'more person', 'more people')}; --all shows them`))
    if (this.#leftCount > 0) {
      await output.say(
        `\n${output.yellow(`${count(this.#leftCount, 'change')} left as ${this.#leftCount === 1 ? 'it is' : 'they are'}:`)}`,
      )
      for (const line of this.#left) await output.say(`  ${line}`)
      const rest = this.#leftCount - this.#left.length
      if (!output.json && rest > 0) await output.say(output.dim(`  … and ${rest} more; --all shows them`))
    }
    if (this.undone === 0) await output.say('\nThere is nothing to take back.')
    else {
      await output.say(`\n${count(this.undone, 'change')} of ${count(this.#people, 'person', 'people')} would go back.`)
      for (const [connection, ops] of this.#writes) {
        const words = [...ops].map(
          ([op, { sent, held }]) => `${sent + held} to ${op}${held > 0 ? ` (${held} held)` : ''}`,
        )
        await output.say(`  ${connection}: ${words.join(', ')}`)
      }
    }
    await output.say(
      reach_ms === null
        ? 'The log is empty.'
        : output.dim(`The log reaches back to ${clock(reach_ms)}; what is older cannot be undone.`),
    )
  }

  async end(result: {
    act: string | null
    state: 'preview' | 'done' | 'nothing'
    reach_ms: number | null
  }): Promise<void> {
    if (!this.#output.json) return
    const { act, state, reach_ms } = result
    const log_since = reach_ms === null ? null : new Date(reach_ms).toISOString()
    await this.#output.print({ state, act, ...this.#lines, log_since })
  }
}

function what(intent: Intent, title: (cell: string) => string): string {
  const names = [...new Set(Object.keys(intent.cells).map(title))]
  return names.length === 0 ? '' : ` ${names.join(', ')}`
}

function stateWords(value: Undone['before']): string {
  const merged = typeof value === 'object' && value !== null && !Array.isArray(value) ? value['into'] : undefined
  return typeof merged === 'string' ? `merged into ${merged}` : String(value)
}

function recordWords(value: Undone['before']): string {
  const { connection = '', record = '' } = (
    typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
  ) as {
    connection?: unknown
    record?: unknown
  }
  return plain(`${String(connection)} ${String(record)}`)
}

function because({ reason, by, note }: Left): string {
  const more = note === undefined ? '' : `: ${note}`
  switch (reason) {
    case 'edited':
      return by && by.at > 0 ? `(said by ${by.by}, ${clock(by.at)})` : `(something else was decided since${more})`
    case 'consent':
      return '(consent is never loosened by an undo: kith consent <address> --set, with a proof)'
    case 'merged':
      return '(the person was merged into another since: undo that first)'
    case 'erased':
      return '(erased on request: nothing of it comes back)'
    case 'gone':
      return '(what it was about is not there any more)'
    case 'manual':
      return `(${note ?? 'by hand'})`
  }
}

function changeJson({ cell, before, after }: Undone): object {
  return { field: fieldOf(cell), before, after }
}

function leftJson({ cell, value, reason, by, note }: Left): object {
  const said = by === undefined ? {} : { by: by.by, at: new Date(by.at).toISOString() }
  return { field: fieldOf(cell), value, reason, ...said, ...(note === undefined ? {} : { note }) }
}
