import { fieldOf, isElement, type CellKey } from '../../engine/core/catalogue.ts'
import type { Json } from '../../engine/core/json.ts'
import type { Change, Intent } from '../../engine/core/ports/store.ts'
import type { Events } from '../../workers/runtime.ts'

/** A write that the app has answered. */
export interface Delivery {
  readonly intent: Intent
  readonly at_ms: number
}

/** What happened to one person since somebody last looked. */
export interface Happening {
  readonly personId: string
  readonly changes: readonly Change[]
  readonly deliveries: readonly Delivery[]
}

/** Keeps what the engine tells of its work, until it is shown. */
export class Journal {
  #changes: Change[] = []
  #deliveries: Delivery[] = []
  readonly #listeners = new Set<() => void>()
  /** Sightings heard, and events told, so far. */
  heard = 0
  told = 0

  readonly events: Events = {
    read: (_connection, sightings) => {
      this.heard += sightings
    },
    applied: (_connection, _heard, _unchanged, changes) => {
      this.#changes.push(...changes)
      this.#tell()
    },
    planned: () => this.#tell(),
    settled: (intent, answer) => {
      if (answer.kind === 'written' || answer.kind === 'deleted') this.#deliveries.push({ intent, at_ms: Date.now() })
      this.#tell()
    },
  }

  get changes(): readonly Change[] {
    return this.#changes
  }

  get deliveries(): readonly Delivery[] {
    return this.#deliveries
  }

  /** What happened since the last call, person by person, in the order in which it was heard. */
  take(): Happening[] {
    const [changes, deliveries] = [this.#changes, this.#deliveries]
    this.#changes = []
    this.#deliveries = []
    const ids = new Set([...changes.map(({ personId }) => personId), ...deliveries.map((item) => item.intent.personId)])
    return [...ids].map((personId) => ({
      personId,
      changes: changes.filter((change) => change.personId === personId),
      deliveries: deliveries.filter((item) => item.intent.personId === personId),
    }))
  }

  /** Waits until what was told so far satisfies `done`. @throws the reason of the signal */
  async until(done: (journal: Journal) => boolean, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    while (!done(this)) {
      await new Promise<void>((resolve, reject) => {
        const listener = (): void => {
          this.#listeners.delete(listener)
          signal.removeEventListener('abort', abort)
          resolve()
        }
        const abort = (): void => {
          this.#listeners.delete(listener)
          reject(signal.reason as Error)
        }
        this.#listeners.add(listener)
        signal.addEventListener('abort', abort, { once: true })
      })
    }
  }

  #tell(): void {
    this.told++
    for (const listener of this.#listeners) listener()
  }
}

/** One field that changed, elements of a set taken together: `mobile 1 → mobile 2` is one edit to whoever made it. */
export interface FieldEdit {
  readonly field: string
  readonly before: string | null
  readonly after: string | null
  readonly from: string
  readonly at_ms: number
  readonly heard_ms: number
  /** Where it has been written. */
  readonly to: readonly string[]
  readonly written_ms: number | null
}

/** A value that did not stand. */
export interface Loser {
  readonly field: string
  readonly value: string
  readonly from: string
  readonly at_ms: number
}

export function editsOf({ changes, deliveries }: Happening): FieldEdit[] {
  const groups = Map.groupBy(
    changes.filter((change) => change.kind === 'applied'),
    (change) => `${fieldOf(change.cell)}\n${change.stamp.by}`,
  )
  return [...groups.values()].map((group) => {
    const [first] = group as [Change]
    const field = fieldOf(first.cell)
    const written = deliveries.filter(
      ({ intent }) =>
        intent.connection !== first.stamp.by &&
        touches(
          intent,
          group.map((change) => change.cell),
        ),
    )
    const words = (values: readonly Json[]): string | null => values.map(wordsFor).filter(Boolean).join(', ') || null
    return {
      field,
      before: words(group.map((change) => change.before)),
      after: words(group.map((change) => change.after)),
      from: first.stamp.by,
      at_ms: Math.max(...group.map((change) => change.stamp.at)),
      heard_ms: first.heard_ms,
      to: [...new Set(written.map(({ intent }) => intent.connection))].sort(),
      written_ms: written.length === 0 ? null : Math.max(...written.map((item) => item.at_ms)),
    }
  })
}

function touches(intent: Intent, cells: readonly CellKey[]): boolean {
  return intent.op === 'create' || cells.some((cell) => cell in intent.cells)
}

export function losersOf({ changes }: Happening): Loser[] {
  return changes
    .filter((change) => change.kind === 'lost')
    .map((change) => ({
      field: fieldOf(change.cell),
      value: wordsFor(change.after) ?? '',
      from: change.stamp.by,
      at_ms: change.stamp.at,
    }))
}

/** A value as people read it; null for a blank. */
export function wordsFor(value: Json): string | null {
  const plain = isElement(value) ? value.value : value
  if (plain === null || plain === undefined) return null
  if (typeof plain === 'object') return Object.values(plain).filter(Boolean).join(', ')
  return String(plain).replace(/\s+/g, ' ')
}
