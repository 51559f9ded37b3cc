import type { Catalogue } from './catalogue.ts'
import type { BrakeLimits } from './brakes.ts'
import type { Filter } from './include.ts'
import type { Direction, Lens } from './ports/lens.ts'
import type { Standard } from './standard.ts'

/** Who wins when two apps say different things about one field. */
export type Policy =
  /** The later one (the default). */
  | { readonly kind: 'latest' }
  /** In a conflict, the connection that stands first in the list; unlisted ones come last, and among equals the later. */
  | { readonly kind: 'prefer'; readonly order: readonly string[] }
  /** Once this connection has spoken, only it may change the field; others are corrected. */
  | { readonly kind: 'owner'; readonly connection: string }
  /** A value only ever fills a blank: the first one stays. */
  | { readonly kind: 'fill' }
  /** A conflict waits for an operator. */
  | { readonly kind: 'manual' }

/** What happens in the other connections when a record is deleted in this one. */
export type DeletePolicy =
  /** Deleted there too. */
  | 'propagate'
  /** Archived there where the app can, else left alone. */
  | 'archive'
  /** Nothing: the person lives on there, and is not created here again. */
  | 'unlink'
  /** The deletion does not count: the record is created here again. */
  | 'ignore'

/** One step of finding out who a record is. Steps are tried in order. */
export type MatchRule =
  | { readonly by: 'externalId' }
  /** An e-mail address; with names that contradict each other it is left to an operator. */
  | { readonly by: 'email' }
  /** A phone number together with a like name. */
  | { readonly by: 'phone' }

export interface MatchRules {
  readonly rules: readonly MatchRule[]
  /** An identifier that so many records of one connection carry belongs to nobody: it is no key. */
  readonly sharedFrom: number
  /** Local parts of addresses that belong to a role and not to a human (info, sales): a key only with a like name. */
  readonly roleAddresses: ReadonlySet<string>
  /** Pairs of keys whose holders are different people, whatever else they share. */
  readonly apart?: readonly (readonly [string, string])[]
}

/** How one connection takes part. */
export interface ConnectionRules {
  readonly name: string
  readonly lens: Lens
  readonly direction: Direction
  /** Whether people who are not there yet are created there. */
  readonly create: boolean
  /** Whether the app lets records be deleted, and archived. */
  readonly canDelete: boolean
  readonly canArchive: boolean
  /** Whether it can delete somebody for good, who has asked to be forgotten. */
  readonly canErase: boolean
  /** Whether the app can merge two records. */
  readonly canMerge: boolean
  /** Whether it can merge these two, by their ids; left out, any two. */
  readonly mergeable?: (id: string, into: string) => boolean
  /** App fields without which the app takes no new record. */
  readonly requires: readonly string[]
  readonly deletes: DeletePolicy
  /** Who belongs there; null for everybody. Someone who no longer does is left as he is. */
  readonly include: Filter | null
  readonly brakes: BrakeLimits
}

/** A whole config, compiled: everything that decides what a person's value is and where it goes. */
export interface Rules {
  readonly catalogue: Catalogue
  /** In the config's order. */
  readonly connections: ReadonlyMap<string, ConnectionRules>
  policy(field: string): Policy
  readonly match: MatchRules
  /** What is asked of values and of new people; left out where nothing is. */
  readonly standard?: Standard
}
