import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { mayDo, ROLES, type Role } from '../../../engine/core/access.ts'
import { grantAccess } from '../../../workers/access.ts'
import { newId } from '../../../workers/new-id.ts'
import { Crm } from '../../support/places.ts'
import { Office, type Operation } from './office.ts'

jest.setTimeout(60_000)

let office: Office
let crm: Crm
beforeAll(async () => {
  crm = new Crm('crm', [])
  office = await Office.open([crm])
})
afterAll(async () => {
  await office.close()
  crm.close()
})

/** Every route of the API, as its description tells of it. */
function routes(): { method: 'GET' | 'POST' | 'DELETE'; path: string; operation: Operation }[] {
  return Object.entries(office.description.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      method: method.toUpperCase() as 'GET',
      path: path.replace(/^\/api\/v1/, '').replace(/\{\w+\}/g, 'x'),
      operation,
    })),
  )
}

describe('who may', () => {
  test('every route asks for a token, and for a role that its description names', async () => {
    expect(routes().length).toBeGreaterThan(10)
    for (const { method, path, operation } of routes()) {
      const [needed] = operation.security?.[0]?.token ?? []
      expect([path, ROLES.includes(needed as Role)]).toEqual([path, true])
      const none = await office.ask(null, method, path)
      expect([path, none.status, none.headers.get('www-authenticate')]).toEqual([path, 401, 'Bearer realm="kith"'])
      for (const role of ROLES) {
        // A body that fits nothing: whoever is let in is told that the request is wrong, and nothing is done.
        const { status } = await office.ask(office.secrets[role], method, path, method === 'GET' ? undefined : [])
        const told = [path, role, status === 403]
        expect(told).toEqual([path, role, !mayDo(role, needed as Role)])
      }
    }
  })

  test('what is no token of ours, is no longer one, or is told twice lets nobody in', async () => {
    const { store, access } = await office.home.open()
    let now_ms = Date.now() - 10_000
    const desk = { store, access, now: () => now_ms, newId }
    const wish = { role: 'viewer', by: 'ada', why: 'a visit' } as const
    const short = await grantAccess(desk, { ...wish, name: 'short', expires_ms: now_ms + 5000 })
    const look = (secret: string) => office.ask(secret, 'GET', '/status')
    expect(await look(short.secret)).toMatchObject({ status: 401, body: { detail: 'this token has expired' } })
    const gone = await grantAccess(desk, { ...wish, name: 'gone', expires_ms: null })
    expect((await look(gone.secret)).status).toBe(200)
    now_ms = Date.now()
    expect(await office.done('admin', 'POST', '/tokens/gone/revoke', { why: 'left' })).toMatchObject({
      token: { name: 'gone', state: 'revoked', revokedBy: 'admin' },
    })
    expect(await look(gone.secret)).toMatchObject({ status: 401, body: { detail: 'this token has been revoked' } })
    const [prefix, id] = gone.secret.split('_')
    for (const wrong of ['x', `${prefix}_${id}`, `${prefix}_${id}_`, `${gone.secret}x`, `${prefix}_nobody_secret`]) {
      expect([wrong, await look(wrong)]).toMatchObject([
        wrong,
        { status: 401, body: { detail: 'this token is not known' } },
      ])
    }
  })

  test('a secret is told once, and is nowhere in the database, in a list or in a log', async () => {
    const body = { name: 'page', role: 'operator', why: 'for the page' }
    const { secret, token } = await office.done('admin', 'POST', '/tokens', body)
    expect(token).toMatchObject({ name: 'page', role: 'operator', state: 'valid', madeBy: 'admin', expires: null })
    const listed = await office.done('admin', 'GET', '/tokens')
    const { store } = await office.home.open()
    const acts = await store.acts({ limit: 100 })
    const random = secret.slice(`kith_${token.id}_`.length)
    expect(random).toHaveLength(43)
    expect(JSON.stringify([listed, acts, office.lines])).not.toContain(random)
    expect(acts[0]).toMatchObject({ kind: 'token', by: 'admin', why: 'for the page', about: { name: 'page' } })
    const twice = await office.call('admin', 'POST', '/tokens', body)
    expect([twice.status, twice.body.detail]).toEqual([409, expect.stringContaining('there is a token named page')])
  })
})

describe('what is asked wrongly', () => {
  test('a body that does not fit is answered with where and why, and nothing is done', async () => {
    const wrong: [unknown, RegExp][] = [
      [{}, /^\/why: /],
      [{ why: '  ' }, /^\/why: /],
      [{ why: 'x', until: 'tomorrow' }, /^\/until: /],
      [{ why: 'x', until: '2001-01-01T00:00:00Z' }, /no time to come/],
      [{ why: 'x', wait_ms: -1 }, /^\/wait_ms: /],
      [{ why: 'x', whi: 'y' }, /whi/],
      ['{"why": ', /cannot be read as JSON/],
      ['', /./],
    ]
    for (const [body, detail] of wrong) {
      const { status, body: problem } = await office.call('operator', 'POST', '/connections/crm/pause', body)
      expect([body, status, problem.detail]).toEqual([body, 400, expect.stringMatching(detail)])
    }
    const { connections } = await office.done('viewer', 'GET', '/status')
    expect(connections.crm.state).toBe('live')
  })

  test('what is not there is told as such, to those who may look', async () => {
    expect(await office.call('operator', 'POST', '/connections/moon/pause', { why: 'x' })).toMatchObject({
      status: 404,
      body: { detail: 'there is no connection named moon', advice: 'The config has: crm.' },
    })
    expect((await office.ask(office.secrets.viewer, 'GET', '/moon')).status).toBe(404)
    expect((await office.ask(null, 'GET', '/moon')).status).toBe(401)
    expect((await office.ask(office.secrets.viewer, 'POST', '/status', {})).status).toBe(404)
  })

  test('a body that is too large, or no JSON, is not read', async () => {
    const large = await office.call('operator', 'POST', '/connections/crm/pause', `{"why":"${'x'.repeat(2 ** 21)}"}`)
    expect(large.status).toBe(413)
    const answer = await fetch(`${office.url}/connections/crm/pause`, {
      method: 'POST',
      headers: { authorization: `Bearer ${office.secrets.operator}`, 'content-type': 'text/plain' },
      body: 'why=x',
    })
    expect(answer.status).toBe(415)
  })

  test('nothing is kept by browsers and proxies on the way', async () => {
    const { headers } = await office.call('viewer', 'GET', '/status')
    expect([headers.get('cache-control'), headers.get('x-content-type-options')]).toEqual(['no-store', 'nosniff'])
  })
})
