import type { z } from 'zod'
import { NotEmptyError } from '../engine/core/ports/backup.ts'
import type { CellBack, LeftWhole } from '../engine/core/restore-act.ts'
import { ActRefusedError } from '../workers/acts.ts'
import { CertificateError } from '../workers/certificates.ts'
import { catalogueOf } from '../workers/connect.ts'
import { Daemon } from '../workers/daemon.ts'
import { broughtBackDocument, type BroughtBackDocument, type RestoreDocument } from '../workers/documents/restore.ts'
import { dryRun } from '../workers/dry-run.ts'
import type { Household } from '../workers/household.ts'
import type { Preview } from '../workers/bring-back.ts'
import { previewRestoreTo, restoreTo, type RestoreToWish } from '../workers/restore-to.ts'
import { OtherAppsError, restoreAll } from '../workers/restore.ts'
import { confirm } from './ask.ts'
import { contents, inWords } from './backup.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { operatorOf } from './operator.ts'
import { clock, count, type Output } from './output.ts'
import { RowsBar } from './rows-bar.ts'
import { leading, withHousehold } from './session.ts'
import { personName, showValue, titles } from './words.ts'

interface RestoreOptions {
  readonly to?: string
  readonly only?: string
  readonly overEdits?: boolean
  readonly why?: string
  readonly by?: string
  readonly yes?: boolean
  readonly all?: boolean
}

export const registerRestore: Register = (program, run) => {
  program
    .command('restore')
    .argument('<file>', 'a backup')
    .description("Puts a backup back into an empty Kith; or, with --to, brings one app's records back to that state.")
    .option('--to <connection>', "bring this connection's records back to what they were")
    .option(
      '--only <fields and people>',
      'with --to: only these, by field (title, emails) or person (id, name, address)',
    )
    .option('--over-edits', 'with --to: also take back what was changed elsewhere since')
    .option('--why <text>', 'why, for the record; with --to')
    .option('--by <name>', 'who does it; otherwise the name you are logged in with')
    .option('--all', 'show every record of a long preview (JSON always does)')
    .option('--yes', 'with --to: do it without asking')
    .addHelpText(
      'after',
      `
Into an empty Kith: everything is as it was when the backup was made. Each connection is then read from there on, and nothing
is written before that; what is to be written waits for kith approve, unless the config is the one that was approved.

With --to: shows what would become again what it was, and what would follow in the other apps, and asks. What others than
that connection have changed since is left, and named. Records deleted since are created again. Nobody who came since is
touched, and consent stays as it is. All writes then wait: kith plan shows them, kith approve <connection> sends them.

Examples:
  kith restore kith-20261122T040112Z.backup.gz
  kith restore kith.backup.gz --to crm
  kith restore kith.backup.gz --to crm --only title,organisation --yes --why "import of Monday"
  kith restore kith.backup.gz --to crm --only ada@example.org
${EXIT_CODES}`,
    )
    .action((file: string, options: RestoreOptions, command) =>
      run(command, (context) =>
        options.to === undefined ? whole(context, file, options) : toConnection(context, file, options.to, options),
      ),
    )
}

async function whole(context: Context, file: string, options: RestoreOptions): Promise<number> {
  const { output, signal } = context
  if (options.only !== undefined || options.overEdits === true) {
    throw new OperatorError('--only and --over-edits go with --to', 'Name the connection: --to <connection>.')
  }
  const bar = new RowsBar('read')
  return withHousehold(context, (household) =>
    leading(household, 'restore', async () => {
      try {
        const restored = await restoreAll(household, file, { signal, onProgress: bar.show })
        const { header, approved, unnamed, erasedAgain } = restored
        bar.end()
        const { at_ms, counts } = header
        if (output.json)
          await output.print({
            restored: true,
            at: new Date(at_ms).toISOString(),
            counts,
            approved,
            unnamed,
            erasedAgain,
          })
        await output.say(`${output.green('Restored')} as of ${clock(at_ms)}: ${contents(counts)}`)
        for (const name of unnamed) {
          await output.say(`${name} is not in the config: what is known of it waits until it is.`)
        }
        if (erasedAgain > 0) {
          const who = count(erasedAgain, 'person was', 'people were')
          await output.say(`${who} erased since the backup was made, and will be once more: kith forget --list`)
        }
        await output.say('Passwords and sign-ins are in no backup: kith check says which connections want one.')
        await output.say(
          approved
            ? 'The config is the one that was approved. See what has changed since with: kith plan'
            : 'The config is another than the one that was approved, so writes wait: kith plan, then kith approve',
        )
        return EXIT.done
      } catch (error) {
        if (signal.aborted) return EXIT.interrupted
        throw whyNot(error, file)
      } finally {
        bar.end()
      }
    }),
  )
}

function whyNot(error: unknown, file: string): unknown {
  if (error instanceof NotEmptyError) {
    const { person = 0, link = 0 } = error.contents
    return new OperatorError(
      `there are data already: ${count(person, 'person', 'people')}, ${count(link, 'record')}. Nothing was changed`,
      'Restore into an empty Kith: stop Kith, move the data folder (.kith) away, or name an empty one with KITH_DATA or ' +
        'DATABASE_URL.\nTo bring the records of one app back instead: kith restore <file> --to <connection>',
    )
  }
  if (error instanceof CertificateError) {
    return new OperatorError(
      `${error.message}. Nothing was changed`,
      'Somebody who was erased would come back with the backup. Bring the whole file back, or move it away.',
    )
  }
  if (error instanceof OtherAppsError) {
    return new OperatorError(error.message, 'Give the new account a name of its own in kith.yaml. Nothing was changed.')
  }
  return inWords(error, file)
}

async function toConnection(
  context: Context,
  file: string,
  connection: string,
  options: RestoreOptions,
): Promise<number> {
  const { output, signal } = context
  return withHousehold(context, async (household) => {
    const names = household.config.connections.map((item) => item.name)
    if (!names.includes(connection)) {
      throw new OperatorError(`there is no connection named ${connection}`, `The config has: ${names.join(', ')}.`)
    }
    const wish = { file, connection, ...onlyFrom(household, options.only), overEdits: options.overEdits === true }
    await household.connect(undefined, signal)
    await readFirst(context, household)
    if (signal.aborted) return EXIT.interrupted
    const queues = await household.openQueues()
    const bar = new RowsBar('read')
    try {
      const runtime = household.runtime(queues)
      const text = new RestoreText(output, household, options.all === true)
      for await (const preview of previewRestoreTo(runtime, wish, { signal, onProgress: bar.show }))
        await text.add(preview)
      bar.end()
      await text.sums()
      if (text.nothing) return await text.end(null, EXIT.done)
      if (options.yes !== true) {
        const answer = await confirm(context, `Bring back ${text.what}?`)
        if (answer !== true) {
          if (answer === null) await output.complain('Nothing was done. To do it: the same command with --yes')
          return await text.end(null, EXIT.held)
        }
      }
      const who = { by: operatorOf(options.by, context.env), why: options.why ?? '' }
      const done = await restoreTo(runtime, wish, who, { signal })
      await output.say(
        `Brought back: ${count(done.values, 'value')} of ${count(done.people, 'person', 'people')}. ` +
          `To have it as before: kith undo --act ${done.act}`,
      )
      await output.say('The writes wait for you: kith plan, then kith approve <connection>')
      return await text.end(done.act, EXIT.held)
    } catch (error) {
      if (signal.aborted) return EXIT.interrupted
      if (!(error instanceof ActRefusedError)) throw inWords(error, file)
      throw new OperatorError(error.message, 'See how it stands with: kith status')
    } finally {
      bar.end()
      await queues.close(0)
    }
  })
}

/** What a field's name says is a field; everything else is somebody. */
function onlyFrom({ config }: Household, only: string | undefined): Pick<RestoreToWish, 'fields' | 'people'> {
  const words = (only ?? '').split(',').flatMap((word) => word.trim() || [])
  if (only !== undefined && words.length === 0) {
    throw new OperatorError('--only names nothing', 'Name fields or people, with commas between: title,ada@example.org')
  }
  const known = [...catalogueOf(config).fields].map((field) => field.name)
  const fieldsOf = (word: string): string[] => known.filter((name) => name === word || name.startsWith(`${word}.`))
  const fields = words.flatMap(fieldsOf)
  const people = words.filter((word) => fieldsOf(word).length === 0)
  return { fields: fields.length > 0 ? new Set(fields) : null, people: people.length > 0 ? people : null }
}

/** What is not known yet cannot be brought back: where no daemon does it, everything is read first. Nothing is written. */
async function readFirst(context: Context, household: Household): Promise<void> {
  const { signal } = context
  const read = async (): Promise<void> => {
    const daemon = await Daemon.start(household, { leads: false, delivers: false })
    try {
      await dryRun(household, daemon, { signal })
    } finally {
      await daemon.stop()
    }
  }
  await leading(household, 'restore', read, () => Promise.resolve())
}

/** Records that a preview shows one by one, unless all are asked for. */
const SHOWN_MAX = 20

const WHOLE: { readonly [why in LeftWhole]: string } = {
  merged: 'was merged into another since: left',
  unknown: 'is nobody here any more: left',
  waits: 'its record waits for a decision: left, see kith review',
}

/** Tells what a restore brings back, in words or as JSON. */
class RestoreText {
  readonly #output: Output
  readonly #title: (cell: string) => string
  readonly #shown_max: number
  readonly #lines: z.infer<typeof BroughtBackDocument>[] = []
  readonly #writes = new Map<string, number>()
  #records = 0
  #values = 0
  #left = 0
  #erased = 0
  #again = 0

  constructor(output: Output, { config }: Household, all: boolean) {
    this.#output = output
    this.#title = titles(catalogueOf(config).fields)
    this.#shown_max = all ? Infinity : SHOWN_MAX
  }

  get nothing(): boolean {
    return this.#values + this.#again === 0
  }

  /** `12 values of 9 records, and create 2 again`. */
  get what(): string {
    const again = this.#again === 0 ? '' : ` and create ${count(this.#again, 'record')} again`
    return `${count(this.#values, 'value')}${again}`
  }

  async add(preview: Preview): Promise<void> {
    const { name: person, part, writes } = preview
    const { back, left, erased, again, reason } = part
    this.#values += back.length
    this.#erased += erased
    this.#left += left.length + (reason === undefined ? 0 : 1)
    this.#again += again.length
    for (const { connection, op } of writes) {
      const key = `${connection}: ${op}`
      this.#writes.set(key, (this.#writes.get(key) ?? 0) + 1)
    }
    const output = this.#output
    if (output.json) this.#lines.push(broughtBackDocument(preview))
    else if (++this.#records <= this.#shown_max) {
      const note = reason === undefined ? '' : `  ${output.yellow(WHOLE[reason])}`
      await output.say(`${output.bold(personName(person, person.id))}${output.dim(`  ${part.recordId}`)}${note}`)
      for (const connection of again) await output.say(`    ${output.green(`created again in ${connection}`)}`)
      for (const change of back) await output.say(`    ${this.#change(change)}`)
      for (const change of left) await output.say(`    ${output.yellow('left')} ${this.#change(change)}`)
    }
  }

  #change({ cell, now, was, by }: CellBack): string {
    const since = by === null ? '' : `  ${this.#output.dim(`${by.by.replace(/^operator:/, '')}, ${clock(by.at)}`)}`
    return `${this.#title(cell)}: ${showValue(now)} → ${showValue(was)}${since}`
  }

  async sums(): Promise<void> {
    const output = this.#output
    const more = this.#records - this.#shown_max
    if (more > 0) await output.say(output.dim(`… and ${count(more, 'more record')}; --all shows them`))
    if (this.nothing) await output.say('Nothing to bring back: all is as it was.')
    else await output.say(`${this.what} would come back.`)
    if (this.#left > 0)
      await output.say(`${count(this.#left, 'thing')} changed elsewhere since would be left (--over-edits)`)
    if (this.#erased > 0)
      await output.say(`${count(this.#erased, 'value')} would not come back: of somebody who was erased`)
    for (const [what, number] of this.#writes) await output.say(`  ${what} ${number.toLocaleString('en-GB')}`)
  }

  /** @returns the exit code, once all is printed */
  async end(act: string | null, code: number): Promise<number> {
    if (this.#output.json) {
      const sums = { values: this.#values, created: this.#again, left: this.#left }
      const document: z.infer<typeof RestoreDocument> = {
        act,
        ...sums,
        writes: Object.fromEntries(this.#writes),
        people: this.#lines,
      }
      await this.#output.print(document)
    }
    return code
  }
}
