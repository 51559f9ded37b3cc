import { z } from 'zod'
import { CHANNELS, CONSENT_STATES, type Channel, type ConsentState } from '../../engine/core/consent.ts'
import type { ConsentStory } from '../consent-acts.ts'
import { Time, timeOf, timeOrNull } from './common.ts'

export const ConsentStateWord = z.enum(CONSENT_STATES as unknown as [ConsentState, ...ConsentState[]])

/** Whether an address may be written to: what stands, and how it came to be. */
export const ConsentDocument = z
  .object({
    address: z.string(),
    channel: z.enum(CHANNELS as [Channel, ...Channel[]]),
    state: ConsentStateWord.nullable().describe('null: nothing was told; apps do with it what they do by themselves.'),
    by: z.string().nullable(),
    since: Time.nullable(),
    optedIn: Time.nullable(),
    events: z
      .array(
        z.object({
          at: Time,
          by: z.string(),
          state: ConsentStateWord,
          outcome: z
            .enum(['applied', 'refused'])
            .describe('refused: it would have loosened what stands, without a proof.'),
          record: z.string().nullable(),
          optedIn: Time.nullable(),
          heard: Time,
          note: z.string().nullable().describe('What an operator said about it.'),
        }),
      )
      .describe('Newest last.'),
    holders: z.array(z.object({ connection: z.string(), record: z.string(), person: z.string().nullable() })),
  })
  .meta({ id: 'Consent' })

export function consentDocument({ key, entry, holders }: ConsentStory): z.infer<typeof ConsentDocument> {
  return {
    address: key.slice(key.indexOf(':') + 1),
    channel: key.slice(0, key.indexOf(':')) as Channel,
    state: entry?.state ?? null,
    by: entry?.stamp.by ?? null,
    since: timeOrNull(entry?.stamp.at),
    optedIn: timeOrNull(entry?.optIn_ms),
    events: (entry?.events ?? []).map(({ state, stamp, recordId, optIn_ms, kind, heard_ms, note }) => ({
      at: timeOf(stamp.at),
      by: stamp.by,
      state,
      outcome: kind,
      record: recordId,
      optedIn: timeOrNull(optIn_ms),
      heard: timeOf(heard_ms),
      note: note ?? null,
    })),
    holders: holders.map(({ connection, recordId, personId }) => ({ connection, record: recordId, person: personId })),
  }
}
