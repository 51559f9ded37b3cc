import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, expect, jest, test } from '@jest/globals'
import { startZendeskSimulator, type ZendeskSimulator } from '../../connectors/zendesk/simulator.ts'
import { Folder } from '../cli/kith.ts'

jest.setTimeout(60_000)

const folder = new Folder()
let desk: ZendeskSimulator | undefined
afterEach(async () => {
  await desk?.close()
  desk = undefined
})
afterAll(() => folder.remove())

const CSV = 'First Name,Last Name,E-mail\nAda,Lovelace,ada@example.org\n'

test('kith hooks sync registers a webhook, keeps its secret in a file of its own, and kith start takes its hooks', async () => {
  desk = await startZendeskSimulator({ token: 'token' })
  desk.faults.withheld_ms = 0
  const user = desk.users.add({ name: 'Grace Hopper' })
  folder.write('contacts.csv', CSV)
  const config = (more: string, server: string): string =>
    `approval: auto\n${server}connections:\n  sheet: { app: csv, path: ./contacts.csv, poll: 1h }\n` +
    `  desk: { app: zendesk, subdomain: acme, oauthToken: token, baseUrl: '${desk?.url}', poll: 1h${more} }\n`
  folder.write('kith.yaml', config('', ''))

  const none = await folder.kith('hooks', 'sync')
  expect(none.code).toBe(1)
  expect(none.err).toContain('Add server: { publicUrl:')
  const port = await freePort()
  const server = `server: { port: ${port}, publicUrl: 'http://127.0.0.1:${port}/' }\n`
  folder.write('kith.yaml', config('', server))
  const listed = await folder.kith('hooks', 'list')
  expect(listed.out).toContain('missing zen:event-type:user.created')
  expect(desk.webhooks.registered).toEqual([])

  const synced = await folder.kith('hooks', 'sync', '--json')
  const secret = desk.webhooks.registered[0]?.secret ?? ''
  expect(synced.code).toBe(0)
  expect(synced.out + synced.err + listed.out).not.toContain(secret)
  const { hooks } = JSON.parse(synced.out) as { hooks: { connection: string; url: string | null; byHand: string[] }[] }
  expect(hooks.map(({ connection, url }) => [connection, url])).toEqual([
    ['sheet', null],
    ['desk', `http://127.0.0.1:${port}/hooks/desk`],
  ])
  const file = join(folder.path, '.kith/secrets/desk.webhookSecret')
  expect(hooks[1]?.byHand).toEqual([expect.stringContaining(`webhookSecret: file:${file}`)])
  expect(readFileSync(file, 'utf8').trim()).toBe(secret)
  expect(statSync(file).mode & 0o077).toBe(0)

  folder.write('kith.yaml', config(`, webhookSecret: 'file:.kith/secrets/desk.webhookSecret'`, server))
  expect((await folder.kith('hooks', 'sync', '--json')).out).toContain('"byHand": []')

  const daemon = folder.start('start')
  await daemon.said('"listening"')
  await daemon.said('"approved"')
  await daemon.said('"op":"create","person"')
  expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200)
  desk.users.edit(user.id, { name: 'Augusta King' })
  await desk.hooks.flushed()
  await daemon.said('"op":"update","person"')
  expect(readFileSync(join(folder.path, 'contacts.csv'), 'utf8')).toContain('Augusta,King')
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  expect(metrics).toMatch(/kith_hooks_total\{connection="desk",outcome="accepted"\} [1-9]/)
  expect(metrics).toMatch(/kith_writes_total\{connection="sheet",op="update",outcome="written"\} [1-9]/)

  daemon.signal('SIGTERM')
  const { code, out } = await daemon.ended
  expect(code).toBe(0)
  expect(out + metrics).not.toMatch(/Augusta|King|Hopper|Lovelace|example\.org/)
  expect(out).not.toContain(secret)
})

test('kith start without server: listens nowhere; with a port that is taken it says so and ends', async () => {
  const other = new Folder()
  try {
    mkdirSync(join(other.path, 'phone'))
    other.write('contacts.csv', CSV)
    const connections =
      'connections:\n  sheet: { app: csv, path: ./contacts.csv }\n  phone: { app: vdir, path: ./phone }\n'
    other.write('kith.yaml', connections)
    const daemon = other.start('start')
    await daemon.said('"held"')
    daemon.signal('SIGTERM')
    expect((await daemon.ended).out).not.toContain('listening')

    desk = await startZendeskSimulator({ token: 'token' })
    other.write('kith.yaml', `server: { port: ${new URL(desk.url).port} }\n${connections}`)
    const refused = await other.kith('start')
    expect(refused.code).toBe(1)
    expect(refused.err).toContain('another program listens there already')
    other.write('kith.yaml', `server: { publicUrl: 'https://kith.example/?a=1', prot: 1 }\n${connections}`)
    const wrong = await other.kith('check')
    expect(wrong.err).toMatch(/kith\.yaml:1:\d+:.*without a user name, a query/)
    expect(wrong.err).toMatch(/kith\.yaml:1:\d+:.*prot/)
  } finally {
    other.remove()
  }
})

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const { createServer } = await import('node:net')
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return address.port
}
