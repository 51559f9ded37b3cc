import pg from 'pg'
import { StoreUnavailableError } from '../core/ports/store.ts'
import { jsonFromWire, jsonToWire, textFromWire, textToWire } from './wire.ts'

/** A statement. With a name it is prepared once per connection: for the hot ones, whose text never changes. */
export interface Statement {
  readonly name?: string
  readonly text: string
}

/** What a statement is given. Everything is made storable here (see wire.ts): nobody else needs to think of it. */
export type Param = string | number | boolean | null | readonly string[] | { readonly json: unknown }

export type Row = { [column: string]: unknown }

/**
 * The planner is told to use the indexes. The hot statements are prepared while the tables are still empty, and what is
 * quick then (read it all, sort it, compare it) is kept until the next ANALYZE, minutes into a first sync. For the same
 * reason their joins are written as look-ups (`cross join lateral (... offset 0)`), which the planner may not turn around.
 */
const SESSION =
  '-c enable_seqscan=off -c enable_sort=off -c enable_hashjoin=off -c enable_mergejoin=off -c enable_material=off -c jit=off'

const DEADLOCK = '40P01'
const SERIALIZATION = '40001'
const UNIQUE = '23505'
const EXCLUSION = '23P01'
/** Raised by `kith.commit`. */
const LOST = 'KTH01'

/** How often a single statement that was the victim of a deadlock is run again. */
const ATTEMPTS_MAX = 5

/** Runs statements; connection trouble becomes a {@link StoreUnavailableError}. */
export class Database {
  readonly pool: pg.Pool
  #closed: Promise<void> | undefined

  constructor(url: string, poolSize: number) {
    this.pool = new pg.Pool({
      connectionString: url,
      max: poolSize,
      connectionTimeoutMillis: 10_000,
      keepAlive: true,
      options: SESSION,
      application_name: 'kith',
      types: { getTypeParser },
    })
    // An idle connection that breaks is dropped by the pool; the next call opens another and reports what it meets.
    this.pool.on('error', () => undefined)
  }

  /** @throws StoreUnavailableError when the database cannot be reached, StatementError when it refuses the statement */
  async run(statement: Statement, params: readonly Param[] = []): Promise<{ rows: Row[]; count: number }> {
    const values = params.map(toParam)
    for (let attempt = 1; ; attempt++) {
      try {
        const result = await this.pool.query<Row>({ ...statement, values })
        return { rows: result.rows, count: result.rowCount ?? 0 }
      } catch (error) {
        const refusal = translate(error, statement.name)
        const again = refusal instanceof StatementError && refusal.deadlocked && attempt < ATTEMPTS_MAX
        if (!again) throw refusal
      }
    }
  }

  close(): Promise<void> {
    return (this.#closed ??= this.pool.end())
  }
}

/** Postgres refused a statement. It says which and where, never with what values (I15). */
export class StatementError extends Error {
  override readonly name = 'StatementError'
  readonly code: string

  constructor(error: pg.DatabaseError, statement: string | undefined) {
    const where = [error.table, error.constraint, error.routine].filter(Boolean).join(', ')
    super(`the database refused ${statement ?? 'a statement'}: SQLSTATE ${error.code ?? 'unknown'} (${where})`)
    this.code = error.code ?? ''
  }

  get deadlocked(): boolean {
    return this.code === DEADLOCK || this.code === SERIALIZATION
  }

  /** Whether another transaction got there first: to be decided anew. */
  get lost(): boolean {
    return this.deadlocked || this.code === LOST || this.code === UNIQUE || this.code === EXCLUSION
  }
}

/** What a failed call to Postgres means. Programming errors pass through as they are. */
export function translate(error: unknown, statement?: string): unknown {
  if (error instanceof pg.DatabaseError) {
    return isOutage(error.code) ? unavailable(error) : new StatementError(error, statement)
  }
  if (error instanceof TypeError || error instanceof RangeError) return error
  // Whatever else `pg` throws tells of its connection: a socket error, an end in mid-answer, no answer in time.
  return unavailable(error)
}

/** Class 08 is the connection, 57P the server going down or coming up, 53300 no connection left. */
function isOutage(code: string | undefined): boolean {
  return code !== undefined && (code.startsWith('08') || code.startsWith('57P') || code === '53300')
}

function unavailable(cause: unknown): StoreUnavailableError {
  return new StoreUnavailableError('the database cannot be reached', { cause })
}

function toParam(param: Param): string | number | boolean | null | string[] {
  if (typeof param === 'string') return textToWire(param)
  if (typeof param !== 'object' || param === null) return param
  return 'json' in param ? jsonToWire(param.json) : param.map(textToWire)
}

const TEXT = 25
const BIGINT = 20
const JSON_TYPE = 114
const TEXT_ARRAY = 1009

function getTypeParser(oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  if (oid === TEXT) return textFromWire
  if (oid === JSON_TYPE) return jsonFromWire
  // Milliseconds and counts stay far below 2^53.
  if (oid === BIGINT) return Number
  const parse = pg.types.getTypeParser(oid, format as 'text') as (value: string) => unknown
  if (oid === TEXT_ARRAY) return (value) => (parse(value) as string[]).map(textFromWire)
  return parse
}
