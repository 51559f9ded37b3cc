import type { BrakeLimits } from '../engine/core/brakes.ts'
import type { FieldDef } from '../engine/core/catalogue.ts'
import type { Filter } from '../engine/core/include.ts'
import type { Json } from '../engine/core/json.ts'
import type { Direction } from '../engine/core/ports/lens.ts'
import type { DeletePolicy, MatchRule, Policy } from '../engine/core/rules.ts'
import type { StandardRule } from '../engine/core/standard.ts'
import type { Rate } from './values.ts'

/** kith.yaml, checked and with every default filled in. Plain data; only the connections' options may hold secrets. */
export interface Config {
  /** The path it was read from, as it was given. */
  readonly file: string
  /** The absolute folder of that file: relative paths in it are relative to this one. */
  readonly baseDir: string
  /** In the order of the file. */
  readonly connections: readonly ConnectionConfig[]
  /** Only the fields that the file names; all others are `latest`. */
  readonly policies: { readonly [field: string]: Policy }
  readonly custom: readonly FieldDef[]
  /** What is asked of values and of new people; what is asked of one field is in the order of the file. */
  readonly standard: readonly StandardRule[]
  readonly match: MatchConfig
  /** ISO 3166 code of the country whose phone numbers are written without their country code; null where none is named. */
  readonly region: string | null
  readonly approval: Approval
  /** null: no backup is made by itself. */
  readonly backup: BackupConfig | null
  /** null: nothing is served. */
  readonly server: ServerConfig | null
  /** null: there is no admin API. */
  readonly admin: AdminConfig | null
}

/** What `kith start` serves: the apps' hooks, health and metrics. */
export interface ServerConfig {
  readonly host: string
  /** 0: any that is free. */
  readonly port: number
  /** How the apps reach the server: `https://kith.example.org`, without a slash at its end. null: as it listens. */
  readonly publicUrl: string | null
}

/** Where `kith start` serves the admin API. */
export interface AdminConfig {
  readonly host: string
  /** 0: any that is free. */
  readonly port: number
}

/** Backups that `kith start` makes. */
export interface BackupConfig {
  readonly every_ms: number
  /** How many are kept. */
  readonly keep: number
  /** Absolute. */
  readonly folder: string
}

export interface ConnectionConfig {
  readonly name: string
  readonly app: string
  /** What the app's own schema made of the connection's options. May hold secrets: never log it, store it or queue it. */
  readonly options: unknown
  /** The app's word for which account this is; holds no secret. */
  readonly account: string
  /** The mapping document as the file (or the file it names) says it; null for the app's default mapping. */
  readonly mapping: Json | null
  /** Where the mapping was read from: `kith.yaml` itself, or the file it names; null for the default mapping. */
  readonly mappingFile: string | null
  readonly direction: Direction
  readonly mode: Mode
  /** Who belongs in this connection; null for everybody. */
  readonly include: Filter | null
  readonly deletes: DeletePolicy
  /** Whether people who are not there yet are created there. */
  readonly create: boolean
  readonly poll_ms: number
  /** null: as fast as the app's declared limits allow. */
  readonly rate: Rate | null
  readonly brakes: BrakeLimits
}

/** `live`: read and written. `observe`: read and planned, every write held. `paused`: no write to it, no change from it. */
export type Mode = 'live' | 'observe' | 'paused'

/** `first`: the first sync of a config waits for approval. `always`: every sync does. `auto`: none does. */
export type Approval = 'first' | 'always' | 'auto'

export interface MatchConfig {
  readonly rules: readonly MatchRule[]
  readonly sharedFrom: number
  /** Lower-case parts before the @. */
  readonly roleAddresses: readonly string[]
  /** Pairs of addresses, numbers or external ids whose holders are different people; left out where there are none. */
  readonly apart?: readonly (readonly [string, string])[]
}
