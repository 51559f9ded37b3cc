import { z } from 'zod'

/** The key column that Kith adds to a sheet which has none. */
export const KITH_KEY = 'Kith ID'

/** The header of a file that Kith creates, where the config names no columns of its own. */
export const DEFAULT_COLUMNS: readonly string[] = [
  'First Name',
  'Last Name',
  'Organisation',
  'Job Title',
  'E-mail',
  'E-mail 2',
  'Phone',
  'Mobile Phone',
  'Street',
  'City',
  'Region',
  'Postcode',
  'Country',
  'Birthday',
  'Web Page',
  'Tags',
  'Notes',
]

const columnName = z
  .string()
  .trim()
  .min(1)
  .regex(/^[^\r\n\0]*$/, 'a column name is one line of text')

export const options = z.strictObject({
  /** The sheet; relative to the folder of kith.yaml. */
  path: z.string().min(1),
  delimiter: z.enum(['auto', ',', ';', '\t', '|']).default('auto'),
  encoding: z.enum(['auto', 'utf-8', 'utf-16le', 'windows-1252']).default('auto'),
  /** The column whose cell names a row for ever. Kith writes ids into it where a row has none. */
  key: columnName.default(KITH_KEY),
  /** The header of the file, should Kith have to create it. */
  columns: z
    .array(columnName)
    .min(1)
    .refine((names) => new Set(names).size === names.length, 'a column is named twice')
    .optional(),
})

export type CsvOptions = z.output<typeof options>
