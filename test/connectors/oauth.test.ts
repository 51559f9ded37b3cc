import { afterEach, describe, expect, test } from '@jest/globals'
import { HttpClient } from '../../connectors/http.ts'
import { OAuth } from '../../connectors/oauth.ts'
import type { OAuthPlan } from '../../connectors/oauth-plan.ts'
import { StoredSignIn } from '../../connectors/oauth-sign-in.ts'
import { failureFrom, type Failure } from '../../engine/core/failure.ts'
import type { Tokens } from '../../engine/core/ports/tokens.ts'
import { AuthorizationServer, type AuthorizationServerOptions } from '../support/authorization-server.ts'
import { MemoryTokens } from '../support/memory-tokens.ts'

const REDIRECT = 'http://localhost:47474/callback'
const SECRET = 'client-secret-of-the-test'
const MINUTE_MS = 60_000

interface World {
  readonly server: AuthorizationServer
  readonly plan: OAuthPlan
  readonly store: MemoryTokens
  readonly oauth: OAuth
  /** Signs in, and keeps the tokens. */
  readonly signIn: () => Promise<Tokens>
  /** The sign-in as one process has it. */
  readonly process: () => StoredSignIn
  readonly advance: (ms: number) => void
}

const open: AuthorizationServer[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()))
})

async function world(
  options: Partial<AuthorizationServerOptions> = {},
  changes: Partial<OAuthPlan> = {},
): Promise<World> {
  let ahead_ms = 0
  const now = (): number => Date.now() + ahead_ms
  const server = await AuthorizationServer.start({
    clientId: 'kith',
    clientSecret: SECRET,
    redirectUrls: [REDIRECT],
    paths: { authorize: '/authorize', token: '/token', revoke: '/revoke', end: '/end' },
    resources: { '/records': { records: [] }, '/me': { account: 7 } },
    now,
    ...options,
  })
  open.push(server)
  const plan: OAuthPlan = {
    grant: 'code',
    clientId: 'kith',
    clientSecret: SECRET,
    authorizeUrl: `${server.url}/authorize`,
    tokenUrl: `${server.url}/token`,
    revocation: { kind: 'token', url: `${server.url}/revoke` },
    scopes: ['contacts', 'offline'],
    needs: ['contacts'],
    pkce: true,
    tokenBody: 'form',
    clientAuth: 'body',
    redirectUrl: REDIRECT,
    ...changes,
  }
  const context = { connection: 'crm', title: 'Example', now, silence_max_ms: 5000, retryPause_ms: 1 }
  const store = new MemoryTokens()
  const oauth = new OAuth(plan, context)
  return {
    server,
    plan,
    store,
    oauth,
    signIn: async () => {
      const attempt = await oauth.begin(REDIRECT)
      const tokens = await oauth.finish(attempt, new URL(await server.allow(attempt.url)).searchParams)
      await store.put('crm', tokens)
      return tokens
    },
    process: () => new StoredSignIn(plan, store, context),
    advance: (ms) => void (ahead_ms += ms),
  }
}

async function failure(work: Promise<unknown>): Promise<Failure> {
  try {
    await work
  } catch (error) {
    return failureFrom(error)
  }
  throw new Error('it did not fail')
}

const ENDED = { kind: 'auth', advice: expect.stringContaining('kith connect crm') }

describe('signing in', () => {
  test('with a code and PKCE brings tokens, when they end, and what was granted', async () => {
    const { oauth, server, signIn } = await world()
    const tokens = await signIn()
    expect(tokens).toMatchObject({ clientId: 'kith', scopes: ['contacts', 'offline'], account: {} })
    expect(tokens.refresh).toEqual(expect.any(String))
    expect((tokens.accessEnds_ms ?? 0) - tokens.issued_ms).toBe(30 * MINUTE_MS)
    const { url } = await oauth.begin(REDIRECT)
    expect(Object.fromEntries(new URL(url).searchParams)).toMatchObject({
      response_type: 'code',
      client_id: 'kith',
      redirect_uri: REDIRECT,
      code_challenge_method: 'S256',
    })
    expect(url).not.toContain(SECRET)
    expect(server.count('authorization_code')).toBe(1)
  })

  test('sends a challenge of its own each time, and none where the app knows no PKCE', async () => {
    const { oauth } = await world()
    const [one, two] = await Promise.all([oauth.begin(REDIRECT), oauth.begin(REDIRECT)])
    expect(one.state).not.toBe(two.state)
    expect(one.verifier).not.toBe(two.verifier)
    const plain = await world({ pkce: false }, { pkce: false })
    expect((await plain.oauth.begin(REDIRECT)).url).not.toContain('code_challenge')
    expect((await plain.signIn()).access).toEqual(expect.any(String))
  })

  test('takes no answer to another attempt, and no code without its verifier', async () => {
    const { oauth, server } = await world()
    const [mine, theirs] = await Promise.all([oauth.begin(REDIRECT), oauth.begin(REDIRECT)])
    const answer = new URL(await server.allow(theirs.url)).searchParams
    expect(await failure(oauth.finish(mine, answer))).toMatchObject({ ...ENDED, code: 'NOT-OURS' })
    expect(server.asked).toHaveLength(0)
    const swapped = { ...theirs, verifier: mine.verifier }
    expect(await failure(oauth.finish(swapped, answer))).toMatchObject({ ...ENDED, code: 'invalid_grant' })
  })

  test('that is denied, or granted in part, is told as that', async () => {
    const { oauth, server } = await world()
    server.faults.denies = true
    const denied = await oauth.begin(REDIRECT)
    const answer = new URL(await server.allow(denied.url)).searchParams
    expect(await failure(oauth.finish(denied, answer))).toMatchObject({
      ...ENDED,
      code: 'access_denied',
      message: 'Access was not granted in Example',
    })
    server.faults.denies = false
    server.faults.grants = 'offline'
    const part = await oauth.begin(REDIRECT)
    expect(await failure(oauth.finish(part, new URL(await server.allow(part.url)).searchParams))).toMatchObject({
      ...ENDED,
      code: 'SCOPE',
      message: expect.stringContaining('contacts'),
    })
  })

  test('whose answer is lost is not tried again with the same code', async () => {
    const { oauth, server, signIn } = await world()
    server.faults.lostAnswers = 1
    expect(await failure(signIn())).toMatchObject({ kind: 'transient', advice: ENDED.advice })
    expect(server.count('authorization_code')).toBe(1)
    expect(oauth).toBeDefined()
  })

  test('with the wrong client secret names the options, and not the secret (I15)', async () => {
    const { signIn } = await world({ clientSecret: 'another' })
    const refused = await failure(signIn())
    expect(refused).toMatchObject({
      kind: 'auth',
      code: 'invalid_client',
      advice: expect.stringContaining('clientSecret'),
    })
    expect(JSON.stringify(refused)).not.toContain(SECRET)
  })

  test('asks the app for the account where the plan does', async () => {
    const { oauth, server, signIn, plan } = await world(
      {},
      { account: async (_answer, ask) => ({ id: String((await ask(`${plan.tokenUrl}/../me`))['account']) }) },
    )
    expect((await signIn()).account).toEqual({ id: '7' })
    expect(server.refusals).toBe(0)
    expect(oauth).toBeDefined()
  })

  test('takes answers as Mailchimp and Salesforce give them: no type, no end, nulls', async () => {
    const mailchimp = await world({
      lifetime_s: 0,
      refreshes: false,
      shape: ({ access_token, expires_in }) => ({ access_token, expires_in, scope: null }),
    })
    expect(await mailchimp.signIn()).toMatchObject({ accessEnds_ms: null, refresh: null, scopes: null })
    const salesforce = await world(
      { shape: (standard) => ({ ...standard, expires_in: null, issued_at: '1708058728442' }) },
      { lifetime_ms: 15 * MINUTE_MS },
    )
    const tokens = await salesforce.signIn()
    expect((tokens.accessEnds_ms ?? 0) - tokens.issued_ms).toBe(15 * MINUTE_MS)
  })

  test('of a client by itself needs nobody, and goes on without a refresh token', async () => {
    const { process, server, store, advance } = await world({}, { grant: 'client', authorizeUrl: null })
    const signIn = process()
    const first = await signIn.token()
    expect(await signIn.token()).toEqual(first)
    advance(29 * MINUTE_MS)
    expect((await signIn.token()).value).not.toBe(first.value)
    expect(server.count('client_credentials')).toBe(2)
    expect(store.kept.get('crm')?.refresh).toBeNull()
  })

  test('asks in JSON where the app wants that', async () => {
    const { signIn, server, process, advance } = await world(
      { body: 'json' },
      { tokenBody: 'json', tokenParams: { expires_in: 86_400 } },
    )
    await signIn()
    advance(40 * MINUTE_MS)
    await process().token()
    expect(server.asked.map(({ params }) => params['expires_in'])).toEqual([86_400, 86_400])
  })
})

describe('going on with a sign-in', () => {
  test('asks nothing while the token is good, and renews it shortly before it ends', async () => {
    const { signIn, process, server, advance, store } = await world()
    const tokens = await signIn()
    const crm = process()
    for (let i = 0; i < 5; i++) expect((await crm.token()).value).toBe(tokens.access)
    advance(27 * MINUTE_MS)
    expect((await crm.token()).value).toBe(tokens.access)
    expect(server.count('refresh_token')).toBe(0)
    advance(1.5 * MINUTE_MS)
    const renewed = (await crm.token()).value
    expect(renewed).not.toBe(tokens.access)
    expect(store.kept.get('crm')?.access).toBe(renewed)
    expect(server.count('refresh_token')).toBe(1)
  })

  test('renews once for all who wait, over several processes, though each refresh token is good once', async () => {
    const { signIn, process, server, advance } = await world()
    await signIn()
    server.faults.slow_ms = 20
    advance(31 * MINUTE_MS)
    const processes = [process(), process(), process()]
    const values = await Promise.all([...processes, ...processes, ...processes].map((each) => each.token()))
    expect(new Set(values.map(({ value }) => value)).size).toBe(1)
    expect(server.count('refresh_token')).toBe(1)
    expect(server.reused).toBe(0)
  })

  test('renews a token that was refused before its time, once, also where several were refused together', async () => {
    const { signIn, process, server } = await world()
    const { access } = await signIn()
    const [one, two] = [process(), process()]
    await Promise.all([one.token(), two.token()])
    server.expireAccess()
    const renewed = await Promise.all([one, one, two].map((each) => each.renewed(access)))
    expect(new Set(renewed.map(({ value }) => value)).size).toBe(1)
    expect(server.count('refresh_token')).toBe(1)
  })

  test('keeps the old refresh token where the app hands out no other', async () => {
    const { signIn, process, advance, store } = await world({ rotates: false })
    const { refresh } = await signIn()
    for (let i = 0; i < 3; i++) {
      advance(31 * MINUTE_MS)
      await process().token()
      expect(store.kept.get('crm')?.refresh).toBe(refresh)
    }
  })

  test('a refresh whose answer was lost is sent again: an app with patience goes on', async () => {
    const { signIn, process, server, advance } = await world()
    await signIn()
    server.faults.grace = true
    server.faults.lostAnswers = 1
    advance(31 * MINUTE_MS)
    expect((await process().token()).value).toEqual(expect.any(String))
    expect(server.count('refresh_token')).toBe(2)
  })

  test('a refresh whose answer was lost for good is told as a sign-in that has ended', async () => {
    const { signIn, process, server, advance } = await world()
    await signIn()
    server.faults.lostAnswers = 1
    advance(31 * MINUTE_MS)
    expect(await failure(process().token())).toMatchObject({ ...ENDED, code: 'invalid_grant' })
  })

  test('goes on with the old token while the app cannot renew it, and until it ends', async () => {
    const { signIn, process, server, advance } = await world()
    const { access } = await signIn()
    const crm = process()
    server.faults.unavailable = 1000
    advance(29 * MINUTE_MS)
    expect((await crm.token()).value).toBe(access)
    advance(2 * MINUTE_MS)
    expect(await failure(crm.token())).toMatchObject({ kind: 'transient' })
    server.faults.unavailable = 0
    expect((await crm.token()).value).not.toBe(access)
  })

  test('a page in place of an answer ends nothing', async () => {
    const { signIn, process, server, advance } = await world()
    await signIn()
    const crm = process()
    advance(31 * MINUTE_MS)
    server.faults.pages = 1
    expect(await failure(crm.token())).toMatchObject({ kind: 'transient', code: 'MALFORMED' })
    expect((await crm.token()).value).toEqual(expect.any(String))
  })

  test('new tokens that could not be kept are not lost: they are kept as soon as the database is back', async () => {
    const { signIn, process, server, store, advance } = await world()
    await signIn()
    const crm = process()
    advance(31 * MINUTE_MS)
    store.faults.losesChanges = 2
    expect(await failure(crm.token())).toMatchObject({ kind: 'transient', code: 'STORE' })
    expect(await failure(crm.token())).toMatchObject({ kind: 'transient', code: 'STORE' })
    const { value } = await crm.token()
    expect(server.count('refresh_token')).toBe(1)
    expect(store.kept.get('crm')?.access).toBe(value)
    advance(31 * MINUTE_MS)
    await process().token()
    expect(server.reused).toBe(0)
  })

  test('a sign-in that was withdrawn says what to run, and is not asked about with every request', async () => {
    const { signIn, process, server, advance } = await world()
    await signIn()
    const crm = process()
    server.withdraw()
    advance(31 * MINUTE_MS)
    for (let i = 0; i < 4; i++) {
      expect(await failure(crm.token())).toMatchObject({ ...ENDED, code: 'invalid_grant' })
    }
    expect(server.count('refresh_token')).toBe(1)
    // Somebody signs in again, in another process.
    await signIn()
    expect((await crm.token()).value).toEqual(expect.any(String))
  })

  test('nobody signed in, or with another client: said with what to run', async () => {
    const { process, store, signIn, advance } = await world()
    expect(await failure(process().token())).toMatchObject({ ...ENDED, message: 'Nobody has signed in to Example yet' })
    const tokens = await signIn()
    await store.put('crm', { ...tokens, clientId: 'another' })
    advance(31 * MINUTE_MS)
    expect(await failure(process().token())).toMatchObject({ ...ENDED, message: expect.stringContaining('clientId') })
  })

  test('a token without end that the app withdraws cannot be renewed', async () => {
    const { signIn, process } = await world({ lifetime_s: 0, refreshes: false })
    const { access } = await signIn()
    expect(await failure(process().renewed(access))).toMatchObject({
      ...ENDED,
      message: expect.stringContaining('withdrawn'),
    })
  })

  test('ends at the app when it is forgotten, by the standard way and by a DELETE', async () => {
    const standard = await world()
    const tokens = await standard.signIn()
    expect(await standard.oauth.revoke(tokens)).toBe(true)
    expect(await failure(standard.oauth.refresh(tokens))).toMatchObject({ code: 'invalid_grant' })
    const deleting = await world()
    const other = new OAuth(
      { ...deleting.plan, revocation: { kind: 'delete', url: `${deleting.server.url}/end` } },
      { connection: 'crm', title: 'Example', now: Date.now },
    )
    const signedIn = await deleting.signIn()
    expect(await other.revoke(signedIn)).toBe(true)
    expect(await failure(other.revoke(signedIn))).toMatchObject({ kind: 'auth' })
    expect(
      await new OAuth(
        { ...deleting.plan, revocation: null },
        { connection: 'crm', title: 'Example', now: Date.now },
      ).revoke(signedIn),
    ).toBe(false)
  })

  test('someone who stops waiting does not stop the renewal for the others', async () => {
    const { signIn, process, server, advance } = await world()
    await signIn()
    server.faults.slow_ms = 30
    advance(31 * MINUTE_MS)
    const crm = process()
    const ending = new AbortController()
    const gone = failure(crm.token(ending.signal))
    const stays = crm.token()
    ending.abort()
    expect(await gone).toMatchObject({ kind: 'transient', code: 'STOPPED' })
    expect((await stays).value).toEqual(expect.any(String))
    expect(server.reused).toBe(0)
  })

  test('no failure tells a token, a code or the client secret (I15)', async () => {
    const { signIn, process, server, advance } = await world()
    await signIn()
    server.withdraw()
    advance(31 * MINUTE_MS)
    const told = JSON.stringify([await failure(process().token()), await failure(process().renewed('x'))])
    for (const secret of [...server.secrets(), SECRET]) expect(told).not.toContain(secret)
  })
})

describe('in virtual time', () => {
  /** A clock that stands still but for what sleeps by it. */
  async function virtual(options: Partial<AuthorizationServerOptions> = {}) {
    let now_ms = Date.UTC(2031, 4, 6, 12)
    const slept: number[] = []
    const now = (): number => now_ms
    const sleep = (ms: number): Promise<void> => {
      slept.push(ms)
      now_ms += ms
      return Promise.resolve()
    }
    const { server, plan, store, signIn } = await world({ now, ...options })
    await signIn()
    // Signed in by the test's own clock: what was kept is dated anew.
    const kept = store.kept.get('crm') as Tokens
    await store.put('crm', { ...kept, issued_ms: now_ms, accessEnds_ms: now_ms + 30 * MINUTE_MS })
    const context = { connection: 'crm', title: 'Example', now, sleep, retryPause_ms: 10_000 }
    const process = (): StoredSignIn => new StoredSignIn(plan, store, context)
    return { server, store, slept, process, now, advance: (ms: number) => void (now_ms += ms) }
  }

  test('a day is 47 renewals, one each for the many who ask, and the server agrees on when a token ends', async () => {
    const { server, process, advance } = await virtual()
    const http = [process(), process()].map((signIn) => new HttpClient({ baseUrl: server.url, signIn, retries_max: 0 }))
    const request = { method: 'GET', url: '/records', pattern: 'records', write: false }
    for (let quarter = 0; quarter < 96; quarter++) {
      const answers = await Promise.all([...http, ...http, ...http].map((client) => client.send(request)))
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200])
      advance(15 * MINUTE_MS)
    }
    for (const client of http) client.close()
    // Each is good for half an hour, and is renewed at the first request after 28 minutes of it.
    expect(server.count('refresh_token')).toBe(47)
    expect([server.reused, server.refusals]).toEqual([0, 0])
  })

  test('what the authorization server cannot do now is tried again after a pause by the same clock, and not by the wall', async () => {
    const { server, process, slept, advance } = await virtual()
    const began_ms = Date.now()
    server.faults.unavailable = 2
    advance(31 * MINUTE_MS)
    expect((await process().token()).value).toEqual(expect.any(String))
    expect(slept).toHaveLength(2)
    expect(Math.min(...slept)).toBeGreaterThanOrEqual(10_000)
    expect(Date.now() - began_ms).toBeLessThan(10_000)
  })
})

describe('requests with a sign-in', () => {
  const client = (server: AuthorizationServer, signIn: StoredSignIn): HttpClient =>
    new HttpClient({ baseUrl: server.url, signIn, retries_max: 0 })
  const request = { method: 'GET', url: '/records', pattern: 'records', write: false }

  test('are sent again once with a renewed token, writes too', async () => {
    const { signIn, process, server } = await world()
    await signIn()
    const http = client(server, process())
    expect((await http.send(request)).status).toBe(200)
    server.expireAccess()
    expect((await http.send({ ...request, method: 'POST', write: true, body: '{}' })).status).toBe(200)
    expect(server.refusals).toBe(1)
    expect(server.count('refresh_token')).toBe(1)
    http.close()
  })

  test('that are refused with a new token too are refused for good, and the advice is to sign in', async () => {
    const { signIn, process, server, store } = await world()
    await signIn()
    const http = client(server, process())
    const renewedInVain: typeof store.change = async (connection, decide) => {
      const tokens = await MemoryTokens.prototype.change.call(store, connection, decide)
      server.expireAccess()
      return tokens
    }
    store.change = renewedInVain
    server.expireAccess()
    // Whatever statuses a connector wants to see for itself.
    expect(await failure(http.send({ ...request, accept: [401] }))).toMatchObject(ENDED)
    expect(server.refusals).toBe(2)
    http.close()
  })
})
