import type { JsonObject } from '../../engine/core/json.ts'
import type { Capabilities, Connector } from '../../engine/core/ports/connector.ts'

/** Every way to make an app misbehave. A harness names those it has; tests of the others are reported as skipped. */
export const FAULTS = [
  'loseNextAnswer',
  'rateLimit',
  'serverError',
  'partialFailure',
  'refuseCredentials',
  'expireCursor',
  'truncateListing',
  'breakRecord',
] as const

export type FaultName = (typeof FAULTS)[number]

export interface Faults {
  /** The next write is carried out, and its answer is lost. */
  loseNextAnswer(): Promise<void> | void
  /** The next call is refused: too many. */
  rateLimit(retryAfter_ms: number | undefined): Promise<void> | void
  /** The next call is answered with a 5xx, and nothing is done. */
  serverError(): Promise<void> | void
  /** Some records of the next batch, and not all of it, fail for the moment. */
  partialFailure(): Promise<void> | void
  /** Every call is refused, until `clear`. */
  refuseCredentials(): Promise<void> | void
  /** Every cursor handed out so far is no longer known. */
  expireCursor(): Promise<void> | void
  /** The next full listing ends too early. */
  truncateListing(): Promise<void> | void
  /** The record's data become unreadable. Returns how to mend it. */
  breakRecord(id: string): Promise<() => Promise<void> | void> | (() => Promise<void> | void)
}

/** What a human does in the app's own window. Fields are the app's own, as its records have them. */
export interface Human {
  add(fields: JsonObject): Promise<string> | string
  /** The same for many at once, where that is quicker. */
  addAll?(all: readonly JsonObject[]): Promise<string[]> | string[]
  edit(id: string, fields: JsonObject): Promise<void> | void
  remove(id: string): Promise<void> | void
  /** Ids of the records that people could take back: those in a bin, or an archive. There where `erase` is declared. */
  bin?(): string[]
  /** Merges two records; returns the id that stands. */
  merge?(loser: string, winner: string): Promise<string> | string
  /** Only the fields that the samples use need be here. */
  list(): Promise<{ id: string; fields: JsonObject }[]> | { id: string; fields: JsonObject }[]
}

/** One app with one account, and a connector to it, for one test. */
export interface World {
  readonly connector: Connector
  readonly human: Human
  readonly faults?: Partial<Faults>
  /** Ends all faults. */
  clear?(): Promise<void> | void
  /** Waits until the app's feed and search show all that was done: for apps that lag. */
  settle?(): Promise<void> | void
  /** Calls that reached the app so far. */
  calls?(): number
  stop(): Promise<void>
}

/** What the suite has to know of an app before it can test its connector. */
export interface Harness {
  /** As the connector declares them; that they are the same is tested. */
  readonly capabilities: Capabilities
  readonly faults: readonly FaultName[]
  /** A fresh, empty account. */
  start(): Promise<World>
  /**
   * The app's own fields of a made-up contact: different for every n, with an own e-mail address or another value to be
   * found by, and always with `editable`.
   */
  sample(n: number): JsonObject
  /** A text field that holds one line at least; some 200 characters of it. */
  readonly editable: string
  /** A second field, given by every sample, that the tests of `editable` must leave alone. */
  readonly bystander: string
  /** A field that holds several lines, where the app has one. */
  readonly multiline?: string
  /** What the app makes of fields it is given, where it rewrites them. */
  kept?(fields: JsonObject): JsonObject
  /** The app allows no two records with the same e-mail address, or the like. */
  readonly unique?: boolean
  /** A blank `editable` cannot be had (it is the app's required field): the reason. */
  readonly neverBlank?: string
  /** Fields that the app refuses to write, where there are such. */
  refused?(): JsonObject
  /** Whether humans can merge records in the app: `human.merge` is there. */
  readonly merges?: boolean
  /** Enough records to fill more than two pages. */
  readonly many: number
  /** What must never show in a report or a failure. */
  readonly secrets: readonly string[]
}

/** Lets a human add samples number `from` to `from + count - 1`; returns their ids in this order. */
export async function fill(harness: Harness, world: World, count: number, from = 0): Promise<string[]> {
  const samples = Array.from({ length: count }, (_, n) => harness.sample(from + n))
  const ids = (await world.human.addAll?.(samples)) ?? []
  if (!world.human.addAll) for (const fields of samples) ids.push(await world.human.add(fields))
  await world.settle?.()
  return ids
}
