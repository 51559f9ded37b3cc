import pg from 'pg'
import { codeOf, DatabaseError } from './errors.ts'

/**
 * Tries a Postgres that the operator named with DATABASE_URL.
 *
 * @throws DatabaseError that names the host and never the password
 */
export async function tryOutside(databaseUrl: string): Promise<void> {
  const where = describe(databaseUrl)
  let client: pg.Client | null = null
  try {
    client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 10_000 })
    client.on('error', () => undefined)
    await client.connect()
    const answer = await client.query<{ server_encoding: string }>('show server_encoding')
    const encoding = answer.rows[0]?.server_encoding
    if (encoding === 'UTF8') return
    throw new DatabaseError(
      `The database of DATABASE_URL (${where}) keeps text as ${encoding}: make one with the encoding UTF8.`,
    )
  } catch (error) {
    if (error instanceof DatabaseError) throw error
    // The driver's own message may repeat parts of the address, so only the code is shown.
    const code = codeOf(error)
    const advice = (code === undefined ? undefined : ADVICE[code]) ?? 'Check the address, and that the server runs.'
    throw new DatabaseError(
      `DATABASE_URL (${where}) cannot be reached${code === undefined ? '' : `: ${code}`}. ${advice}`,
    )
  } finally {
    await client?.end().catch(() => undefined)
  }
}

/** Node's codes and Postgres' (https://www.postgresql.org/docs/18/errcodes-appendix.html). */
const ADVICE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Nothing listens there: check host and port, and that the server runs.',
  ENOTFOUND: 'There is no such host: check its name.',
  EAI_AGAIN: 'The name of the host cannot be looked up: check the name and the network.',
  ETIMEDOUT: 'There is no answer: check host, port and firewall.',
  '28P01': 'The server refuses user or password: check both.',
  '28000': 'The server refuses this user: check the name, and pg_hba.conf on the server.',
  '3D000': 'There is no such database on that server: create it first.',
  '42501': 'The user may not use that database: grant it.',
  '53300': 'The server has no connection left: raise its max_connections, or close others.',
  '57P03': 'The server is just starting or stopping: try again in a moment.',
}

/** Host, port and database of the address, and nothing else. */
function describe(databaseUrl: string): string {
  const advice = 'It has the form postgres://user:password@host:5432/database.'
  if (!URL.canParse(databaseUrl)) {
    throw new DatabaseError(`DATABASE_URL is not an address. ${advice} Special characters in a password are %-encoded.`)
  }
  const url = new URL(databaseUrl)
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') {
    throw new DatabaseError(`DATABASE_URL begins with ${url.protocol}, not with postgres:. ${advice}`)
  }
  const host = url.hostname || url.searchParams.get('host') || 'localhost'
  return `${host}${url.port === '' ? '' : `:${url.port}`}${url.pathname}`
}
