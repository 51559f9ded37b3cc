import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { z } from 'zod'
import { ADMIN_STALL_MS_MAX } from '../../config/limits.ts'
import type { Filter } from '../../engine/core/include.ts'
import { exportCsv, FilterError, filterFrom } from '../../workers/export.ts'
import { LongLooks } from './long-looks.ts'
import { ProblemError } from './problems.ts'
import type { ApiRoutes, House } from './route.ts'

const tags = ['Export']

const Csv = z
  .string()
  .describe(
    'One row for each person who lives, as they are at this moment, and a column for each field that anybody has. Streamed as it ' +
      'is made. No cell is run as a formula by a spreadsheet. To go on with another Kith, take a backup: this holds values only.',
  )

export const exportRoutes: ApiRoutes = (api, house) => {
  const looks = new LongLooks(api)
  api.get(
    '/export.csv',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary:
          'People as CSV (text/csv, UTF-8, RFC 4180), streamed: for a spreadsheet, or another program. One at a time.',
        querystring: z.strictObject({
          filter: z
            .string()
            .max(10_000)
            .optional()
            .describe('Only some, written as include: in the config, in YAML or JSON: {"tags": {"has": "customer"}}'),
          bom: z.stringbool().default(false).describe('Begins with a byte order mark: Excel then reads it as UTF-8.'),
        }),
        response: { 200: { description: 'The file.', content: { 'text/csv': { schema: Csv } } } },
      },
    },
    async ({ query: { filter, bom } }, reply) => {
      const options = { filter: filter === undefined ? null : filterOf(house, filter), bom }
      const end = looks.begin('export')
      const file = new PassThrough()
      // Told to whoever reads it, and no reason to end the process.
      file.on('error', () => undefined)
      const begun = Promise.withResolvers<void>()
      const readers = new Readers(file, looks.until(reply))
      const made = exportCsv(house.household, options, (text) => {
        begun.resolve()
        return readers.handOn(text)
      })
      void made
        .then(
          () => void file.end(),
          (error: unknown) => void file.destroy(error instanceof Error ? error : new Error('the export has failed')),
        )
        .finally(end)
      // What fails before the first piece is answered as a problem; later it can only break off, and be told from a whole file.
      await Promise.race([made, begun.promise])
      void reply.header('content-disposition', 'attachment; filename="people.csv"')
      // A stream is sent as it is: the schema describes it, and nothing is held against it.
      return reply.type('text/csv; charset=utf-8').send(file as unknown as string)
    },
  )
}

/** Whoever reads a stream, at their own pace. One who has gone, or reads nothing for long, is not waited for. */
class Readers {
  readonly #file: PassThrough
  readonly #end: AbortSignal

  /** @param end when nothing is handed on any more */
  constructor(file: PassThrough, end: AbortSignal) {
    this.#file = file
    this.#end = end
  }

  async handOn(text: string): Promise<void> {
    if (this.#end.aborted || this.#file.destroyed) throw new Error('nobody reads it any more')
    if (this.#file.write(text)) return
    const patience = AbortSignal.timeout(ADMIN_STALL_MS_MAX)
    await once(this.#file, 'drain', { signal: AbortSignal.any([patience, this.#end]) })
  }
}

function filterOf({ household: { config } }: House, text: string): Filter {
  try {
    return filterFrom(config, text)
  } catch (error) {
    if (!(error instanceof FilterError)) throw error
    throw new ProblemError(400, error.message, 'Write it as include: in kith.yaml.')
  }
}
