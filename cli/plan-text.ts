import type { Config } from '../config/types.ts'
import type { FieldDef } from '../engine/core/catalogue.ts'
import { fieldOf, isElement } from '../engine/core/catalogue.ts'
import { adviceFor } from '../engine/core/failure.ts'
import type { Intent, IntentCell, Store } from '../engine/core/ports/store.ts'
import type { BrakeHold } from '../workers/approve.ts'
import type { PlanSummary } from '../workers/plan-summary.ts'
import { holdLine } from './approve.ts'
import type { AmbiguousLine, ConflictLine, Operation } from '../workers/listing.ts'
import { parkedOf } from '../workers/listing.ts'
import { count, width, type Output } from './output.ts'
import { sentence } from './session.ts'
import { plain, reason, showValue, titles } from './words.ts'

/** Records of one connection, and lines of each list, that a plan shows unless all are asked for. */
const SHOWN_MAX = 20

const SIGNS: { readonly [op in Intent['op']]: string } = { create: '+', update: '~', delete: '-', merge: '>' }

/** What was seen of one connection so far. */
interface Group {
  readonly name: string
  shown: number
  readonly counts: Map<string, number>
}

/** Prints a plan for people, piece by piece. */
export class PlanText {
  readonly #output: Output
  readonly #title: (cell: string) => string
  readonly #shown_max: number
  #planned = 0

  constructor(output: Output, fields: Iterable<FieldDef>, all: boolean) {
    this.#output = output
    this.#title = titles(fields)
    this.#shown_max = all ? Infinity : SHOWN_MAX
  }

  /**
   * What is to be written where, field by field, before the list: where the config has changed since it was approved, or the
   * list is too long to be read.
   */
  async summary({ count: number, configChanged, connections }: PlanSummary): Promise<void> {
    const output = this.#output
    if (number === 0 || (!configChanged && number <= SHOWN_MAX)) return
    await output.say(
      output.bold(
        configChanged
          ? 'The config is another than the one that was approved. With it:'
          : `${count(number, 'write')} in all:`,
      ),
    )
    for (const { connection, ops, fields } of connections) {
      const sums = Object.entries(ops).map(([op, sum]) => `${sum.toLocaleString('en-GB')} to ${op}`)
      await output.say(`  ${connection}: ${sums.join(', ')}`)
      for (const { field, count: records, samples } of fields) {
        const examples = samples.map(({ cell, change }) => difference(cell, change)).join('; ')
        await output.say(
          `    ${this.#title(field)} in ${count(records, 'record')}  ${output.dim(`such as ${examples}`)}`,
        )
      }
    }
    await output.say()
  }

  /** Grouped by connection, in which order they come. */
  async operations(config: Config, operations: AsyncIterable<Operation>): Promise<void> {
    const output = this.#output
    let group: Group | undefined
    const end = async (group: Group | undefined): Promise<void> => {
      if (!group) return
      const rest = [...group.counts.values()].reduce((sum, number) => sum + number, 0) - group.shown
      if (rest > 0)
        await output.say(output.dim(`  … and ${count(rest, 'more record', 'more records')}; --all shows them`))
      const sums = [...group.counts].map(([op, number]) => `${number.toLocaleString('en-GB')} to ${op}`)
      await output.say(`  ${sums.join(', ')}\n`)
    }
    for await (const operation of operations) {
      const { connection, op } = operation.intent
      if (group?.name !== connection) {
        await end(group)
        group = { name: connection, shown: 0, counts: new Map() }
        await output.say(output.bold(connection) + modeNote(config, connection))
      }
      group.counts.set(op, (group.counts.get(op) ?? 0) + 1)
      this.#planned++
      if (group.shown >= this.#shown_max) continue
      group.shown++
      await this.#operation(operation)
    }
    await end(group)
  }

  async #operation({ intent, name, line }: Operation): Promise<void> {
    const output = this.#output
    const colour = { create: output.green, update: output.yellow, delete: output.red, merge: output.red }[intent.op]
    const record =
      intent.recordId === null
        ? ''
        : output.dim(` (${plain(intent.recordId)}${intent.into === undefined ? '' : ` into ${plain(intent.into)}`})`)
    const why = line.why === undefined ? '' : `  ${output.dim(line.why)}`
    const held = intent.held === undefined || intent.held === 'approval' ? '' : output.yellow(`  held: ${intent.held}`)
    await output.say(`  ${colour(SIGNS[intent.op])} ${name}${record}${why}${held}`)
    const rows = Object.entries(intent.cells).map(([cell, change]) => [
      this.#title(cell),
      difference(cell, change),
      reason(change.stamp, change.rule),
    ])
    const widths = [0, 1].map((column) => Math.min(48, Math.max(0, ...rows.map((row) => width(row[column] ?? '')))))
    for (const [title = '', values = '', because = ''] of rows) {
      await output.say(`      ${pad(title, widths[0])}  ${pad(values, widths[1])}  ${output.dim(because)}`)
    }
  }

  async ambiguous(lines: AsyncIterable<AmbiguousLine>): Promise<void> {
    await this.#list(
      'These records may be one of several people. Nothing is written for them until that is clear:',
      lines,
      ({ connection, record, reason: why, candidates }) => {
        const who = candidates.map(({ id, name }) => (name === id ? id : `${name} (${id})`)).join(', ')
        return `${connection}  ${plain(record)}: ${why}${who === '' ? '' : `. May be: ${who}`}`
      },
      'Decide with: kith review. Or give the record a name or an address of its own in its app.',
    )
  }

  async conflicts(lines: AsyncIterable<ConflictLine>): Promise<void> {
    await this.#list(
      'Conflicts, which a person has to decide:',
      lines,
      ({ name, field, connection, ours, theirs }) =>
        `${name}, ${this.#title(field)}: ${showValue(ours)}; ${connection} says ${showValue(theirs)}`,
      'Decide with: kith review. Or write one of the two values into both apps.',
    )
  }

  async unreadable(store: Store): Promise<void> {
    await this.#list(
      'Parked: refused by an app, or not to be read. All others go on:',
      parkedOf(store),
      ({ connection, op, record, name, cause, failure }) =>
        `${connection}  ${op} ${plain(record ?? name)}: ${sentence(cause)}${failure ? ` ${adviceFor(failure)}` : ''}`,
      '',
    )
  }

  async brakes(holds: readonly BrakeHold[]): Promise<void> {
    if (holds.length === 0) return
    for (const hold of holds) await this.#output.say(this.#output.yellow(holdLine(hold)))
    await this.#output.say('Let them go with: kith approve --brakes\n')
  }

  async conclusion(waiting: number, braked: boolean, failed: boolean): Promise<void> {
    const output = this.#output
    if (waiting > 0) {
      await output.say(`Nothing was written: ${count(waiting, 'write waits', 'writes wait')} for approval.`)
      await output.say('Send exactly this with: kith approve')
    } else if (this.#planned > 0 && !braked) {
      await output.say('Nothing was written. Send this with: kith sync (a running daemon sends it by itself)')
    } else if (this.#planned === 0) {
      await output.say(failed ? 'Nothing to do among those that answered.' : 'Nothing to do: all agree.')
    }
  }

  async #list<Line>(
    heading: string,
    lines: AsyncIterable<Line>,
    show: (line: Line) => string,
    advice: string,
  ): Promise<void> {
    const output = this.#output
    let number = 0
    for await (const line of lines) {
      if (number++ === 0) await output.say(output.yellow(heading))
      if (number <= this.#shown_max) await output.say(`  ${show(line)}`)
    }
    if (number > this.#shown_max) {
      await output.say(
        output.dim(`  … and ${(number - this.#shown_max).toLocaleString('en-GB')} more; --all shows them`),
      )
    }
    if (number > 0) await output.say(advice === '' ? '' : `${advice}\n`)
  }
}

function modeNote(config: Config, name: string): string {
  const mode = config.connections.find((connection) => connection.name === name)?.mode
  return mode === undefined || mode === 'live' ? '' : `  (${mode}: nothing is sent there)`
}

/** `(blank) → Ada`; for an element of a set `+ ada@example.org`, `- ada@example.org`. */
function difference(cell: string, { before, after }: IntentCell): string {
  if (fieldOf(cell) !== cell || isElement(before) || isElement(after)) {
    if (before === null) return `+ ${showValue(after)}`
    if (after === null) return `- ${showValue(before)}`
  }
  return `${showValue(before)} → ${showValue(after)}`
}

function pad(text: string, columns = 0): string {
  return text + ' '.repeat(Math.max(0, columns - width(text)))
}
