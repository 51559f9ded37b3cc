import { open, rename, rm } from 'node:fs/promises'
import { exportCsv, filterFrom, FilterError } from '../workers/export.ts'
import type { Household } from '../workers/household.ts'
import { inWords } from './backup.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { count } from './output.ts'
import { withHousehold } from './session.ts'

interface ExportOptions {
  readonly csv?: boolean
  readonly filter?: string
  readonly bom?: boolean
}

export const registerExport: Register = (program, run) => {
  program
    .command('export')
    .argument('[file]', 'where to; standard output without it')
    .description('Writes people as CSV, one row each: for a spreadsheet, or another program.')
    .option('--csv', 'as CSV (there is no other format yet)')
    .option('--filter <yaml>', 'only some, in the words of include: in kith.yaml')
    .option('--bom', 'begin with a byte order mark: Excel then reads it as UTF-8')
    .addHelpText(
      'after',
      `
A cell that a spreadsheet would run as a formula begins with an apostrophe. To go on with another Kith, take a backup instead:
a CSV holds values, and not what Kith knows of them.

Examples:
  kith export --csv people.csv
  kith export --csv --bom people.csv --filter 'tags: { has: customer }'
  kith export --csv --filter '{ emails: present, not: { organisation: present } }' | wc -l
${EXIT_CODES}`,
    )
    .action((file: string | undefined, options: ExportOptions, command) =>
      run(command, (context) => withHousehold(context, (household) => toCsv(context, household, file, options))),
    )
}

async function toCsv(
  { output }: Context,
  household: Household,
  file: string | undefined,
  options: ExportOptions,
): Promise<number> {
  if (options.csv !== true) throw new OperatorError('the format is not said', 'Add --csv.')
  if (output.json && file === undefined) {
    throw new OperatorError('a CSV is no JSON', 'Name a file: kith export --csv people.csv --json')
  }
  const how = {
    filter: options.filter === undefined ? null : filterOf(household, options.filter),
    bom: options.bom === true,
  }
  if (file === undefined) {
    await exportCsv(household, how, (text) => output.raw(text))
    return EXIT.done
  }
  const people = await intoFile(file, (write) => exportCsv(household, how, write)).catch((error: unknown) => {
    throw inWords(error, file)
  })
  if (output.json) await output.print({ file, people })
  await output.say(`${file}: ${count(people, 'person', 'people')}`)
  return EXIT.done
}

function filterOf({ config }: Household, text: string): ReturnType<typeof filterFrom> {
  try {
    return filterFrom(config, text)
  } catch (error) {
    if (!(error instanceof FilterError)) throw error
    throw new OperatorError(error.message, "Write it as include: in kith.yaml, such as 'tags: { has: customer }'.")
  }
}

/** Whole or not at all: under another name until it is done. Only its owner can read it. */
async function intoFile<Result>(
  file: string,
  work: (write: (text: string) => Promise<void>) => Promise<Result>,
): Promise<Result> {
  const part = `${file}.${process.pid}.part`
  try {
    const handle = await open(part, 'w', 0o600)
    let result: Result
    try {
      result = await work((text) => handle.writeFile(text))
    } finally {
      await handle.close()
    }
    await rename(part, file)
    return result
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}
