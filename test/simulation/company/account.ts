import type { Json } from '../../../engine/core/json.ts'
import type { Random } from '../random.ts'

/** Somebody, as humans type people in. */
export interface Who {
  readonly given: string
  readonly family: string
  readonly email: string | null
  readonly phone: string | null
  readonly title: string | null
}

/** What humans change in a record. */
export const TRAITS = ['given', 'family', 'title', 'organisation', 'note', 'phone', 'email', 'tag'] as const
export type Trait = (typeof TRAITS)[number]

/** A record as its people see it: nothing of Kith's has looked at it. Texts that the app has no place for are null. */
export interface Portrait {
  readonly name: string
  readonly title: string | null
  readonly emails: readonly string[]
  /** Digits only. */
  readonly phones: readonly string[]
}

/** What can go wrong in an account, by name: draws are made by name, so that one seed draws the same again. */
export type Mishaps = { readonly [name: string]: () => void }

/** One simulated account with its people in it: humans work here, whatever the app calls the things that they do. */
export interface Account {
  /** Of the connection and of the app. */
  readonly name: string
  readonly options: { readonly [option: string]: Json }
  readonly mishaps: Mishaps
  /** The records that people see, in the order they were made. */
  ids(): string[]
  see(id: string): Portrait | null
  /** @returns the new record's id; null where the app refuses it */
  add(who: Who, random: Random): string | null
  /** @returns false where the app has no place for it, or refuses it */
  edit(id: string, trait: Trait, text: string): boolean
  remove(id: string): boolean
  /** Takes back what was removed. @returns the id; null where there is nothing to take back, or it is refused */
  bringBack(id: string): string | null
  /** @returns the id that stands, and those that are gone; null where the app has no merging of these */
  merge(loser: string, winner: string): { readonly stands: string; readonly gone: readonly string[] } | null
  /** Somebody unsubscribes, or bounces. @returns the address; null where the app knows no such thing */
  restrict(id: string, how: 'unsubscribe' | 'bounce'): string | null
  /** A user takes the restriction away, without a proof. @returns whether that is possible there */
  loosen(id: string): boolean
  /** The person signs up again, by a form. @returns whether the app can prove that */
  optIn(address: string): boolean
  /** Whether people agreed to mail there by themselves; null where the app keeps nothing of the kind. */
  mailable(id: string): boolean | null
  /** All mishaps end. */
  calm(): void
  /** Sends its hooks there from now on; undefined where the app sends none. */
  hook?(url: string): Promise<void> | void
  /** Every hook so far was sent. */
  flushed(): Promise<void>
  /** Calls of the API so far. */
  calls(): number
  close(): Promise<void>
}

export function digits(phone: string): string {
  return phone.replace(/\D/g, '')
}

/** An app's simulator refuses by an exception here and by an answer there. */
export function refusedAs<T>(fallback: T, work: () => T): T {
  try {
    return work()
  } catch {
    return fallback
  }
}
