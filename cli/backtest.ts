import type { z } from 'zod'
import type { FateDifference, ValueDifference, WriteDifference } from '../engine/core/backtest.ts'
import { isElement } from '../engine/core/catalogue.ts'
import { nameOf } from '../engine/core/person.ts'
import { backtest, type BacktestGround, type BacktestPart } from '../workers/backtest.ts'
import { catalogueOf } from '../workers/connect.ts'
import { backtestDocument, type BacktestDocument } from '../workers/documents/backtest.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT } from './errors.ts'
import { wholeNumber } from './numbers.ts'
import { clock, count } from './output.ts'
import { quietLog } from './session.ts'
import { plain, showValue, titles } from './words.ts'

const DAY_MS = 86_400_000
/** Samples of each kind of difference, unless all are asked for. */
const SAMPLES_MAX = 3

export const registerBacktest: Register = (program, run) => {
  program
    .command('backtest')
    .description(
      'Replays the changes of the last days under a config: what would have ended otherwise. Writes nothing.',
    )
    .option('--days <number>', 'how many days back', wholeNumber, 7)
    .option('--all', 'show every difference, not only samples (JSON always does)')
    .addHelpText(
      'after',
      `
The config to try is named like any: kith backtest --config new.yaml. Put it beside kith.yaml (or set KITH_DATA), so that it
finds the same data; kith.yaml itself is not touched. What is replayed is the log: policies, directions, filters, and whether a
field is mapped. What a mapping would make of other app fields, or of the same ones by another transform, nobody has recorded:
kith plan shows that. Deletions, merges, matches and consent are not replayed.

Examples:
  kith backtest --days 7
  kith backtest --days 30 --config new.yaml --json
${EXIT_CODES}`,
    )
    .action((options: { days: number; all?: boolean }, command) =>
      run(command, (context) => tell(context, options.days, options.all === true)),
    )
}

async function tell(context: Context, days: number, all: boolean): Promise<number> {
  const { output, configFile, env, signal } = context
  const from_ms = Date.now() - days * DAY_MS
  return backtest({ configFile, env, log: quietLog(context), from_ms, signal }, async (ground, parts) => {
    const report = new Report(ground, all || output.json)
    for await (const part of parts) report.add(part)
    if (signal.aborted) return EXIT.interrupted
    if (output.json) await output.print(report.json(from_ms))
    else for (const line of report.lines(from_ms, output.bold, output.dim)) await output.say(line)
    return EXIT.done
  })
}

/** Differences that are told together: one field and what became of it. */
interface Group<Item> {
  count: number
  readonly samples: (Item & { readonly name: string })[]
}

class Report {
  readonly #ground: BacktestGround
  readonly #title: (cell: string) => string
  readonly #samples_max: number
  readonly #fates = new Map<string, Group<FateDifference>>()
  readonly #values = new Map<string, Group<ValueDifference>>()
  readonly #writes = new Map<string, Group<WriteDifference>>()
  readonly #people = new Set<string>()
  #changes = 0
  #unjudged = 0

  constructor(ground: BacktestGround, all: boolean) {
    this.#ground = ground
    this.#title = titles(catalogueOf(ground.config).fields)
    this.#samples_max = all ? Infinity : SAMPLES_MAX
  }

  add({ changes, unjudged, fates, values, writes, names }: BacktestPart): void {
    this.#changes += changes
    this.#unjudged += unjudged
    const put = <Item extends { readonly personId: string }>(
      groups: Map<string, Group<Item>>,
      key: string,
      item: Item,
    ): void => {
      const group = groups.get(key) ?? { count: 0, samples: [] }
      groups.set(key, group)
      group.count++
      this.#people.add(item.personId)
      const name = plain(nameOf(names.get(item.personId) ?? {}, item.personId))
      if (group.samples.length < this.#samples_max) group.samples.push({ ...item, name })
    }
    for (const one of values) put(this.#values, `${this.#title(one.cell)}, by ${one.rule}`, one)
    for (const one of fates) {
      const how = `${one.instead} instead of ${one.recorded} (${one.rule})`
      put(this.#fates, `${this.#title(one.cell)} from ${one.connection}: ${how}`, one)
    }
    for (const one of writes) put(this.#writes, `${one.connection}: ${this.#kind(one)}`, one)
  }

  #kind({ op, cell, recorded, instead }: WriteDifference): string {
    const what = op === 'create' || cell === null ? 'records created' : this.#title(cell)
    if (instead === undefined) return `${what}, not written`
    return recorded === undefined ? `${what}, written` : `${what}, written with another value`
  }

  lines(from_ms: number, bold: (text: string) => string, dim: (text: string) => string): string[] {
    const { logFrom_ms } = this.#ground
    const lines = [
      `${count(this.#changes, 'change')} since ${clock(from_ms)}, replayed under ${plain(this.#ground.config.file)}.`,
    ]
    const section = <Item>(
      title: string,
      groups: ReadonlyMap<string, Group<Item>>,
      show: (item: Item & { readonly name: string }) => string,
    ): void => {
      if (groups.size === 0) return
      lines.push('', bold(title))
      for (const [key, group] of [...groups].sort((a, b) => b[1].count - a[1].count)) {
        lines.push(`  ${key}: ${group.count.toLocaleString('en-GB')}`)
        for (const sample of group.samples) lines.push(`      ${show(sample)}`)
        const rest = group.count - group.samples.length
        if (rest > 0) lines.push(dim(`      … and ${rest.toLocaleString('en-GB')} more; --all shows them`))
      }
    }
    section(
      'Other values would stand',
      this.#values,
      ({ name, recorded, instead }) => `${name}: ${showValue(instead)} instead of ${showValue(recorded)}`,
    )
    section('Writes', this.#writes, ({ name, op, recorded, instead }) =>
      op === 'create' ? name : `${name}: ${written(recorded, instead)}`,
    )
    section(
      'Changes that would have ended otherwise',
      this.#fates,
      ({ name, value, heard_ms }) => `${name}: ${showValue(value)}, ${clock(heard_ms)}`,
    )
    if (this.#people.size === 0) lines.push('', 'Nothing would have ended otherwise.')
    lines.push('', bold('What this cannot tell'), ...this.#limits(from_ms, logFrom_ms).map((line) => `  ${line}`))
    return lines
  }

  #limits(from_ms: number, logFrom_ms: number | null): string[] {
    const { unknown, unread } = this.#ground
    const limits = [
      'Transforms, and app fields that were not mapped then: the log holds what was read, not what might have been. See kith plan.',
      'What a change was made over is known only so far: one that was no conflict then is taken for none.',
    ]
    if (logFrom_ms === null) limits.unshift('The log is empty.')
    else if (logFrom_ms > from_ms) limits.unshift(`The log reaches back to ${clock(logFrom_ms)} only.`)
    if (this.#unjudged > 0)
      limits.push(
        `${count(this.#unjudged, 'deletion, merge, match or change of consent was', 'deletions, merges, matches and changes of consent were')} not replayed.`,
      )
    if (unknown.length > 0)
      limits.push(`Nothing of ${unknown.join(', ')}: the fields of the account are not known yet.`)
    for (const [name, fields] of Object.entries(unread)) {
      limits.push(`${name} is mapped to fields that nobody has read yet: ${fields.map(plain).join(', ')}`)
    }
    return limits
  }

  json(from_ms: number): z.infer<typeof BacktestDocument> {
    const flat = <Item>(groups: ReadonlyMap<string, Group<Item>>): (Item & { readonly name: string })[] =>
      [...groups.values()].flatMap(({ samples }) => samples)
    return backtestDocument(this.#ground, {
      from_ms,
      changes: this.#changes,
      people: this.#people.size,
      unjudged: this.#unjudged,
      values: flat(this.#values),
      writes: flat(this.#writes),
      fates: flat(this.#fates),
    })
  }
}

function written(recorded: WriteDifference['recorded'], instead: WriteDifference['instead']): string {
  if (instead === undefined) return `${shown(recorded)} would not have been written`
  if (recorded === undefined) return `${shown(instead)} would have been written`
  return `${shown(instead)} instead of ${shown(recorded)}`
}

function shown(value: WriteDifference['recorded']): string {
  return isElement(value) || value !== null ? showValue(value) : '(blank)'
}
