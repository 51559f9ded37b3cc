import type { z } from 'zod'
import type { Connector } from '../engine/core/ports/connector.ts'

/** What a connector is handed besides its options. */
export interface ConnectContext {
  /** The connection's name in kith.yaml: for messages. */
  readonly connection: string
  /** The folder that relative paths in the options are relative to: the one of kith.yaml. */
  readonly baseDir: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** An app that Kith can speak to: one line in the registry, one folder beside this file. */
export interface App<Options = unknown> {
  /** The word in `app:` of kith.yaml. */
  readonly name: string
  /** The product's name, for people. */
  readonly title: string
  /** The options of a connection, `app` itself left out. Strict: an unknown option is an error. */
  readonly options: z.ZodType<Options>
  /** Options that are secrets: a literal one in the YAML gets a warning, and none is ever shown. */
  readonly secrets: readonly string[]
  /**
   * What makes two connections the same account, although they may be configured apart: the resolved path, the URL. Used to
   * refuse one account under two names, and as part of the config's fingerprint. Holds no secret.
   */
  account(options: Options, context: Pick<ConnectContext, 'baseDir'>): string
  /** Opens the connection. Does no I/O yet. */
  connect(options: Options, context: ConnectContext): Connector
}
