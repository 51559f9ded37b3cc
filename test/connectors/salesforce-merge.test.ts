import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import { XMLParser } from 'fast-xml-parser'
import { connectSalesforce, salesforce, type SalesforceConnector } from '../../connectors/salesforce/index.ts'
import {
  startSalesforceSimulator,
  type SalesforceSimulator,
  type SimulatorOptions,
} from '../../connectors/salesforce/simulator.ts'
import type { Pacer } from '../../connectors/pacer.ts'
import type { SignIn } from '../../connectors/sign-in.ts'
import { FailureError } from '../../engine/core/failure.ts'
import type { MergeOutcome } from '../../engine/core/ports/connector.ts'

/** The vendor's own types: of the enterprise WSDL, where a record is an `ens:sObject`; the rest is the same in the partner's. */
const WSDL = join(import.meta.dirname, '../../../shared/specs/salesforce/contact-lead-types.from-enterprise-wsdl.json')
const TOKEN = '00D!secret'
const unpaced: Pacer = { run: (work) => work(), cool: () => undefined }

let open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open) await close()
  open = []
})

interface World {
  readonly simulator: SalesforceSimulator
  readonly org: SalesforceSimulator['org']
  readonly connector: SalesforceConnector
  readonly merge: (id: string, into: string) => Promise<MergeOutcome>
  /** What was sent to the SOAP API, as texts. */
  readonly envelopes: () => string[]
}

async function world(
  options: Partial<SimulatorOptions> = {},
  signIn?: (simulator: SalesforceSimulator) => SignIn,
): Promise<World> {
  const simulator = await startSalesforceSimulator({ accessToken: TOKEN, ...options })
  const credentials = signIn
    ? { clientId: 'id', clientSecret: 'hush', instanceUrl: simulator.url }
    : { accessToken: options.accessToken ?? TOKEN, instanceUrl: simulator.url }
  const connector = connectSalesforce(
    salesforce.options.parse(credentials),
    {
      connection: 'crm',
      baseDir: '.',
      now: Date.now,
      pacer: unpaced,
      ...(signIn ? { signIn: signIn(simulator) } : {}),
    },
    { retries_max: 0 },
  )
  open.push(
    () => connector.close(),
    () => simulator.close(),
  )
  return {
    simulator,
    org: simulator.org,
    connector,
    merge: (id, into) => connector.merge({ ref: 'm', id, into }),
    envelopes: () =>
      simulator.traffic.filter(({ path }) => path.startsWith('/services/Soap/')).map(({ body }) => String(body)),
  }
}

function two({ org }: World): [loser: string, winner: string] {
  const loser = org.create('Contact', { LastName: 'King', Title: 'Countess', Email: 'ada@example.org' }).Id
  return [loser, org.create('Contact', { LastName: 'Lovelace' }).Id]
}

async function failureIn(outcome: Promise<MergeOutcome>) {
  const answer = await outcome
  return answer.kind === 'failed' ? answer.failure : undefined
}

describe('merging in Salesforce', () => {
  test('is one SOAP call: the loser leads to the one that stands, whose values stay as they are', async () => {
    const one = await world()
    const [loser, winner] = two(one)
    expect(await one.merge(loser, winner)).toEqual({ ref: 'm', kind: 'merged', id: loser, into: winner })
    expect(one.envelopes()).toHaveLength(1)
    expect(await one.connector.read([loser])).toEqual([{ kind: 'merged', id: loser, into: winner }])
    expect(one.org.get(winner)?.values.get('Title')).toBeUndefined()
    expect(one.org.get(winner)?.values.get('LastName')).toBe('Lovelace')
  })

  test('takes leads with leads, and says beforehand, by the ids, that a contact and a lead cannot be merged', async () => {
    const one = await world()
    const [contact] = two(one)
    const [ada, bob] = ['Ada', 'Bob'].map((name) => one.org.create('Lead', { LastName: name, Company: 'Acme' }).Id)
    expect(one.connector.mergeable(ada as string, bob as string)).toBe(true)
    for (const [id, into] of [
      [contact, ada],
      [ada, contact],
      [ada, ada],
      [ada, '001000000000001AAA'],
    ] as [string, string][]) {
      expect(one.connector.mergeable(id, into)).toBe(false)
      expect(await failureIn(one.merge(id, into))).toMatchObject({ kind: 'permanent', code: 'NOT-ALIKE' })
    }
    expect(one.envelopes()).toEqual([])
    expect(await one.merge(ada as string, bob as string)).toMatchObject({ kind: 'merged', into: bob })
  })

  test('whose answer is lost is uncertain; reading the loser tells, and a second try finds it done', async () => {
    const one = await world()
    const [loser, winner] = two(one)
    await one.connector.read([loser])
    one.simulator.faults.lostAnswers = 1
    expect(await failureIn(one.merge(loser, winner))).toMatchObject({ kind: 'uncertain' })
    expect(await one.connector.read([loser])).toEqual([{ kind: 'merged', id: loser, into: winner }])
    expect(await one.merge(loser, winner)).toEqual({ ref: 'm', kind: 'merged', id: loser, into: winner })
    expect(one.org.living().map(({ Id }) => Id)).toEqual([winner])
  })

  test('tells a loser that is gone from a winner that is gone', async () => {
    const one = await world()
    const [loser, winner] = two(one)
    one.org.remove(winner)
    expect(await failureIn(one.merge(loser, winner))).toMatchObject({ kind: 'conflict', code: 'ENTITY_IS_DELETED' })
    one.org.undelete(winner)
    one.org.remove(loser)
    expect(await failureIn(one.merge(loser, winner))).toMatchObject({ kind: 'gone', code: 'ENTITY_IS_DELETED' })
    one.org.erase(loser)
    expect(await failureIn(one.merge(loser, winner))).toMatchObject({ kind: 'gone' })
  })

  test.each([
    ['UNABLE_TO_LOCK_ROW', 'transient'],
    ['INSUFFICIENT_ACCESS_OR_READONLY', 'permanent'],
    ['FIELD_CUSTOM_VALIDATION_EXCEPTION', 'permanent'],
  ])('%s of one record is %s, without a word of what Salesforce quotes (I15)', async (code, kind) => {
    const one = await world()
    const [loser, winner] = two(one)
    one.simulator.faults.refuseMerges = code
    const failure = await failureIn(one.merge(loser, winner))
    expect(failure).toMatchObject({ kind, code })
    expect(JSON.stringify(failure)).not.toContain('own words')
    expect(one.org.living()).toHaveLength(2)
  })

  test.each([
    ['REQUEST_LIMIT_EXCEEDED', 'ratelimited'],
    ['INSUFFICIENT_ACCESS', 'permanent'],
    ['API_DISABLED_FOR_ORG', 'auth'],
    ['INVALID_TYPE_FOR_OPERATION', 'permanent'],
    // How far it came, nobody knows.
    ['UNKNOWN_EXCEPTION', 'uncertain'],
    ['SERVER_UNAVAILABLE', 'uncertain'],
  ])('a fault %s of the whole call is %s', async (errorCode, kind) => {
    const one = await world()
    const [loser, winner] = two(one)
    await one.connector.read([loser])
    one.simulator.faults.fail = { status: 500, times: 1, errorCode, message: 'quoted words' }
    const failure = await failureIn(one.merge(loser, winner))
    expect(failure).toMatchObject({ kind, code: errorCode })
    expect(JSON.stringify(failure)).not.toContain('quoted words')
  })

  test('an answer that was cut short is uncertain', async () => {
    const one = await world()
    const [loser, winner] = two(one)
    await one.connector.read([loser])
    one.simulator.faults.cut = 0.8
    expect(await failureIn(one.merge(loser, winner))).toMatchObject({ kind: 'uncertain', code: 'MALFORMED' })
  })

  test('a session that has ended is renewed once, for the body that it stands in; refused again, it says to sign in', async () => {
    const renewals: string[] = []
    const signIn = (good: () => string | null): SignIn => ({
      token: () => Promise.resolve({ value: renewals.at(-1) ?? 'ended', account: {} }),
      renewed: (refused) => {
        if (good() === null) throw new FailureError({ kind: 'auth', message: 'ended' })
        if (refused === (renewals.at(-1) ?? 'ended')) renewals.push(good() ?? '')
        return Promise.resolve({ value: renewals.at(-1) ?? '', account: {} })
      },
      refusal: () => new FailureError({ kind: 'auth', message: 'the sign-in has ended' }),
    })
    let next = TOKEN
    const one = await world({ client: { id: 'id', secret: 'hush' } }, () => signIn(() => next))
    const [loser, winner] = two(one)
    // The description, by REST, renews it; then the session ends once more.
    await one.connector.read([loser])
    expect(renewals).toEqual([TOKEN])
    one.simulator.expireSessions()
    const response = await fetch(`${one.simulator.url}/services/oauth2/token`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'id', client_secret: 'hush', grant_type: 'client_credentials' }),
    })
    next = ((await response.json()) as { access_token: string }).access_token
    expect(await one.merge(loser, winner)).toMatchObject({ kind: 'merged' })
    expect(renewals).toEqual([TOKEN, next])
    const sessions = one.envelopes().map((text) => /<sessionId>(.*?)<\/sessionId>/.exec(text)?.[1])
    expect(sessions).toEqual([TOKEN, next])
    one.simulator.faults.revoked = true
    const failure = await failureIn(one.merge(loser, winner))
    expect(failure).toMatchObject({ kind: 'auth', message: 'the sign-in has ended' })
  })

  test('a token that stands in kith.yaml and is refused is told as that', async () => {
    const one = await world()
    const [loser, winner] = two(one)
    await one.connector.read([loser])
    one.simulator.faults.revoked = true
    const failure = await failureIn(one.merge(loser, winner))
    expect(failure).toMatchObject({ kind: 'auth', code: 'INVALID_SESSION_ID' })
    expect(JSON.stringify(failure)).not.toContain(TOKEN)
  })

  test('a token that is a JWT goes to the version of the API that takes those', async () => {
    const jwt = `${Buffer.from('{"alg":"RS256"}').toString('base64url')}.e30.signature`
    const one = await world({ accessToken: jwt })
    const [loser, winner] = two(one)
    expect(await one.merge(loser, winner)).toMatchObject({ kind: 'merged' })
    expect(one.simulator.traffic.at(-1)?.path).toBe('/services/Soap/u/68.0')
    const plain = await world()
    await plain.merge(...two(plain))
    expect(plain.simulator.traffic.at(-1)?.path).toBe('/services/Soap/u/62.0')
  })
})

type Types = { readonly [type: string]: readonly { readonly name: string; readonly minOccurs?: string }[] }
type Element = { readonly [name: string]: readonly Element[] | string }

/** Names of elements, in their order. */
function namesIn(elements: readonly Element[]): string[] {
  return elements.flatMap((element) => Object.keys(element).filter((name) => name !== ':@' && name !== '#text'))
}

function within(elements: readonly Element[], ...names: string[]): readonly Element[] {
  const [name, ...rest] = names
  if (name === undefined) return elements
  const found = elements.find((element) => name in element)
  if (!found) throw new Error(`no ${name} among ${namesIn(elements).join()}`)
  return within(found[name] as readonly Element[], ...rest)
}

const isThere = existsSync(WSDL)
const describeWithWsdl = isThere ? describe : describe.skip

describeWithWsdl(`a merge by the vendor's WSDL${isThere ? '' : ' [../shared/specs/salesforce is not there]'}`, () => {
  test('what is sent is a MergeRequest, and what the simulator answers a MergeResult: every element, in order', async () => {
    const types = JSON.parse(readFileSync(WSDL, 'utf8')) as Types
    const order = (type: string): string[] => (types[type] ?? []).map(({ name }) => name)
    const parse = (text: string): readonly Element[] =>
      new XMLParser({ preserveOrder: true, removeNSPrefix: true, ignoreAttributes: false }).parse(text) as Element[]
    const isOf = (type: string, names: readonly string[]): void => {
      expect(names.filter((name) => !order(type).includes(name))).toEqual([])
      expect(names).toEqual(names.toSorted((a, b) => order(type).indexOf(a) - order(type).indexOf(b)))
      const needed = (types[type] ?? []).filter(({ minOccurs }) => minOccurs !== '0').map(({ name }) => name)
      expect(needed.filter((name) => !names.includes(name))).toEqual([])
    }
    const one = await world()
    const [loser, winner] = two(one)
    await one.merge(loser, winner)
    const [sent = ''] = one.envelopes()
    const request = within(parse(sent), 'Envelope', 'Body', 'merge', 'request')
    isOf('MergeRequest', namesIn(request))
    expect(namesIn(within(request, 'masterRecord'))).toEqual(['type', 'Id'])
    expect(sent).toContain('<soapenv:Body xmlns="urn:partner.soap.sforce.com">')
    expect(sent).toContain('<so:type>Contact</so:type>')
    const answers = [one.simulator.traffic.at(-1)?.answer]
    one.simulator.faults.refuseMerges = 'UNABLE_TO_LOCK_ROW'
    await one.merge(...two(one))
    answers.push(one.simulator.traffic.findLast(({ path }) => path.includes('Soap'))?.answer)
    for (const answer of answers) {
      const result = within(parse(String(answer)), 'Envelope', 'Body', 'mergeResponse', 'result')
      isOf('MergeResult', namesIn(result))
    }
    const errors = within(parse(String(answers[1])), 'Envelope', 'Body', 'mergeResponse', 'result', 'errors')
    isOf('Error', namesIn(errors))
  })
})
