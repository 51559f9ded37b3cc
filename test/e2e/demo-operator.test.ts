import { spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { z } from 'zod'
import { Demos, pageOf, until, type Run } from '../support/demo-run.ts'

jest.setTimeout(180_000)

const KITH = new URL('../../cli/kith.ts', import.meta.url).pathname

let demos: Demos
let run: Run
let page: string
let config: string
let api: string
let token: string

/** The command line of another terminal, on the demo's accounts. */
async function kith(...words: string[]): Promise<string> {
  const { NODE_OPTIONS: _options, DATABASE_URL: _database, REDIS_URL: _redis, KITH_DATA: _data, ...env } = process.env
  const child = spawn(process.execPath, [KITH, ...words, '--config', config], {
    env: { ...env, NO_COLOR: '1', KITH_OPERATOR: 'ada' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [out, all] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => ((out += text), (all += text)))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (all += text))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  if (code !== 0 && code !== 2) throw new Error(`kith ${words.join(' ')} ended with ${code}: ${all}`)
  return out
}

type Document = { readonly [name: string]: unknown }

/** The API, as somebody with an admin's token. */
async function ask<Answer = Document>(shape: z.ZodType<Answer>, path: string, body?: object): Promise<Answer> {
  const answer = await fetch(`${api}${path}`, {
    method: body ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`)
  return shape.parse(JSON.parse(text))
}

const recordsShape = z.object({
  records: z.array(
    z.object({ id: z.string(), values: z.record(z.string(), z.string()), state: z.string().optional() }),
  ),
})

/** What stands in an account, as the account itself shows it. */
async function records(account: string, query: string) {
  const answer = await fetch(`${page}/api/accounts/${account}/records?q=${encodeURIComponent(query)}`)
  return recordsShape.parse(await answer.json()).records
}

async function only(account: string, query: string) {
  const found = await records(account, query)
  if (found.length !== 1) throw new Error(`${account} has ${found.length} records of ${query}`)
  return found[0] as (typeof found)[number]
}

const titleOf = async (account: string, query: string): Promise<string | undefined> =>
  (await records(account, query))[0]?.values['title']

/** A human in an account. */
async function human(method: 'POST' | 'PUT' | 'DELETE', path: string, body: object): Promise<void> {
  const answer = await fetch(`${page}/api/accounts/${path}`, {
    method,
    headers: { origin: page, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
}

async function edit(account: string, query: string, row: string, value: string): Promise<void> {
  const { id } = await only(account, query)
  await human('PUT', `${account}/records/${encodeURIComponent(id)}`, { row, value })
}

/** Not more often than an operator's page would: the API has a limit. */
const soon = (fact: () => Promise<boolean>): Promise<number> =>
  until(run, async () => (await fact()) || (await new Promise((resolve) => setTimeout(() => resolve(false), 150))))

const personShape = z.object({ people: z.array(z.object({ id: z.string(), connections: z.array(z.string()) })) })
const personOf = async (query: string) =>
  (await ask(personShape, `/people?query=${encodeURIComponent(query)}`)).people[0]

beforeAll(async () => {
  demos = await Demos.open()
  const dir = join(demos.folder, 'company')
  config = join(dir, 'kith.yaml')
  run = demos.start('--watch', '--dir', dir)
  page = await pageOf(run)
  await until(run, () => run.stdout.includes('/openapi.json'))
  api = /(http:\/\/\S+\/api\/v1)\/openapi\.json/.exec(run.stdout)?.[1] ?? ''
  token = (await kith('tokens', 'add', 'page', '--role', 'admin')).trim()
})
afterAll(async () => {
  run.child.kill('SIGINT')
  await run.ended
  await demos.remove()
})

/** One story, told in order, on the five simulated accounts of the demo: from the command line, and over HTTP. */
describe("an operator of the demo's company", () => {
  test('sees where everything stands, the same on both ways', async () => {
    const shape = z.object({ connections: z.record(z.string(), z.object({ state: z.string(), app: z.string() })) })
    const told = await ask(shape, '/status')
    expect(Object.keys(told.connections)).toEqual(['crm', 'sales', 'newsletter', 'phones', 'desk'])
    expect(Object.values(told.connections).every(({ state }) => state === 'live')).toBe(true)
    expect(shape.parse(JSON.parse(await kith('status', '--json'))).connections).toEqual(told.connections)
    expect(await kith('status')).toContain('At work: kith demo')
    const health = await kith('health')
    expect(health).toMatch(/in-sync/)
    // The config in force makes of the past what became of it, whatever the apps have no place for.
    expect(await kith('backtest')).toContain('Nothing would have ended otherwise.')
  })

  test('pauses an account while people clean up there, sees what they did, and lets it go on (I10, I11)', async () => {
    await ask(z.looseObject({ acknowledged: z.literal(true) }), '/connections/sales/pause', { why: 'clean-up' })
    const who = 'marta@okonkwo-webb.example'
    await edit('sales', who, 'title', 'Head of everything')
    const before = await titleOf('crm', who)
    const shape = z.looseObject({ cleanUp: z.looseObject({ edited: z.number() }), seen: z.number() })
    let shown = await ask(shape, '/connections/sales/resume/preview', {})
    await soon(async () => (shown = await ask(shape, '/connections/sales/resume/preview', {})).cleanUp.edited === 1)
    expect(await titleOf('crm', who)).toBe(before)
    const { seen } = shown
    await ask(z.looseObject({}), '/connections/sales/resume', { why: 'looked at it', way: 'release', seen })
    await soon(async () => (await titleOf('crm', who)) === 'Head of everything')
    // And from the command line: dropped, it stays there alone.
    await kith('pause', 'sales', '--reason', 'again')
    await edit('sales', who, 'title', 'Nonsense')
    await soon(async () => (await kith('resume', 'sales')).includes('1 edited'))
    await kith('resume', 'sales', '--drop', '--yes')
    expect(await titleOf('crm', who)).toBe('Head of everything')
  })

  test('takes back what an edit led to, and what was edited since is left (I12)', async () => {
    const who = 'amara@baobab-legal.example'
    const before = (await titleOf('phones', who)) ?? ''
    const since = new Date().toISOString()
    await edit('crm', who, 'title', 'Wrong')
    await soon(async () => (await titleOf('phones', who)) === 'Wrong')
    const wish = { connection: 'crm', since, field: 'title' }
    const { seen, changes } = await ask(z.looseObject({ seen: z.string(), changes: z.number() }), '/undo/preview', wish)
    expect(changes).toBe(1)
    const { act } = await ask(z.looseObject({ act: z.string() }), '/undo', { ...wish, why: 'a mistake', seen })
    await soon(async () => ((await titleOf('phones', who)) ?? '') === before && (await titleOf('crm', who)) !== 'Wrong')
    expect(await kith('acts')).toContain(`${act}  page: undo`)
    await kith('undo', '--act', act, '--yes', '--why', 'it was right')
    await soon(async () => (await titleOf('phones', who)) === 'Wrong')
  })

  test('decides what waits for a human, and a second record goes away once that is approved', async () => {
    const shape = z.object({
      items: z.array(z.object({ id: z.string(), kind: z.string(), connection: z.string().nullable() })),
    })
    const waiting = async (kind: string) => (await ask(shape, `/review?kind=${kind}&connection=crm`)).items
    const [second] = await waiting('second')
    const doubled = (await records('crm', 'pike')).length
    await ask(z.looseObject({}), `/review/${second?.id}/decide`, { choose: 'merge', why: 'the same human' })
    await soon(async () => (await waiting('ending')).length === 1)
    expect(await records('crm', 'pike')).toHaveLength(doubled)
    const [ending] = await waiting('ending')
    await kith('review', ending?.id ?? '', '--choose', 'approve', '--why', 'yes')
    await soon(async () => (await records('crm', 'pike')).length < doubled)
    const [match] = (await ask(shape, '/review?kind=match')).items
    expect(await kith('review', '--list', '--kind', 'match')).toContain(match?.id ?? 'none')
  })

  test('says that somebody is not to be written to, and every account is told (I7)', async () => {
    const member = (await records('newsletter', '@')).find(({ values }) => values['consent'] === 'subscribed')
    const address = member?.values['email'] ?? ''
    await ask(z.looseObject({}), `/consents/${encodeURIComponent(address)}`, {
      state: 'unsubscribed',
      why: 'on the phone',
    })
    const consent = z.looseObject({ state: z.string() })
    await soon(async () => (await only('newsletter', address)).values['consent'] === 'unsubscribed')
    expect(consent.parse(await ask(z.looseObject({}), `/consents/${encodeURIComponent(address)}`)).state).toBe(
      'unsubscribed',
    )
    expect(await kith('consent', address)).toMatch(/unsubscribed/)
  })

  test('brings an account back to a backup that proves to restore', async () => {
    const file = join(demos.folder, 'company.backup.gz')
    await kith('backup', file)
    expect(await kith('backup', 'verify', file)).toContain('It restores.')
    const who = 'aoife@loughpress.example'
    const before = await titleOf('sales', who)
    await edit('sales', who, 'title', 'Spoilt')
    await soon(async () => (await titleOf('phones', who)) === 'Spoilt')
    expect(await kith('restore', file, '--to', 'sales', '--over-edits')).toContain('Spoilt')
    await kith('restore', file, '--to', 'sales', '--over-edits', '--yes', '--why', 'a bad import')
    const held = z.object({ brakes: z.array(z.looseObject({ connection: z.string() })), seen: z.string() })
    const { seen } = await ask(held, '/brakes')
    await ask(z.looseObject({}), '/brakes/release', { seen, why: 'looked at it' })
    await soon(async () => (await titleOf('sales', who)) === before && (await titleOf('phones', who)) === before)
  })

  test('looks at the data, and forgets somebody everywhere, for good, with a certificate', async () => {
    expect(await kith('audit')).toMatch(/records/)
    const who = 'zoe@brandt-optik.example'
    const person = await personOf(who)
    expect(person?.connections).toHaveLength(5)
    const preview = await ask(z.looseObject({ seen: z.string() }), `/people/${person?.id}/forget/preview`, {})
    const erasure = z.looseObject({ id: z.string(), state: z.string() })
    const { id } = await ask(erasure, `/people/${person?.id}/forget`, { why: 'asked by letter', seen: preview.seen })
    await soon(async () => (await ask(erasure, `/erasures/${id}`)).state === 'done')
    for (const account of ['crm', 'sales', 'newsletter', 'phones', 'desk']) {
      expect([account, await records(account, who)]).toEqual([account, []])
    }
    expect((await kith('forget', '--certificate', id)).match(/"outcome": "(erased|deleted)"/g)).toHaveLength(5)
    expect(await kith('people', who)).toContain('Nobody')
    // Added again by somebody who does not know: it stays there, and goes nowhere else.
    await human('POST', 'phones/records', { values: { given: 'Zoë', family: 'Brandt', email: who } })
    await edit('phones', 'amara@baobab-legal.example', 'title', 'Counsel')
    await soon(async () => (await titleOf('crm', 'amara@baobab-legal.example')) === 'Counsel')
    for (const account of ['crm', 'sales', 'newsletter', 'desk']) expect(await records(account, who)).toEqual([])
  })

  test('everything that was done is on record with who and why, and nothing went wrong beneath', async () => {
    const shape = z.object({ acts: z.array(z.object({ by: z.string(), why: z.string(), kind: z.string() })) })
    const { acts } = await ask(shape, '/acts?limit=1000')
    expect(new Set(acts.map(({ kind }) => kind))).toEqual(
      new Set(['token', 'pause', 'resume', 'undo', 'merge', 'approve', 'consent', 'restore', 'release', 'forget']),
    )
    expect(new Set(acts.map(({ by }) => by))).toEqual(new Set(['ada', 'page']))
    expect(await readdir(join(demos.folder, 'company'))).not.toContain('kith.log')
  })
})
