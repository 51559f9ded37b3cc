import { z } from 'zod'
import { backoff_ms, FailureError, failureFrom, type Failure } from '../../engine/core/failure.ts'
import type { Json } from '../../engine/core/json.ts'
import type { Listener } from '../../engine/core/ports/connector.ts'
import { realSleep, type Clock } from '../clock.ts'
import { BayeuxClient, SESSION_LOST } from './bayeux.ts'
import { announcedBy } from './change-events.ts'
import type { SalesforceClient } from './client.ts'
import type { BayeuxMessage, SObject } from './wire.ts'

export interface StreamParts extends Pick<Clock, 'now' | 'sleep'> {
  readonly client: SalesforceClient
  readonly objects: readonly SObject[]
  /** `/data/ContactChangeEvent` */
  readonly channels: readonly string[]
  readonly hint: () => void
  readonly listener: Listener
  readonly patience: StreamPatience
}

/** How the stream behaves when Salesforce does not; tests make it impatient. */
export interface StreamPatience {
  /** How long a request may be held. */
  readonly held_max_ms?: number
  /** The first pause before it is tried again, which then doubles. */
  readonly streamPause_ms?: number
}

/** Salesforce holds a request for 110 seconds, says the vendor. */
const HELD_MS_MAX = 150_000
/** A server that answers at once, with nothing, is not asked again at once. */
const HASTY_MS = 1000
/** A client that was known for so long was no failure. */
const LASTED_MS = 60_000
/** What can be over at any moment is tried again at least so often. */
const TRANSIENT_PAUSE_MS_MAX = 60_000
/** What a person has to see to first begins with a longer pause: some steps up the same ladder. */
const PERSON_STEPS = 6
/** How often a channel is tried again while others work. */
const REFUSED_PAUSE_MS = 15 * 60_000
/** Goodbyes are said in passing. */
const FAREWELL_MS = 500
/** After so long the feed tells what happened meanwhile with fewer requests than the events would. */
const PLACE_MS_MAX = 60 * 60_000

const Place = z.strictObject({ at_ms: z.number(), replayIds: z.record(z.string(), z.int()) })
type Place = z.infer<typeof Place>

/** From now on. (-2 would be everything of three days, which the feed tells in fewer requests.) */
const FROM_NOW = -1

/**
 * Listens to an org's change events for as long as it lives. Nothing rests on it: events say which records changed, these are read
 * like those of an outbound message, and whatever is lost on the way the feed finds.
 *
 * One client at a time; whatever goes wrong ends it, and the next one has the events since the last that was kept replayed. Where that
 * cannot be (the first time, after an hour, with a replay id that Salesforce no longer has), it hears from now on, and the feed is
 * asked for what was before.
 */
export class ChangeStream {
  readonly #parts: StreamParts
  readonly #ending = new AbortController()
  readonly #refused = new Map<string, Failure>()
  #refused_ms = 0
  #place: Place | undefined
  #standing: Failure | null | undefined
  readonly #running: Promise<void>

  constructor(parts: StreamParts) {
    this.#parts = parts
    this.#running = this.#run()
  }

  /** A request that is held is given up. */
  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending
    for (let failures = 0; !signal.aborted;) {
      const failure = await this.#listen(() => (failures = 0))
      if (signal.aborted) return
      failures++
      await this.#rest(await this.#pauseAfter(failure, failures))
    }
  }

  /** @returns how long to wait before the next client, in milliseconds */
  async #pauseAfter(failure: Failure, failures: number): Promise<number> {
    let seen = failure
    if (failures === 1) {
      // The org forgets clients now and then.
      if (failure.code === SESSION_LOST) return 0
      if (failure.kind === 'auth') {
        try {
          if (await this.#parts.client.renewSession(this.#ending.signal)) return 0
        } catch (error) {
          seen = failureFrom(error)
        }
      }
    }
    // A connection that broke once is no news.
    if (seen.kind !== 'transient' || failures > 1) this.#tell(seen)
    const { streamPause_ms = 1000 } = this.#parts.patience
    const isPassing = seen.kind === 'transient'
    const pause_ms = isPassing
      ? Math.min(backoff_ms(failures), TRANSIENT_PAUSE_MS_MAX)
      : Math.max(backoff_ms(failures + PERSON_STEPS), seen.retryAfter_ms ?? 0)
    // Not all who were cut off come back in the same moment.
    return pause_ms * (streamPause_ms / 1000) * (0.75 + Math.random() / 2)
  }

  /** @param goesWell called once a client was of use */
  async #listen(goesWell: () => void): Promise<Failure> {
    const { client, now, patience } = this.#parts
    const { signal } = this.#ending
    let began_ms = Number.POSITIVE_INFINITY
    try {
      this.#place ??= await this.#lastPlace()
      const aside = await client.aside(patience.held_max_ms ?? HELD_MS_MAX, signal)
      const bayeux = new BayeuxClient(aside, signal, now)
      try {
        await bayeux.handshake()
        await this.#subscribe(bayeux, this.#parts.channels)
        began_ms = now()
        for (let polls = 0; ; polls++) {
          const polled_ms = now()
          const { events, rest_ms } = await bayeux.connect()
          if (events.length > 0) await this.#take(events)
          this.#place.at_ms = now()
          // The first is answered at once, whatever comes after.
          if (polls > 0) goesWell()
          const isHasty = polls > 0 && events.length === 0 && now() - polled_ms < HASTY_MS
          await this.#rest(isHasty ? Math.max(rest_ms, HASTY_MS) : rest_ms)
          if (this.#refused.size > 0 && now() - this.#refused_ms >= REFUSED_PAUSE_MS)
            await this.#subscribe(bayeux, [...this.#refused.keys()])
        }
      } finally {
        if (signal.aborted) await bayeux.disconnect(AbortSignal.timeout(FAREWELL_MS))
        aside.close()
      }
    } catch (error) {
      if (now() - began_ms > LASTED_MS) goesWell()
      return failureFrom(error)
    }
  }

  /** @throws FailureError where not one channel is to be had */
  async #subscribe(bayeux: BayeuxClient, channels: readonly string[]): Promise<void> {
    let fromNow = false
    for (const channel of channels) {
      const refused = await this.#subscribeTo(bayeux, channel)
      if (refused) this.#refused.set(channel, refused)
      else this.#refused.delete(channel)
      fromNow ||= !refused && this.#replayFrom(channel) === FROM_NOW
    }
    this.#refused_ms = this.#parts.now()
    const [refusal = null] = this.#refused.values()
    if (refusal && this.#refused.size === this.#parts.channels.length) throw new FailureError(refusal)
    if (fromNow) this.#parts.hint()
    this.#tell(refusal)
  }

  /** @returns why this channel is not to be had, or null */
  async #subscribeTo(bayeux: BayeuxClient, channel: string): Promise<Failure | null> {
    for (;;) {
      const from = this.#replayFrom(channel)
      try {
        await bayeux.subscribe(channel, from)
        return null
      } catch (error) {
        const failure = failureFrom(error)
        if (failure.kind !== 'permanent') throw error
        if (from === FROM_NOW) return { ...failure, message: `${channel}: ${failure.message}` }
        // Most likely the event is no longer kept: then from now on, and the feed tells the rest.
        delete this.#place?.replayIds[channel]
      }
    }
  }

  #replayFrom(channel: string): number {
    const { at_ms, replayIds } = this.#place ?? { at_ms: 0, replayIds: {} }
    return this.#parts.now() - at_ms > PLACE_MS_MAX ? FROM_NOW : (replayIds[channel] ?? FROM_NOW)
  }

  /** Hands on what was heard; only then is it a place to go on from. */
  async #take(events: readonly BayeuxMessage[]): Promise<void> {
    const { objects, listener, hint, now } = this.#parts
    const { records, pull, replayIds } = announcedBy(events, objects)
    const place = { at_ms: now(), replayIds: { ...this.#place?.replayIds, ...replayIds } }
    if (records.length > 0) await kept(listener.changed(records))
    if (pull) hint()
    this.#place = place
    if (records.length > 0 || pull) await kept(listener.keep(place as Json))
  }

  async #lastPlace(): Promise<Place> {
    const parsed = Place.safeParse(await kept(this.#parts.listener.place()))
    return parsed.success ? parsed.data : { at_ms: 0, replayIds: {} }
  }

  #tell(failure: Failure | null): void {
    const same = failure?.kind === this.#standing?.kind && failure?.message === this.#standing?.message
    if (this.#standing !== undefined && same) return
    this.#standing = failure
    this.#parts.listener.stands(failure)
  }

  async #rest(ms: number): Promise<void> {
    if (ms > 0) await (this.#parts.sleep ?? realSleep)(ms, this.#ending.signal).catch(() => undefined)
  }
}

/** What our own side cannot keep is told again by Salesforce later. */
async function kept<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    const message = 'What Salesforce announced could not be kept: the database does not answer'
    throw new FailureError({ kind: 'transient', code: 'NOT-KEPT', message }, { cause: error })
  }
}

/** The channels of the objects themselves, or the one that the org has made for Kith. */
export function channelsOf(objects: readonly SObject[], captured: true | string): readonly string[] {
  const names = captured === true ? objects.map((object) => `${object}ChangeEvent`) : [captured]
  return names.map((name) => `/data/${name}`)
}

/** For who does not care which records changed. */
export function onlyHints(hint: () => void): Listener {
  return {
    changed: async () => hint(),
    place: () => Promise.resolve(null),
    keep: () => Promise.resolve(),
    stands: () => undefined,
  }
}
