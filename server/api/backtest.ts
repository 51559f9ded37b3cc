import { z } from 'zod'
import { ConfigError } from '../../config/diagnostics.ts'
import type { Config } from '../../config/types.ts'
import { backtestOpen, type BacktestPart } from '../../workers/backtest.ts'
import { BacktestDocument, backtestDocument, type BacktestTold } from '../../workers/documents/backtest.ts'
import { nameFromCells } from '../../workers/words.ts'
import { LongLooks } from './long-looks.ts'
import { ProblemError } from './problems.ts'
import { ShownMax, type ApiRoutes, type House } from './route.ts'

const tags = ['Backtest']

const DAY_MS = 86_400_000
const DAYS_MAX = 400
const TEXT_MAX = 500_000

export const backtestRoutes: ApiRoutes = (api, house) => {
  const looks = new LongLooks(api)
  api.post(
    '/backtest',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary:
          'Replays the changes of the last days under a config: what would have ended otherwise. Writes nothing.',
        description:
          'Policies, directions, filters and what is mapped are tried. The connections are those in force, each with its own app and ' +
          'options, whatever the text says of them: it needs no secret, and leads to none. No variable of the environment is filled ' +
          'in, and of mapping files only those in force are read; another mapping is written into the text. No app is asked.',
        body: z.strictObject({
          days: z.int().min(1).max(DAYS_MAX).default(7),
          yaml: z
            .string()
            .min(1)
            .max(TEXT_MAX)
            .optional()
            .describe('The text of a kith.yaml. Without it the config in force is tried.'),
          limit: ShownMax,
        }),
        response: {
          200: BacktestDocument.extend({
            counts: z.object({ values: z.int(), writes: z.int(), outcomes: z.int() }).describe('How many in all.'),
          }),
        },
      },
    },
    async ({ body: { days, yaml, limit } }, reply) => {
      const { household } = house
      const config = yaml === undefined ? household.config : await configOf(house, yaml)
      const from_ms = Date.now() - days * DAY_MS
      return looks.look('backtest', reply, (signal) =>
        backtestOpen(household, config, { from_ms, signal }, async (ground, parts) => {
          const told = new Told(from_ms, limit)
          for await (const part of parts) told.add(part)
          return { ...backtestDocument(ground, told), counts: told.counts }
        }),
      )
    },
  )
}

async function configOf({ household }: House, text: string): Promise<Config> {
  try {
    return await household.tryConfig(text)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const [first, ...others] = error.diagnostics
    if (!first) throw error
    const more = others.length === 0 ? '' : ` (and ${others.length} more)`
    throw new ProblemError(
      400,
      `/yaml, line ${first.line}, column ${first.column}: ${first.message}${more}`,
      first.advice,
    )
  }
}

/** What a backtest tells: all of it is counted, and some of each is listed. */
class Told implements BacktestTold {
  readonly from_ms: number
  readonly values: BacktestTold['values'][number][] = []
  readonly writes: BacktestTold['writes'][number][] = []
  readonly fates: BacktestTold['fates'][number][] = []
  readonly counts = { values: 0, writes: 0, outcomes: 0 }
  changes = 0
  unjudged = 0
  readonly #limit: number
  readonly #people = new Set<string>()

  constructor(from_ms: number, limit: number) {
    this.from_ms = from_ms
    this.#limit = limit
  }

  get people(): number {
    return this.#people.size
  }

  add({ changes, unjudged, values, writes, fates, names }: BacktestPart): void {
    this.changes += changes
    this.unjudged += unjudged
    this.counts.values += values.length
    this.counts.writes += writes.length
    this.counts.outcomes += fates.length
    const put = <Item extends { readonly personId: string }>(
      list: (Item & { name: string })[],
      items: readonly Item[],
    ) => {
      for (const item of items) {
        this.#people.add(item.personId)
        if (list.length >= this.#limit) continue
        list.push({ ...item, name: nameFromCells(names.get(item.personId) ?? {}, item.personId) })
      }
    }
    put(this.values, values)
    put(this.writes, writes)
    put(this.fates, fates)
  }
}
