import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, jest, test } from '@jest/globals'
import { z } from 'zod'
import { card, Folder, type Running } from './kith.ts'

jest.setTimeout(120_000)

const folder = new Folder({ KITH_OPERATOR: 'ada' })
folder.write('contacts.csv', 'First Name,Last Name,E-mail\nAda,Lovelace,ada@example.org\n')
folder.write('phone/bob.vcf', card({ given: 'Bob', family: 'Stone', email: 'bob@example.org' }))
folder.write(
  'kith.yaml',
  `connections:
  sheet: { app: csv, path: ./contacts.csv, poll: 1s }
  phone: { app: vdir, path: ./phone, poll: 1s }
admin: { port: 0 }
`,
)
afterAll(() => folder.remove())

async function made(name: string, role: string): Promise<string> {
  const { code, out } = await folder.kith('tokens', 'add', name, '--role', role, '--json')
  expect(code).toBe(0)
  return z.object({ secret: z.string() }).parse(JSON.parse(out)).secret
}

/** The daemon, and where it serves the API. */
async function daemon(): Promise<{ process: Running; url: string }> {
  const process = folder.start('start')
  await process.said('"started"')
  await process.said('"admin api"')
  const [, url = ''] = /"address":"(http[^"]+)","msg":"admin api"/.exec(process.out) ?? []
  return { process, url }
}

async function ask(
  url: string,
  secret: string,
  path: string,
  body?: object,
): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${url}${path}`, {
    method: body ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${secret}`, ...(body ? { 'content-type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  return { status: answer.status, text: await answer.text() }
}

/** One story, told in order: each chapter stands on the one before. */
describe('the admin API of a daemon', () => {
  test('a token is made, shown once, listed without its secret, and what is wrong is said', async () => {
    expect(await folder.kith('sync', '--approve')).toMatchObject({ code: 0 })
    const told = await folder.kith('tokens', 'add', 'page', '--role', 'viewer', '--expires', '90d')
    expect([told.code, told.out]).toEqual([0, expect.stringMatching(/^kith_[0-9a-z]{16}_[\w-]{43}\n$/)])
    expect(told.err).toContain('It is shown this once')
    const listed = await folder.kith('tokens')
    expect(listed.out).toMatch(/page +viewer +valid/)
    expect(listed.out).not.toContain(told.out.trim())
    const wrong: [string[], string][] = [
      [['add', 'page', '--role', 'viewer'], 'there is a token named page already'],
      [['add', 'x'], 'say what the token may do'],
      [['add', 'x', '--role', 'king'], 'there is no role king'],
      [['add', 'x', '--role', 'viewer', '--expires', '2001-01-01'], 'is no time to come'],
      [['add', '--role', 'viewer'], 'say whose token it is'],
      [['revoke', 'nobody'], 'there is no token named nobody'],
      [['burn', 'page'], 'is nothing to do with tokens'],
    ]
    for (const [words, said] of wrong) {
      const { code, err } = await folder.kith('tokens', ...words)
      expect([words, code, err]).toEqual([words, 1, expect.stringContaining(said)])
    }
  })

  test('what is done over HTTP holds for the command line, and through the death of the process (I10)', async () => {
    const operator = await made('desk', 'operator')
    const first = await daemon()
    // It listens before the apps are reached; acts are done once the workers are there.
    const pause = () => ask(first.url, operator, '/connections/phone/pause', { why: 'clean-up' })
    for (let answer = await pause(); answer.status !== 200; answer = await pause()) expect(answer.status).toBe(503)
    first.process.signal('SIGKILL')
    await first.process.ended
    const status = await folder.kith('status')
    expect(status.out).toMatch(/phone: paused .*by desk: clean-up/)
    const second = await daemon()
    expect((await folder.kith('resume', 'phone', '--release', '--yes', '--reason', 'done')).code).toBe(0)
    const acts = await ask(second.url, operator, '/acts')
    expect(acts.text).toMatch(/"by":"ada","why":"done","kind":"resume".*"by":"desk","why":"clean-up","kind":"pause"/)
    expect((await folder.kith('tokens', 'revoke', 'desk')).code).toBe(0)
    expect((await ask(second.url, operator, '/acts')).status).toBe(401)
    second.process.signal('SIGTERM')
    const { code, out } = await second.process.ended
    expect(code).toBe(0)
    // Neither a secret nor a personal value is in a log (I15).
    expect(out).not.toContain(operator)
    expect(out).not.toMatch(/Ada|Lovelace|example\.org/)
    expect(readFileSync(join(folder.path, 'contacts.csv'), 'utf8')).toContain('Bob')
  })

  test('a port that is taken is said with what to do, and the daemon ends', async () => {
    const first = await daemon()
    const port = new URL(first.url).port
    const other = new Folder()
    try {
      other.write('contacts.csv', 'First Name,Last Name,E-mail\nAda,Lovelace,ada@example.org\n')
      other.write('kith.yaml', `connections:\n  sheet: { app: csv, path: ./contacts.csv }\nadmin: { port: ${port} }\n`)
      const { code, err } = await other.kith('start')
      expect([code, err]).toEqual([1, expect.stringContaining('Stop it, or choose another port (admin: in kith.yaml)')])
    } finally {
      other.remove()
      first.process.signal('SIGTERM')
      await first.process.ended
    }
  })
})
