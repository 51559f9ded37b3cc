import { stringify } from 'csv-stringify/sync'
import { InvalidArgumentError } from 'commander'
import { CLEANED, NoSuchRuleError, performMending, previewMending, type Mending } from '../workers/audit-fix.ts'
import { ActRefusedError } from '../workers/acts.ts'
import {
  audit,
  MONTH_MS,
  SAMPLES,
  STALE_MONTHS,
  type Audit,
  type AuditFinding,
  type AuditSample,
} from '../workers/audit.ts'
import { catalogueOf } from '../workers/connect.ts'
import { auditDocument, repairPreviewDocument } from '../workers/documents/audit.ts'
import type { Household } from '../workers/household.ts'
import { confirm } from './ask.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { wholeNumber } from './numbers.ts'
import { operatorOf } from './operator.ts'
import { count, type Output } from './output.ts'
import { sentence, withHousehold } from './session.ts'
import { plain, showValue, titles } from './words.ts'

interface AuditCommandOptions {
  readonly connection?: string
  readonly staleMonths: number
  readonly samples: number
  readonly values?: boolean
  readonly csv?: boolean
  readonly read: number
  readonly fix?: boolean | string
  readonly why?: string
  readonly by?: string
  readonly yes?: boolean
  readonly all?: boolean
}

/** Whole records read of each app, for the fields that no mapping reads. */
const READ = 200
/** Values that a preview of repairs shows, unless all are asked for. */
const SHOWN_MAX = 20

export const registerAudit: Register = (program, run) => {
  program
    .command('audit')
    .description('What is wrong with the data, app by app: malformed, bounced, incomplete, stale, doubled, unmapped.')
    .option('--connection <name>', 'only the records of one connection')
    .option('--stale-months <number>', 'people not changed for so long are stale', wholeNumber, STALE_MONTHS)
    .option('--samples <number>', 'how many records of each kind are named', samplesNumber, SAMPLES)
    .option('--values', 'show what the samples say, too')
    .option('--csv', 'print a table for a spreadsheet, without values')
    .option(
      '--read <number>',
      'whole records read of each app to find unmapped fields; 0 asks no app',
      readNumber,
      READ,
    )
    .option('--fix [rule]', 'show what can be repaired, all or of one rule; asks, then repairs it')
    .option('--why <text>', 'with --fix: why, for the record')
    .option('--by <name>', 'with --fix: who decides; otherwise the name you are logged in with')
    .option('--yes', 'with --fix: do it without asking')
    .option('--all', 'with --fix: show every value')
    .addHelpText(
      'after',
      `
Looks at what was read last and changes nothing. Samples name records and people by their ids; --values shows what they say.
--fix shows each repair first. What follows in the apps is planned, and held until you let it go: kith plan, then
kith approve --brakes. Take it all back with: kith undo --act <id>.

Examples:
  kith audit
  kith audit --connection crm --samples 20 --values
  kith audit --csv > audit.csv
  kith audit --json | jq '.findings[] | select(.fixable > 0)'
  kith audit --fix emails.malformed --why "spring cleaning"
${EXIT_CODES}`,
    )
    .action((options: AuditCommandOptions, command) =>
      run(command, (context) => withHousehold(context, (household) => auditOrFix(context, household, options))),
    )
}

function samplesNumber(text: string): number {
  return upTo(text, 1000)
}

function readNumber(text: string): number {
  return upTo(text, 10_000)
}

function upTo(text: string, max: number): number {
  const number = Number(text)
  if (text.trim() === '' || !Number.isInteger(number) || number < 0 || number > max) {
    throw new InvalidArgumentError(`It must be a whole number from 0 to ${max}.`)
  }
  return number
}

async function auditOrFix(context: Context, household: Household, options: AuditCommandOptions): Promise<number> {
  const { connection, fix } = options
  const names = household.config.connections.map(({ name }) => name)
  if (connection !== undefined && !names.includes(connection)) {
    throw new OperatorError(`there is no connection named ${connection}`, `The config has: ${names.join(', ')}.`)
  }
  if (fix === undefined || fix === false) return look(context, household, options)
  if (connection !== undefined || options.csv === true) {
    throw new OperatorError(
      `--fix is about people, wherever they are: it takes no --${options.csv === true ? 'csv' : 'connection'}`,
      'Leave it out; a rule for one connection says so in kith.yaml, with in: [name].',
    )
  }
  return repair(context, household, fix === true ? undefined : fix, options)
}

async function look({ output, signal }: Context, household: Household, options: AuditCommandOptions): Promise<number> {
  const { connection, staleMonths, samples, values = false, csv = false, read } = options
  if (csv && output.json) throw new OperatorError('--csv and --json are two forms of one answer', 'Say one of them.')
  const found = await audit(
    household,
    {
      ...(connection === undefined ? {} : { connection }),
      stale_ms: staleMonths * MONTH_MS,
      samples_max: samples,
      values,
      read_max: read,
      now_ms: Date.now(),
    },
    signal,
  )
  if (output.json) await output.print(auditDocument(found))
  else if (csv) await printCsv(output, found)
  else await printText(output, found, staleMonths)
  return signal.aborted ? EXIT.interrupted : EXIT.done
}

async function printCsv(output: Output, { findings }: Audit): Promise<void> {
  const rows = findings.map(({ connection, rule, title, count: number, of, fixable, samples, next }) => {
    const named = samples.map(({ record, person }) => record ?? person ?? '').join(' ')
    return [connection ?? '', rule, title, number, of, fixable, named, next]
  })
  const header = ['connection', 'rule', 'what', 'count', 'of', 'fixable', 'samples', 'next']
  // What a spreadsheet would take for a formula is a text here.
  await output.raw(stringify([header, ...rows], { escape_formulas: true }))
}

async function printText(output: Output, found: Audit, staleMonths: number): Promise<void> {
  const { people, records, findings, notes } = found
  const looked = Object.entries(records).map(([name, number]) => `${name} ${number.toLocaleString('en-GB')}`)
  await output.say(`${count(people, 'person', 'people')}; records: ${looked.join(', ') || 'none'}\n`)
  const groups = Map.groupBy(findings, ({ connection }) => connection)
  for (const [connection, group] of groups) {
    await output.say(output.bold(connection ?? 'people, wherever they are'))
    for (const finding of group) await printFinding(output, finding, staleMonths)
    await output.say('')
  }
  for (const note of notes) await output.say(output.yellow(sentence(note)))
  if (findings.length === 0) await output.say('Nothing was found.')
  else if (findings.some(({ fixable }) => fixable > 0)) await output.say('See what can be repaired: kith audit --fix')
}

async function printFinding(output: Output, finding: AuditFinding, staleMonths: number): Promise<void> {
  const { rule, title, count: number, of, fixable, samples, next } = finding
  const share = of === 0 ? '' : `, ${((number / of) * 100).toFixed(number === of ? 0 : 1)}%`
  const can = fixable > 0 ? output.green(`; ${fixable.toLocaleString('en-GB')} can be repaired`) : ''
  const months = rule === 'people.stale' ? ` (${staleMonths} months)` : ''
  await output.say(
    `  ${output.yellow(rule)}  ${title}${months}: ${number.toLocaleString('en-GB')} of ${of.toLocaleString('en-GB')}${share}${can}`,
  )
  for (const sample of samples) await output.say(output.dim(`      ${sampleLine(sample)}`))
  await output.say(output.dim(`      next: ${next}`))
}

function sampleLine({ record, person, values }: AuditSample): string {
  const ids = [record, person].filter((id) => id !== null).map(plain)
  return [ids.join('  '), ...(values && values.length > 0 ? [values.map(plain).join(' | ')] : [])].join('  ')
}

async function repair(
  context: Context,
  household: Household,
  rule: string | undefined,
  options: AuditCommandOptions,
): Promise<number> {
  const { output, env, signal } = context
  // What follows in the apps is planned by the rules of every connection.
  await household.connect(undefined, signal)
  const queues = await household.openQueues()
  try {
    const runtime = household.runtime(queues)
    const title = titles(catalogueOf(household.config).fields)
    let shown = 0
    const listed: Mending[] = []
    const tell = async (mending: Mending): Promise<void> => {
      if (shown++ >= (options.all === true ? Infinity : SHOWN_MAX)) return
      const { person, field, before, after, rules } = mending
      if (output.json) listed.push(mending)
      await output.say(
        `  ${person}  ${title(field)}: ${showValue(before)} → ${showValue(after)}  ${output.dim(rules.join(', '))}`,
      )
    }
    const preview = await previewMending(household, runtime, rule, tell)
    const { people, values, writes } = preview
    const told = repairPreviewDocument(preview, listed)
    if (values === 0) {
      if (output.json) await output.print({ ...told, act: null })
      await output.say('Nothing to repair.')
      return EXIT.done
    }
    if (shown > SHOWN_MAX && options.all !== true)
      await output.say(output.dim(`  … and ${count(shown - SHOWN_MAX, 'more value', 'more values')}; --all shows them`))
    await output.say(`\n${count(values, 'value')} of ${count(people, 'person', 'people')} to repair. What follows:`)
    for (const { connection, op, count: number } of writes) await output.say(`  ${connection}: ${count(number, op)}`)
    if (writes.length === 0) await output.say('  nothing is written anywhere')
    const answer = options.yes === true ? true : await confirm(context, 'Repair them?')
    if (answer !== true) {
      if (output.json) await output.print({ ...told, act: null })
      await output.say(answer === null ? 'Nothing was done. Do it with: --yes' : 'Nothing was done.')
      return EXIT.held
    }
    const wish = { by: operatorOf(options.by, env), why: options.why ?? 'kith audit --fix', seen: preview.seen }
    const done = await performMending(household, runtime, rule, wish, signal)
    if (output.json) await output.print({ ...told, ...done })
    await output.say(`${count(done.people, 'person', 'people')} repaired; act ${done.act}.`)
    if (done.held > 0) {
      await output.say(
        `${count(done.held, 'write waits', 'writes wait')} for you (${CLEANED}): kith plan, then kith approve --brakes`,
      )
    }
    return done.held > 0 ? EXIT.held : EXIT.done
  } catch (error) {
    if (error instanceof ActRefusedError) throw new OperatorError(`nothing was done: ${error.message}`, 'Look again.')
    if (!(error instanceof NoSuchRuleError)) throw error
    throw new OperatorError(error.message, `There are: ${error.known.join(', ') || 'none'}.`)
  } finally {
    await queues.close(0)
  }
}
