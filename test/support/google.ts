import { expect } from '@jest/globals'
import { connectGoogle, type Google, type GoogleTuning } from '../../connectors/google/index.ts'
import { startGoogleSimulator, type GoogleSimulator } from '../../connectors/google/simulator.ts'
import { isBlank, type Json, type JsonObject } from '../../engine/core/json.ts'
import { discovery } from './discovery.ts'

/** Google's own description of the API; null where it is not at hand. */
export const peopleApi = discovery('google/people-v1.discovery.json')

/** The etag of the source is sent back with every update: `updateContact` in the same description demands it. */
const SENT = new Set(['Person.metadata'])

export const CLIENT = { clientId: 'kith.apps.example', clientSecret: 'GOCSPX-hush', refreshToken: '1//refresh-hush' }
export const SECRETS = [CLIENT.clientSecret, CLIENT.refreshToken, 'ya29.']

/** No quota to wait for. */
const unpaced = { run: <T>(work: () => Promise<T>) => work(), cool: () => undefined }

export interface Account {
  readonly simulator: GoogleSimulator
  readonly connector: Google
  /** Moves the clock that both sides go by. */
  pass(ms: number): void
  stop(): Promise<void>
}

/** A fresh simulated account and a connector to it; all traffic is held against Google's description when it stops. */
export async function startAccount(lag_ms = 0, tuning: GoogleTuning = {}): Promise<Account> {
  let offset_ms = 0
  const now = (): number => Date.now() + offset_ms
  const simulator = await startGoogleSimulator({ ...CLIENT, lag_ms, now })
  const { rootUrl, tokenUrl } = simulator
  const connector = connectGoogle(
    { ...CLIENT, rootUrl, tokenUrl },
    { connection: 'phones', baseDir: '.', now },
    { retries_max: 0, page_max: 100, pacer: unpaced, ...tuning },
  )
  return {
    simulator,
    connector,
    pass: (ms) => void (offset_ms += ms),
    stop: async () => {
      await connector.close()
      await simulator.close()
      expect(findings(simulator)).toEqual([])
      expect(simulator.mutationsAtOnce_max).toBeLessThanOrEqual(1)
    },
  }
}

/** What Google's description finds wrong with the traffic; nothing where the description is not at hand. */
export function findings({ exchanges }: GoogleSimulator): string[] {
  if (!peopleApi) return []
  const found = exchanges
    .filter(({ path, status }) => path !== '/token' && status !== 0)
    // A broken contact is meant to be none of Google's.
    .filter(({ answer }) => !JSON.stringify(answer).includes('no list at all'))
    .flatMap((exchange) => peopleApi.findings(exchange, SENT))
  return [...new Set(found.map((each) => each.replace(/\[\d+\]/g, '[]')))].filter(
    (each) => !each.includes('no list at all'),
  )
}

/** A person as another program writes it; fields are those of the connector, and those left out stay out. */
export function googlePerson(fields: JsonObject): JsonObject {
  const person: JsonObject = {}
  for (const [name, value] of Object.entries(fields)) person[name] = isBlank(value) ? [] : itemsOf(value)
  return person
}

function itemsOf(value: Json): Json[] {
  if (typeof value === 'string') return [{ value }]
  if (!Array.isArray(value)) return [value]
  return value.map((item) => {
    const { value: text = null, label } = item as JsonObject
    return typeof label === 'string' ? { value: text, type: label } : { value: text }
  })
}

/** What a human sees of a contact: name, nickname and notes. */
export function seen(state: JsonObject): JsonObject {
  const first = (field: string): JsonObject => ((state[field] as JsonObject[] | undefined) ?? [])[0] ?? {}
  const { givenName, familyName } = first('names')
  return {
    names: typeof givenName === 'string' ? { givenName, familyName: familyName ?? null } : null,
    nicknames: first('nicknames')['value'] ?? null,
    biographies: first('biographies')['value'] ?? null,
  }
}

/** Made-up contacts in several flavours. */
export function sampleContact(n: number): JsonObject {
  const givenName = ['Ada', 'Żółć', '李', "D'Arcy", 'محمد'][n % 5] ?? ''
  const familyName = n % 3 === 1 ? 'von, und; zu' : `Lovelace ${n}`
  return {
    names: { givenName, familyName },
    nicknames: `No. ${n} "quoted"`,
    biographies: n % 4 === 2 ? 'two\nlines' : `Note ${n}`,
    emailAddresses: [{ value: `person.${n}@example.org`, label: 'work' }],
    phoneNumbers: n % 2 === 0 ? [{ value: `+49 30 ${1000000 + n}`, label: 'home' }] : null,
  }
}
