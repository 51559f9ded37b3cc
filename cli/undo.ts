import { PERSON_RECORD, PERSON_STATE } from '../engine/core/catalogue.ts'
import type { Intent } from '../engine/core/ports/store.ts'
import type { Left, Undone } from '../engine/core/undo.ts'
import { ActRefusedError } from '../workers/acts.ts'
import { catalogueOf } from '../workers/connect.ts'
import { undoLines, type UndoLines } from '../workers/documents/undo.ts'
import type { Household } from '../workers/household.ts'
import { newId } from '../workers/new-id.ts'
import type { Runtime } from '../workers/runtime.ts'
import {
  abandonUndo,
  performUndo,
  prepareUndo,
  previewUndo,
  undoUnderWay,
  type Undo,
  type UndoFilter,
  type UndoPart,
} from '../workers/undo.ts'
import { askedOf, undoFilterOf, UndoAskError, UNDO_RULES } from '../workers/undo-ask.ts'
import { confirm } from './ask.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { findPerson } from './find-person.ts'
import { since } from './numbers.ts'
import { operatorOf } from './operator.ts'
import { clock, count, type Output } from './output.ts'
import { withHousehold } from './session.ts'
import { nameFromCells, plain, showValue, titles } from './words.ts'

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
    .option('--rule <rule>', `what stands by one rule: ${UNDO_RULES.join(', ')}`)
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
    if (options.abandon === true) return abandon(context, household, options)
    const asked = mustAsk(options)
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

async function abandon({ output, env }: Context, { store }: Household, options: UndoOptions): Promise<number> {
  const wish = { by: operatorOf(options.by, env), why: options.why ?? '' }
  const stopped = await abandonUndo({ store, now: Date.now, newId }, wish)
  await output.say(
    stopped
      ? `Left as it is: ${stopped.asked}. What it took back: kith undo --act ${stopped.id}`
      : 'No undo is unfinished.',
  )
  if (output.json) await output.print({ abandoned: stopped?.id ?? null })
  return EXIT.done
}

function mustAsk(options: UndoOptions): string {
  const asked = askedOf(options)
  if (asked !== '') return asked
  throw new OperatorError('say what to undo', 'Name an act, a run, a person, a connection or a time: kith undo --help')
}

async function filterOf(household: Household, options: UndoOptions): Promise<UndoFilter> {
  const { act, run, rule, person, connection, since: from, until, field } = options
  try {
    return await undoFilterOf(household, {
      ...(act === undefined ? {} : { act }),
      ...(run === undefined ? {} : { run }),
      ...(rule === undefined ? {} : { rule }),
      ...(person === undefined ? {} : { personId: (await findPerson(household.store, person)).id }),
      ...(connection === undefined ? {} : { connection }),
      ...(from === undefined ? {} : { since_ms: timeOf('--since', from) }),
      ...(until === undefined ? {} : { until_ms: timeOf('--until', until) }),
      ...(field === undefined ? {} : { field }),
    })
  } catch (error) {
    if (!(error instanceof UndoAskError)) throw error
    throw new OperatorError(error.message, ADVICE[error.about](error.known.join(', ')))
  }
}

const ADVICE: { readonly [about in UndoAskError['about']]: (known: string) => string } = {
  act: () => 'See: kith acts',
  run: () => 'Write it as kith log does, such as crm:12; or: last',
  rule: (known) => `The rules are ${known}.`,
  connection: (known) => `The config has: ${known}.`,
  field: (known) => `The fields are: ${known}.`,
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
  readonly #lines: UndoLines = { undone: [], left: [], writes: [] }
  #left: string[] = []
  #leftCount = 0
  #people = 0
  undone = 0

  constructor({ output }: Context, { config }: Household, all: boolean) {
    this.#output = output
    this.#title = titles(catalogueOf(config).fields)
    this.#shown_max = all ? Infinity : SHOWN_MAX
  }

  async part(part: UndoPart): Promise<void> {
    const { undone, left, writes, names } = part
    const nameFor = (id: string): string => nameFromCells(names.get(id) ?? {}, id)
    if (this.#output.json) {
      const lines = undoLines(part)
      this.#lines.undone.push(...lines.undone)
      this.#lines.left.push(...lines.left)
      this.#lines.writes.push(...lines.writes)
    }
    for (const [personId, changes] of Map.groupBy(undone, (one) => one.personId)) {
      this.#people++
      this.undone += changes.length
      if (!this.#output.json && this.#people <= this.#shown_max) {
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
      if (!this.#output.json && this.#left.length < this.#shown_max) {
        this.#left.push(`${nameFor(one.personId)}, ${this.#title(one.cell)}: ${showValue(one.value)}  ${because(one)}`)
      }
    }
    for (const intent of writes) this.#count(intent)
  }

  #count(intent: Intent): void {
    const { connection, op } = intent
    const ops = this.#writes.get(connection) ?? new Map<Intent['op'], { sent: number; held: number }>()
    const sums = ops.get(op) ?? { sent: 0, held: 0 }
    sums[isHeld(intent) ? 'held' : 'sent']++
    this.#writes.set(connection, ops.set(op, sums))
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
