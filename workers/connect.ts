import type { App, ConnectContext } from '../connectors/app.ts'
import { pacerClock } from '../connectors/clock.ts'
import { createPacer } from '../connectors/pacer.ts'
import { Catalogue } from '../engine/core/catalogue.ts'
import { failureFrom, type Failure } from '../engine/core/failure.ts'
import { keyFor } from '../engine/core/identity.ts'
import type { AppField, ConnectionReport, Connector } from '../engine/core/ports/connector.ts'
import type { ConnectionRules, Policy, Rules } from '../engine/core/rules.ts'
import type { Config, ConnectionConfig } from '../config/types.ts'
import { Standard } from '../engine/core/standard.ts'
import { compileLens, type MappingProblem } from '../mappings/compile.ts'
import { mappingFor } from '../mappings/defaults.ts'
import { phoneNormaliser } from '../mappings/normalise.ts'
import { readings } from '../mappings/readings.ts'
import { mappingSchema } from '../mappings/schema.ts'

/** One connection, opened: what its app says of itself, and what its mapping makes of that. */
export interface Connected {
  readonly config: ConnectionConfig
  readonly connector: Connector
  /** What `check` found; null where it failed, and then `failure` says why. */
  readonly report: ConnectionReport | null
  readonly failure: Failure | null
  readonly problems: readonly MappingProblem[]
  /** null where the account's fields are not known, so that nothing can be mapped yet. */
  readonly rules: ConnectionRules | null
}

/** The canonical fields of a config, its own included. */
export function catalogueOf(config: Config): Catalogue {
  return new Catalogue(phoneNormaliser(config.region ?? undefined), config.custom)
}

/**
 * Opens one connection: tries it out and compiles its mapping for the fields that the account has.
 *
 * @param remembered the fields that the account had when it last answered: good enough to go on with while it does not
 */
export async function connect(
  app: App,
  config: ConnectionConfig,
  catalogue: Catalogue,
  context: ConnectContext,
  remembered: readonly AppField[] | null,
  signal?: AbortSignal,
): Promise<Connected> {
  const connector = app.connect(config.options, paced(config, context))
  let report: ConnectionReport | null = null
  let failure: Failure | null = null
  try {
    report = await connector.check(signal)
  } catch (error) {
    failure = failureFrom(error)
  }
  const fields = report?.fields ?? remembered
  if (!fields) return { config, connector, report, failure, problems: [], rules: null }
  const { rules, problems } = rulesFor(config, connector, catalogue, fields)
  connector.select?.(rules.lens.appFields)
  return { config, connector, report, failure, problems, rules }
}

/** The same without trying it out, with the fields that the account had when it last answered. */
export function remember(
  app: App,
  config: ConnectionConfig,
  catalogue: Catalogue,
  context: ConnectContext,
  fields: readonly AppField[],
): Connected {
  const connector = app.connect(config.options, paced(config, context))
  return { config, connector, report: null, failure: null, ...rulesFor(config, connector, catalogue, fields) }
}

/** Requests that may be under way at once where a rate is set. */
const CONCURRENT_MAX = 8

/** With a `rate` in the config, every request of the connection goes through one budget. */
function paced({ rate }: ConnectionConfig, context: ConnectContext): ConnectContext {
  if (rate === null) return context
  const pacer = createPacer({
    requests: rate.requests,
    interval_ms: rate.per_ms,
    concurrent_max: CONCURRENT_MAX,
    share: rate.share,
    ...pacerClock(context),
  })
  return { ...context, pacer }
}

/** What a connection's config comes to, for the fields that its account has. */
export function rulesFor(
  config: ConnectionConfig,
  connector: Connector,
  catalogue: Catalogue,
  fields: readonly AppField[],
): { rules: ConnectionRules; problems: MappingProblem[] } {
  const own = config.mapping === null ? undefined : mappingSchema.parse(config.mapping)
  const { lens, problems } = compileLens(mappingFor(config.app, own), catalogue, fields, {
    direction: config.direction,
  })
  const { capabilities } = connector
  const rules: ConnectionRules = {
    name: config.name,
    lens,
    direction: config.direction,
    create: config.create && capabilities.create,
    canDelete: capabilities.delete,
    canArchive: capabilities.archive,
    canMerge: capabilities.merge === true,
    ...(connector.mergeable ? { mergeable: (id, into) => connector.mergeable?.(id, into) ?? true } : {}),
    canErase: capabilities.erase === true,
    requires: capabilities.requires ?? [],
    deletes: config.deletes,
    include: config.include,
    brakes: config.brakes,
  }
  return { rules, problems }
}

/** The rules of a household: those of its connections that can be mapped. */
export function rulesOf(config: Config, catalogue: Catalogue, connected: readonly Connected[]): Rules {
  const latest: Policy = { kind: 'latest' }
  const connections = connected.flatMap((item) => (item.rules ? [[item.config.name, item.rules] as const] : []))
  return {
    catalogue,
    connections: new Map(connections),
    policy: (field) => config.policies[field] ?? latest,
    match: {
      rules: config.match.rules,
      sharedFrom: config.match.sharedFrom,
      roleAddresses: new Set(config.match.roleAddresses),
      apart: (config.match.apart ?? []).map(([a, b]) => [keyFor(a, catalogue), keyFor(b, catalogue)] as const),
    },
    ...standardOf(config),
  }
}

/** Nothing, where the config asks for nothing: then nothing is looked at. */
export function standardOf({ standard, region }: Pick<Config, 'standard' | 'region'>): { standard?: Standard } {
  return standard.length > 0 ? { standard: new Standard(standard, readings(region ?? undefined)) } : {}
}
