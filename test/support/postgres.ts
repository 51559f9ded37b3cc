import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import pg from 'pg'

/** Set by the run's global setup: where the one Postgres of the run is asked for. */
export const ASK = 'KITH_TEST_POSTGRES'

export interface FreshDatabase {
  readonly url: string
  drop(): Promise<void>
}

let count = 0

/**
 * A database of the suite's own on the run's Postgres, which starts with the first one asked for. It has Kith's tables,
 * unless it is to be `empty`.
 */
export async function freshDatabase(options: { empty?: boolean } = {}): Promise<FreshDatabase> {
  const { serviceUrl, template } = await ask()
  const name = `test_${process.pid}_${Date.now().toString(36)}_${++count}`
  await service(serviceUrl, `create database ${name} template ${options.empty === true ? 'template0' : template}`)
  const url = new URL(serviceUrl)
  url.pathname = `/${name}`
  return { url: url.href, drop: () => service(serviceUrl, `drop database if exists ${name} with (force)`) }
}

/** The answer of the run's global setup. */
export type Answer = { readonly serviceUrl: string; readonly template: string } | { readonly error: string }

async function ask(): Promise<Exclude<Answer, { error: string }>> {
  const path = process.env[ASK]
  if (path === undefined) throw new Error('The test Postgres is missing: run the tests with jest (npm test).')
  const socket = connect(path)
  await once(socket, 'connect')
  const answer = JSON.parse(await text(socket)) as Answer
  if ('error' in answer) throw new Error(answer.error)
  return answer
}

export async function service(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
