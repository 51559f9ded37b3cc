import { resolve } from 'node:path'
import type { App } from '../app.ts'
import { CsvConnector } from './connector.ts'
import { options, type CsvOptions } from './options.ts'

/** A CSV sheet that people edit in Excel, LibreOffice or an editor. */
export const csv: App<CsvOptions> = {
  name: 'csv',
  title: 'CSV sheet',
  options,
  secrets: [],
  account: ({ path }, { baseDir }) => resolve(baseDir, path),
  connect: (chosen, context) => new CsvConnector(chosen, context),
}
