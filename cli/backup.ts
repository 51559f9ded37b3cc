import { join, relative } from 'node:path'
import type { SectionCounts } from '../engine/core/ports/backup.ts'
import { backUp, backupName, FileThereError } from '../workers/backup.ts'
import { BackupError } from '../workers/backup-file.ts'
import { backupDocument, faultyDocument, verifiedDocument } from '../workers/documents/backup.ts'
import type { Household } from '../workers/household.ts'
import { verifyBackup } from '../workers/restore.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { clock, count } from './output.ts'
import { RowsBar } from './rows-bar.ts'
import { withHousehold } from './session.ts'

export const registerBackup: Register = (program, run) => {
  const backup = program
    .command('backup')
    .argument('[file]', 'where to; otherwise a new file in the folder of the config (backup.folder), or here')
    .description('Writes everything that Kith knows into one file. Works while the daemon runs.')
    .option('--force', 'write over a file that is there')
    .addHelpText(
      'after',
      `
In it: people, what each record last said, links, consent, conflicts, acts and the change log, as they are at one moment.
Not in it: passwords and sign-ins (kith.yaml, its mappings and your secrets are yours to keep), and writes not yet sent, which
are planned anew. It holds personal data and is not encrypted: only its owner can read the file; keep it so.

Examples:
  kith backup
  kith backup /mnt/usb/kith.backup.gz --force
  kith backup verify kith-20261122T040112Z.backup.gz
Backups made by the daemon: a section backup: in kith.yaml, see docs/backup.md.
${EXIT_CODES}`,
    )
    .action((file: string | undefined, options: { force?: boolean }, command) =>
      run(command, (context) => write(context, file, options.force === true)),
    )
  backup
    .command('verify')
    .argument('<file>', 'a backup')
    .description('Proves that a backup restores: reads it whole, restores it into a database of its own, and compares.')
    .addHelpText(
      'after',
      `
Needs no config, and touches no data of yours: the proof runs in a database that is made for it and dropped afterwards.

Examples:
  kith backup verify kith-20261122T040112Z.backup.gz
${EXIT_CODES}`,
    )
    .action((file: string, _options: object, command) => run(command, (context) => verify(context, file)))
}

async function write(context: Context, named: string | undefined, force: boolean): Promise<number> {
  const { output, signal } = context
  return withHousehold(context, async (household) => {
    const file = named ?? join(folderOf(household), backupName(Date.now()))
    const bar = new RowsBar('written')
    try {
      const done = await backUp(household, file, { signal, onProgress: bar.show, overwrite: force })
      bar.end()
      const { bytes, counts } = done
      if (output.json) await output.print(backupDocument(done, done.file))
      await output.say(`${file}: ${contents(counts)}, ${size(bytes)}`)
      await output.say(`See that it restores with: kith backup verify ${file}`)
      return EXIT.done
    } catch (error) {
      if (signal.aborted) return EXIT.interrupted
      throw inWords(error, file)
    } finally {
      bar.end()
    }
  })
}

function folderOf({ config }: Household): string {
  return config.backup === null ? '' : relative('', config.backup.folder)
}

async function verify({ output, env, signal }: Context, file: string): Promise<number> {
  const bar = new RowsBar('read')
  try {
    const verified = await verifyBackup(file, env['DATABASE_URL'], { signal, onProgress: bar.show })
    bar.end()
    const { at_ms, counts } = verified.header
    if (output.json) await output.print(verifiedDocument(file, verified))
    await output.say(`${output.green('It restores.')} ${file}: ${contents(counts)}, as of ${clock(at_ms)}`)
    return EXIT.done
  } catch (error) {
    bar.end()
    if (signal.aborted) return EXIT.interrupted
    if (output.json && error instanceof BackupError) {
      await output.print(faultyDocument(file, error.fault, error.message))
    }
    throw inWords(error, file)
  }
}

export function contents(counts: SectionCounts): string {
  const { person, link, consent, change } = counts
  const parts = [
    count(person, 'person', 'people'),
    count(link, 'record'),
    ...(consent === 0 ? [] : [count(consent, 'address with a consent', 'addresses with a consent')]),
    `${count(change, 'change')} in the log`,
  ]
  return parts.join(', ')
}

function size(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB']
  let [value, unit] = [bytes, 0]
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${value >= 10 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** What is wrong with a file, for the operator. */
export function inWords(error: unknown, file: string): unknown {
  if (error instanceof BackupError) {
    const [what = error.message, ...next] = error.message.split(/(?<=\.) /)
    return new OperatorError(what.replace(/\.$/, ''), next.join(' '))
  }
  if (error instanceof FileThereError) return new OperatorError(error.message, 'Name another file, or add --force.')
  const { code } = Object(error) as { code?: unknown }
  if (typeof code !== 'string' || !/^E[A-Z]+$/.test(code)) return error
  return new OperatorError(
    `${file} cannot be written (${code})`,
    'Nothing is left of it. Look at the folder and the disk.',
  )
}
