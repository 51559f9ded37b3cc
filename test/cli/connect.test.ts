import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import pg from 'pg'
import { z } from 'zod'
import { CLIENT, PORTAL, startHubSpotAccount, type SignedInAccount } from '../support/hubspot-account.ts'
import { freshDatabase, type FreshDatabase } from '../support/postgres.ts'
import { Folder, type Running } from './kith.ts'
import { statusShape } from './shapes.ts'

jest.setTimeout(60_000)

const KEY = randomBytes(32).toString('base64')
const NEW_KEY = randomBytes(32).toString('base64')

const connectShape = z.object({
  connection: z.literal('crm'),
  app: z.literal('hubspot'),
  account: z.object({ id: z.string() }),
  scopes: z.array(z.string()),
  accessEnds: z.string(),
  renews: z.literal(true),
})

const fieldsShape = z.object({
  connection: z.string(),
  app: z.string(),
  fields: z.array(
    z.object({
      name: z.string(),
      label: z.string().optional(),
      type: z.string(),
      writable: z.boolean(),
      mapped: z.boolean(),
      mapsTo: z.array(z.string()),
      options: z.array(z.object({ value: z.string(), label: z.string().optional() })).optional(),
    }),
  ),
})

/** A port that nobody uses just now. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** One story: each chapter stands on the one before. */
describe('a connection that signs in, on the real command line', () => {
  const said: string[] = []
  let database: FreshDatabase
  let folder: Folder
  let account: SignedInAccount
  let redirectUrl = ''

  beforeAll(async () => {
    database = await freshDatabase()
    folder = new Folder({
      KITH_SECRET_KEY: KEY,
      CRM_CLIENT_SECRET: CLIENT.clientSecret,
      DATABASE_URL: database.url,
    })
    redirectUrl = `http://localhost:${await freePort()}/callback`
    account = await startHubSpotAccount([redirectUrl], {
      properties: [
        {
          name: 'tier',
          label: 'Tier',
          type: 'enumeration',
          fieldType: 'select',
          options: [
            { value: 'gold', label: 'Gold' },
            { value: 'tin', label: 'Tin' },
          ],
        },
      ],
    })
    const created = account.simulator.contacts.create({ email: 'ada@example.org', firstname: 'Ada' }, 'CRM_UI')
    if (!('id' in created)) throw new Error('there is nobody in the account')
    folder.write(
      'kith.yaml',
      `connections:
  crm:
    app: hubspot
    clientId: ${CLIENT.clientId}
    clientSecret: \${CRM_CLIENT_SECRET}
    redirectUrl: ${redirectUrl}
    basePath: ${account.server.url}
    authorizeUrl: ${account.server.url}/oauth/authorize
    poll: 1s
  sheet: { app: csv, path: ./contacts.csv }
`,
    )
    folder.write('contacts.csv', 'First Name,Last Name,E-mail\nBob,Stone,bob@example.org\n')
  })
  afterAll(async () => {
    folder.remove()
    await account.close()
    await database.drop()
  })

  const kith = async (...words: string[]) => {
    const ended = await folder.kith(...words)
    said.push(ended.out, ended.err)
    return ended
  }

  /** The address that a `kith connect` under way shows. */
  const addressOf = async (running: Running): Promise<string> => {
    await running.said('Waiting for the browser')
    const url = /https?:\/\/\S+\/oauth\/authorize\S+/.exec(running.out)?.[0]
    if (url === undefined) throw new Error(`no address in: ${running.out}`)
    return url
  }

  test('check says what to run before anybody has signed in, and without a key how to make one', async () => {
    const { code, err } = await kith('check')
    expect(code).toBe(1)
    expect(err).toContain('Nobody has signed in to HubSpot yet. Sign in with: kith connect crm')
    const keyless = await folder.with({ KITH_SECRET_KEY: undefined }, 'connect', 'crm')
    expect(keyless.code).toBe(1)
    expect(keyless.err).toContain('KITH_SECRET_KEY is not set')
    expect(keyless.err).toContain('openssl rand -base64 32')
  })

  test('connect turns a forged return away, takes the true one, and says what was granted', async () => {
    const running = folder.start('connect', 'crm')
    const url = await addressOf(running)
    const forged = await fetch(`${redirectUrl}?code=stolen&state=guessed`)
    expect(forged.status).toBe(400)
    expect((await fetch(redirectUrl.replace('/callback', '/elsewhere'))).status).toBe(404)
    const { status, text } = await account.server.browse(url)
    expect({ status, text }).toEqual({ status: 200, text: expect.stringContaining('crm is signed in') })
    const { code, out, err } = await running.ended
    said.push(out.replace(url, ''), err)
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain(`crm is signed in to HubSpot, account ${PORTAL}.`)
    expect(out).toContain('crm.objects.contacts.write')
    expect(out).toContain('It is renewed by itself.')
    expect(account.server.count('authorization_code')).toBe(1)
  })

  test('check and fields then speak to the account', async () => {
    expect((await kith('check')).out).toMatch(/crm \(hubspot\) ok: 1 contacts/)
    const { code, out } = await kith('fields', 'crm', '--json')
    expect(code).toBe(0)
    const { fields } = fieldsShape.parse(JSON.parse(out))
    const field = (name: string) => fields.find((one) => one.name === name)
    expect(field('firstname')).toMatchObject({ mapped: true, mapsTo: ['name.given'], writable: true })
    expect(field('tier')).toEqual({
      name: 'tier',
      label: 'Tier',
      type: 'enumeration',
      writable: true,
      mapped: false,
      mapsTo: [],
      options: [
        { value: 'gold', label: 'Gold' },
        { value: 'tin', label: 'Tin' },
      ],
    })
    const table = await kith('fields', 'crm')
    expect(table.out).toMatch(/^field +label +type +writable +maps to +values$/m)
    expect(table.out).toMatch(/^firstname +First Name +string +yes +name\.given$/m)
    expect(table.out).toMatch(/^email\.all .* yes +emails$/m)
    // Read for the consent that is about it, and mapped to nothing by itself.
    expect(table.out).toMatch(/^email +Email +string +yes +yes$/m)
    expect(table.out).toMatch(/^hs_email_optout .* yes +consent\.email$/m)
    expect(table.out).toMatch(/^tier +Tier +enumeration +yes +- +gold \(Gold\), tin \(Tin\)$/m)
    expect((await kith('fields', 'nobody')).err).toContain('there is no connection named nobody')
  })

  test('sync renews what has run out, once, and keeps what it got for the next process', async () => {
    account.server.expireAccess()
    const { code } = await kith('sync', '--approve')
    expect(code).toBe(0)
    expect(account.server.count('refresh_token')).toBe(1)
    expect(readFileSync(join(folder.path, 'contacts.csv'), 'utf8')).toContain('ada@example.org')
    expect(account.simulator.contacts.live()).toHaveLength(2)
    expect((await kith('sync')).code).toBe(0)
    expect(account.server.count('refresh_token')).toBe(1)
    expect(account.server.reused).toBe(0)
  })

  test('a sign-in that is withdrawn stops the connection, status says what to run, and nothing is written there', async () => {
    account.server.withdraw()
    folder.write(
      'contacts.csv',
      `${readFileSync(join(folder.path, 'contacts.csv'), 'utf8')}Carl,Gauss,carl@example.org,\n`,
    )
    const { code, err } = await kith('sync')
    expect(code).toBe(1)
    expect(err).toContain('Sign in again with: kith connect crm')
    const { connections } = statusShape.parse(JSON.parse((await kith('status', '--json')).out))
    expect(connections['crm']).toMatchObject({ state: 'failed', failure: { kind: 'auth' } })
    expect((await kith('status')).out).toContain('kith connect crm')
    expect(account.simulator.contacts.live()).toHaveLength(2)
  })

  test('another account is not taken for this one', async () => {
    account.portal = 999
    const running = folder.start('connect', 'crm')
    const page = await account.server.browse(await addressOf(running))
    expect(page).toMatchObject({ status: 400, text: expect.stringContaining('another account') })
    const { code, err } = await running.ended
    expect(code).toBe(1)
    expect(err).toContain('This is another account of HubSpot than the one whose records crm holds')
    account.portal = PORTAL
  })

  test('after signing in again, here by pasting the address, a running daemon goes on where it was', async () => {
    const daemon = folder.start('start', '--json')
    const running = folder.talk('connect', 'crm', '--paste', '--json')
    await running.complained('Copy that address')
    const url = /https?:\/\/\S+\/oauth\/authorize\S+/.exec(running.err)?.[0] ?? ''
    running.input(`${await account.server.allow(url)}\n`)
    const { code, out } = await running.ended
    expect(code).toBe(0)
    expect(connectShape.parse(JSON.parse(out)).account).toEqual({ id: String(PORTAL) })
    const deadline_ms = Date.now() + 20_000
    while (account.simulator.contacts.live().length < 3 && Date.now() < deadline_ms) await pause(50)
    expect(account.simulator.contacts.live()).toHaveLength(3)
    daemon.signal('SIGTERM')
    const ended = await daemon.ended
    said.push(ended.out, ended.err)
    expect(ended.code).toBe(0)
    const status = statusShape.parse(JSON.parse((await kith('status', '--json')).out))
    expect(status.connections['crm']).toMatchObject({ state: 'live' })
  })

  test('a denial is told in the browser and on the command line', async () => {
    account.server.faults.denies = true
    const running = folder.start('connect', 'crm')
    const page = await account.server.browse(await addressOf(running))
    expect(page).toMatchObject({ status: 400, text: expect.stringContaining('Access was not granted in HubSpot') })
    const { code, err } = await running.ended
    expect(code).toBe(1)
    expect(err).toContain('Access was not granted in HubSpot')
    account.server.faults.denies = false
    // The sign-in of before is still there.
    expect((await kith('check')).code).toBe(0)
  })

  test('Ctrl-C while the browser is waited for ends it, and leaves nothing waiting', async () => {
    const running = folder.start('connect', 'crm')
    await addressOf(running)
    running.signal('SIGINT')
    expect(await running.ended).toMatchObject({ code: 130, err: expect.stringContaining('Stopped') })
    await expect(fetch(redirectUrl)).rejects.toThrow('fetch failed')
  })

  test('another key opens nothing, unless the one of before is named as old', async () => {
    const wrong = await folder.with({ KITH_SECRET_KEY: NEW_KEY }, 'check')
    expect(wrong.code).toBe(1)
    expect(wrong.err).toContain('sealed with another key than the one in KITH_SECRET_KEY')
    const rotated = await folder.with({ KITH_SECRET_KEY: NEW_KEY, KITH_SECRET_KEY_OLD: KEY }, 'check')
    expect(rotated.code).toBe(0)
    account.server.expireAccess()
    // What is renewed is sealed anew.
    expect((await folder.with({ KITH_SECRET_KEY: NEW_KEY, KITH_SECRET_KEY_OLD: KEY }, 'check')).code).toBe(0)
    expect((await folder.with({ KITH_SECRET_KEY: NEW_KEY }, 'check')).code).toBe(0)
    said.push(wrong.out, wrong.err, rotated.out, rotated.err)
  })

  test('forget ends the sign-in at the app too, and the connection says so', async () => {
    const { code, out } = await folder.with({ KITH_SECRET_KEY: NEW_KEY }, 'connect', 'crm', '--forget')
    expect(code).toBe(0)
    expect(out).toContain('The sign-in of crm is forgotten')
    expect(out).toContain('The app has ended it, too.')
    // One is left: that of the other account, which was never kept.
    expect(account.server.live).toEqual({ access: 0, refresh: 1 })
    const status = statusShape.parse(JSON.parse((await kith('status', '--json')).out))
    expect(status.connections['crm']).toMatchObject({
      state: 'failed',
      failure: { kind: 'auth', advice: 'Sign in with: kith connect crm' },
    })
    expect((await kith('connect', 'crm', '--forget')).out).toContain('Nobody was signed in for crm.')
  })

  test('connections that need no sign-in, or are none, are told apart', async () => {
    expect((await kith('connect', 'sheet')).err).toContain('CSV sheet knows no sign-in')
    expect((await kith('connect', 'nobody')).err).toContain('There is no connection named nobody')
  })

  test('no token, no key and no client secret was ever printed, or stands in the database in clear (I15)', async () => {
    const secrets = [...account.server.secrets(), CLIENT.clientSecret, KEY, NEW_KEY]
    expect(secrets.length).toBeGreaterThan(8)
    const printed = said.join('\n')
    const kept = await everythingIn(database.url)
    expect(kept).toContain('ada@example.org')
    for (const secret of secrets) {
      expect(printed).not.toContain(secret)
      expect(kept).not.toContain(secret)
    }
  })
})

/** All of Kith's tables as text. */
async function everythingIn(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows: tables } = await client.query<{ name: string }>(
      "select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
    )
    let all = ''
    for (const { name } of tables) {
      const { rows } = await client.query<{ all: string | null }>(`select json_agg(t)::text as all from ${name} t`)
      all += rows[0]?.all ?? ''
    }
    return all
  } finally {
    await client.end()
  }
}
