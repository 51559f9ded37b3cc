import { channelOf, type Channel, type Consent, type ConsentState } from '../engine/core/consent.ts'
import { setConsent } from '../engine/core/consent-act.ts'
import type { Catalogue } from '../engine/core/catalogue.ts'
import type { Store } from '../engine/core/ports/store.ts'
import { ActRefusedError, perform } from './acts.ts'
import type { Runtime } from './runtime.ts'

/** The ledger's key of an address or number as a human types it; null for a text that is neither. */
export function consentKeyFor(catalogue: Catalogue, text: string): string | null {
  const channel: Channel = text.includes('@') ? 'email' : 'phone'
  const normal = catalogue.normal(catalogue.field(channel === 'email' ? 'emails' : 'phones'), text)
  if (channel === 'phone' && normal.replace(/\D/g, '').length < 6) return null
  return normal === '' ? null : `${channel}:${normal}`
}

/** What the ledger says of an address, and who has it. */
export interface ConsentStory {
  readonly key: string
  readonly entry: Consent | null
  readonly holders: readonly {
    readonly connection: string
    readonly recordId: string
    readonly personId: string | null
  }[]
}

export async function consentStory(store: Store, key: string): Promise<ConsentStory> {
  const [entry = null] = await store.consents([key])
  const holders = (await store.keyHolders([key])).map(({ connection, recordId, personId }) => {
    return { connection, recordId, personId }
  })
  return { key, entry, holders }
}

export interface ConsentWish {
  readonly by: string
  readonly why: string
  readonly state: ConsentState
  /** When the person opted in: what a restriction needs to be loosened. */
  readonly optIn_ms: number | null
}

/**
 * An operator's word on an address: a stricter state stands at once, a looser one needs the person's own later opt-in.
 * @throws ActRefusedError where it would loosen without a proof
 */
export async function actOnConsent(runtime: Runtime, key: string, wish: ConsentWish): Promise<Consent> {
  const { store } = runtime
  const { by, why, state, optIn_ms } = wish
  let people: string[] = []
  await perform(
    runtime,
    { by, why, kind: 'consent', about: { channel: channelOf(key), state } },
    async () => {
      people = [...new Set((await store.keyHolders([key])).flatMap(({ personId }) => personId ?? []))]
      return store.loadPeople(people)
    },
    (ws, actor) => setConsent(ws, key, { state, optIn_ms, note: why }, actor, people),
    [key],
  )
  const [entry] = await store.consents([key])
  if (!entry) throw new ActRefusedError('the ledger has no entry for it after all; try again')
  return entry
}
