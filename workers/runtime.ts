import type { Certificate } from '../engine/core/erasure.ts'
import type { Failure } from '../engine/core/failure.ts'
import type { Connector, Sighting } from '../engine/core/ports/connector.ts'
import type { Json } from '../engine/core/json.ts'
import type { Change, Intent, Settlement, Store } from '../engine/core/ports/store.ts'
import type { Rules } from '../engine/core/rules.ts'
import type { Answer } from '../engine/core/settle.ts'

/** A chunk of one pass over a connection's feed: what an apply job carries. */
export interface Chunk {
  readonly connection: string
  readonly pass: number
  readonly chunk: number
  readonly sightings: readonly Sighting[]
  /** Where the feed can go on after this chunk; left out in the middle of a page. */
  readonly cursor?: Json
  readonly last: boolean
  /** On the last chunk: the app fields that the pass has read. */
  readonly readWith?: string
  /** The brake's sentence, where the deletions of the pass are too many to be believed. */
  readonly deletionsHeld: string | null
  /** The pause in which the pass was begun, or null for none. No pass outlives the beginning or the end of one. */
  readonly pause?: string | null
}

/**
 * Wakes the workers. A wake may be lost or doubled, and nothing but time is lost or doubled with it: what is to be done is
 * always in the store.
 */
export interface Queue {
  wakePull(connection: string): Promise<void>
  /** Takes a chunk on; waits while too many are on their way, so that a fast app does not fill the memory. */
  apply(chunk: Chunk): Promise<void>
  /** Match staged records, plan unplanned people, read again what is to be read again. */
  wakeSettle(): Promise<void>
  wakeDeliver(connection: string, delay_ms?: number): Promise<void>
}

/** Everything the workers work with. One per process; the simulation makes its own. */
export interface Runtime {
  readonly store: Store
  readonly rules: Rules
  readonly connectors: ReadonlyMap<string, Connector>
  readonly queue: Queue
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly newId: () => string
  /** What the config decides about where values go: plans of another fingerprint wait for approval. */
  readonly fingerprint: string
  readonly log: Log
  readonly events: Events
  readonly limits: WorkLimits
  /** Writes a copy of an erasure's certificate where people find it; the store has it in any case. */
  readonly keepCertificate?: (certificate: Certificate) => Promise<unknown>
}

/** What a process is told of its own work as it happens: for counters, progress bars and the demo's ticker. */
export interface Events {
  /** Sightings read from a feed, and how many of them were known by their revision already. */
  read(connection: string, sightings: number, known: number): void
  /** A chunk was committed: sightings heard, those that changed nothing, and the log entries written. */
  applied(connection: string, heard: number, unchanged: number, changes: readonly Change[]): void
  planned(intents: readonly Intent[]): void
  settled(intent: Intent, answer: Answer, settlement: Settlement | null): void
}

export interface WorkLimits {
  readonly chunk_max: number
  readonly lease_ms: number
  readonly mergeAttempts_max: number
}

/** Structured log: an event's name and facts that hold no secret and no personal value (I15). */
export interface Log {
  info(event: string, facts?: { readonly [name: string]: string | number | boolean | null }): void
  warn(event: string, facts?: { readonly [name: string]: string | number | boolean | null }): void
  failure(event: string, connection: string, failure: Failure): void
}

/** The fact under which the store keeps the fingerprint of the approved config. */
export const APPROVED = 'approved'

/** Why everything planned now is held, or null. */
export async function approvalHold(runtime: Runtime): Promise<string | null> {
  return (await runtime.store.getFact(APPROVED)) === runtime.fingerprint ? null : 'approval'
}
