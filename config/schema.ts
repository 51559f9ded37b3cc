import { isSupportedCountry } from 'libphonenumber-js'
import { z } from 'zod'
import type { BrakeLimits } from '../engine/core/brakes.ts'
import { FIELD_TYPES, STANDARD_FIELDS, type FieldDef } from '../engine/core/catalogue.ts'
import type { Policy } from '../engine/core/rules.ts'
import { IncludeShape } from './include.ts'
import {
  ADMIN_HOST,
  ADMIN_PORT,
  BACKUP_EVERY_MS,
  BACKUP_EVERY_MS_MAX,
  BACKUP_EVERY_MS_MIN,
  BACKUP_KEEP,
  POLL_MS,
  POLL_MS_MAX,
  POLL_MS_MIN,
  ROLE_ADDRESSES,
  SERVER_HOST,
  SERVER_PORT,
  SHARED_FROM,
} from './limits.ts'
import type { AdminConfig, MatchConfig, ServerConfig } from './types.ts'
import { duration, rate, share } from './values.ts'

/**
 * The sections of kith.yaml. Each is checked by itself, so that one mistake does not hide the others; what an app's own
 * options may be is said by the app. Strict everywhere: a name that is not known is a mistake, not an extension.
 */

export const ConnectionName = z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/, {
  error: 'a connection is named in small letters, digits, - and _, starting with a letter, 32 at most',
})

const BrakeLimitFile = z.strictObject({ share: share.optional(), min: z.int().min(0).optional() })

export const BrakesFile = z.strictObject({
  deletes: BrakeLimitFile.optional(),
  creates: BrakeLimitFile.optional(),
  field: BrakeLimitFile.optional(),
  window: duration({ min_ms: 60_000, max_ms: 7 * 86_400_000 }).optional(),
  flips: z.int().min(1).max(1000).optional(),
})

/** Brakes as written lie over brakes as they would be without. */
export function brakesOver(base: BrakeLimits, written: z.output<typeof BrakesFile> | undefined): BrakeLimits {
  const limit = (name: 'deletes' | 'creates' | 'fieldShare', over: z.output<typeof BrakeLimitFile> | undefined) => ({
    share: over?.share ?? base[name].share,
    min: over?.min ?? base[name].min,
  })
  return {
    deletes: limit('deletes', written?.deletes),
    creates: limit('creates', written?.creates),
    fieldShare: limit('fieldShare', written?.field),
    window_ms: written?.window ?? base.window_ms,
    flips_max: written?.flips ?? base.flips_max,
  }
}

/** What every connection may say, whatever its app. The app's own options stand beside these. */
export const ConnectionCommon = z.strictObject({
  app: z.string().min(1).describe('The app, by its short name.'),
  mapping: z
    .union([z.string().min(1), z.record(z.string(), z.unknown())], {
      error: 'must be the path of a mapping file, or the mapping itself as a map',
    })
    .optional()
    .describe(
      "A mapping of your own in place of the app's default one: the path of a YAML file, or the mapping itself.",
    ),
  direction: z.enum(['both', 'in', 'out']).default('both').describe('in: only read there; out: only written there.'),
  mode: z
    .enum(['live', 'observe', 'paused'])
    .default('live')
    .describe('observe: read and planned, every write held. paused: no write to it, no change from it.'),
  include: IncludeShape.optional().describe('Who belongs there; everybody where nothing is said.'),
  deletes: z
    .enum(['propagate', 'archive', 'unlink', 'ignore'])
    .default('unlink')
    .describe('What happens in the other connections when a record is deleted in this one.'),
  create: z.boolean().default(true).describe('Whether people who are not there yet are created there.'),
  poll: duration({ min_ms: POLL_MS_MIN, max_ms: POLL_MS_MAX })
    .default(POLL_MS)
    .describe('Time between two reads, as 30s or 5m.'),
  rate: rate.optional().describe('How many requests Kith may make, as 100/10s.'),
  brakes: BrakesFile.optional().describe('Limits that stop a run before it does damage.'),
})

/** Field policies, for the given fields and connections; `name` stands for all parts of the name. */
export function policiesSchema(fields: Iterable<FieldDef>, connections: readonly string[] | null) {
  const connection = connections === null ? ConnectionName : z.enum(connections as [string, ...string[]])
  const error = 'must be latest, fill, manual, { owner: connection } or { prefer: [connection, connection] }'
  const policy = z
    .union(
      [
        z.enum(['latest', 'fill', 'manual']),
        z.strictObject({ owner: connection }),
        z.strictObject({ prefer: z.array(connection).min(1) }),
      ],
      { error },
    )
    .transform((written): Policy => {
      if (typeof written === 'string') return { kind: written }
      return 'owner' in written
        ? { kind: 'owner', connection: written.owner }
        : { kind: 'prefer', order: [...new Set(written.prefer)] }
    })
    .optional()
  const names = ['name', ...[...fields].map((field) => field.name)]
  return z.strictObject(Object.fromEntries(names.map((name) => [name, policy])))
}

const CUSTOM_NAME = /^[a-z][A-Za-z0-9_]{0,47}$/

const STANDARD_NAMES = new Set(STANDARD_FIELDS.map((field) => field.name.toLowerCase()))

const CustomField = z
  .union(
    [
      z.enum(FIELD_TYPES as [string, ...string[]]),
      z.strictObject({
        type: z.enum(FIELD_TYPES as [string, ...string[]]),
        set: z.boolean().default(false),
        title: z.string().min(1).optional(),
      }),
    ],
    { error: `must be a type (${FIELD_TYPES.join(', ')}) or { type: ..., set: true, title: ... }` },
  )
  .transform((written) => (typeof written === 'string' ? { type: written, set: false, title: undefined } : written))

/** Custom fields: `loyalty: text` is the field `custom.loyalty`. */
export const Custom = z
  .record(
    z
      .string()
      .regex(CUSTOM_NAME, {
        error: 'a custom field is named in letters, digits and _, starting with a small letter, without "custom."',
      })
      .refine((name) => !STANDARD_NAMES.has(name.toLowerCase()), { error: 'this is a standard field already' }),
    CustomField,
  )
  .superRefine((fields, context) => {
    const seen = new Map<string, string>()
    for (const name of Object.keys(fields)) {
      const twin = seen.get(name.toLowerCase())
      seen.set(name.toLowerCase(), name)
      if (twin === undefined) continue
      const message = `"${name}" and "${twin}" differ in case only`
      context.addIssue({ code: 'custom', path: [name], message, params: { at: 'key' } })
    }
  })
  .transform((fields): FieldDef[] =>
    Object.entries(fields).map(([name, { type, set, title }]) => ({
      name: `custom.${name}`,
      type: type as FieldDef['type'],
      set,
      title: title ?? name,
    })),
  )

const MATCH_WORDS = ['externalId', 'email', 'phone'] as const

/** Who is who: the rules in their order, from which count on an identifier is nobody's, and role addresses. */
export const Match = z
  .strictObject({
    rules: z
      .array(z.enum(MATCH_WORDS))
      .min(1)
      .default([...MATCH_WORDS])
      .describe('Tried in order. phone needs a like name.'),
    shared_from: z
      .int()
      .min(2)
      .default(SHARED_FROM)
      .describe('An address or number that so many records of one connection carry tells nobody apart.'),
    role_addresses: z
      .array(z.string().regex(/^[^@\s]+$/, { error: 'is written without the @ and what follows' }))
      .default([...ROLE_ADDRESSES])
      .describe('The parts before the @ of addresses that belong to a role; in place of the built-in list.'),
    apart: z
      .array(
        z.tuple([z.string().min(1), z.string().min(1)], { error: 'is a pair: [ada@example.org, eva@example.org]' }),
      )
      .default([])
      .describe(
        'Pairs of addresses, numbers or external ids whose holders are different people, whatever else they share.',
      ),
  })
  .transform(({ rules, shared_from, role_addresses, apart }): MatchConfig => ({
    rules: [...new Set(rules)].map((by) => ({ by })),
    sharedFrom: shared_from,
    roleAddresses: [...new Set(role_addresses.map((part) => part.toLowerCase()))].sort(),
    // An approval given before there were any holds on.
    ...(apart.length > 0 ? { apart } : {}),
  }))

export const Region = z
  .string()
  .refine((code) => isSupportedCountry(code), { error: 'must be a country code of two capital letters, as DE or US' })
  .nullable()
  .default(null)

export const ApprovalWord = z.enum(['first', 'always', 'auto']).default('first')

const PUBLIC_URL_ERROR =
  'must be an http or https address without a user name, a query or a #: https://kith.example.org'

/** What `kith start` serves. Nothing, unless the section is there. */
export const Server = z
  .strictObject({
    host: z
      .string()
      .min(1)
      .default(SERVER_HOST)
      .describe(
        'The address to listen on. Whatever is not of this machine should have a reverse proxy with TLS before it.',
      ),
    port: z.int().min(0).max(65_535).default(SERVER_PORT).describe('The port to listen on.'),
    publicUrl: z
      .url({ protocol: /^https?$/, error: PUBLIC_URL_ERROR })
      .refine((text) => isPlain(text), { error: PUBLIC_URL_ERROR })
      .optional()
      .describe('How the apps reach the server, as https://kith.example.org: some sign the address they send to.'),
  })
  .transform(({ host, port, publicUrl }): ServerConfig => ({
    host,
    port,
    publicUrl: publicUrl?.replace(/\/+$/, '') ?? null,
  }))

function isPlain(text: string): boolean {
  // What is no address at all is told already.
  if (!URL.canParse(text)) return true
  const { username, password, search, hash } = new URL(text)
  return username === '' && password === '' && search === '' && hash === ''
}

/** Where `kith start` serves the admin API. It does not, unless the section is there. */
export const Admin = z
  .strictObject({
    host: z
      .string()
      .min(1)
      .default(ADMIN_HOST)
      .describe(
        'The address to listen on. Whatever is not of this machine should have a reverse proxy with TLS before it.',
      ),
    port: z.int().min(0).max(65_535).default(ADMIN_PORT).describe('The port to listen on.'),
  })
  .transform(({ host, port }): AdminConfig => ({ host, port }))

/** Backups that `kith start` makes by itself. None, unless the section is there. */
export const Backup = z
  .strictObject({
    every: duration({ min_ms: BACKUP_EVERY_MS_MIN, max_ms: BACKUP_EVERY_MS_MAX })
      .default(BACKUP_EVERY_MS)
      .describe('Time from one backup to the next, as 6h or 1d. One that was missed is made at the next start.'),
    keep: z
      .int()
      .min(1)
      .max(1000)
      .default(BACKUP_KEEP)
      .describe('How many are kept: the oldest goes when there is one more.'),
    folder: z
      .string()
      .min(1)
      .describe('Where they go, from the folder of this file: one folder for each kith.yaml, best on another disk.'),
  })
  .transform(({ every, keep, folder }) => ({ every_ms: every, keep, folder }))

/** What stands at the top of the file, and what each is for. */
export const TOP_LEVEL = {
  connections: 'The accounts to keep in agreement, each under a name of your own.',
  fields: 'Who wins, field by field. All others: the latest edit.',
  custom: 'Fields beyond the standard ones.',
  match: 'How records are found to be one person.',
  region: 'The country of phone numbers written without a country code.',
  approval: 'first: the first sync of a config waits for kith approve. always: every sync does. auto: none does.',
  standard: 'What is asked of values and of new people, and what happens at the door to what does not meet it.',
  brakes: 'Limits for all connections that say nothing else.',
  backup: 'Backups that kith start makes by itself. None where the section is not there.',
  server: "What kith start serves: the apps' webhooks, health and metrics. Nothing where the section is not there.",
  admin: 'Where kith start serves the admin API. Nowhere where the section is not there.',
} as const

export const TopLevel = z.strictObject({
  connections: z.record(z.string(), z.unknown()).refine((all) => Object.keys(all).length > 0, {
    error: 'names no connection',
    params: { advice: 'Add at least one: name: { app: ..., ... }' },
  }),
  fields: z.unknown().optional(),
  custom: z.unknown().optional(),
  match: z.unknown().optional(),
  region: z.unknown().optional(),
  approval: z.unknown().optional(),
  standard: z.unknown().optional(),
  brakes: z.unknown().optional(),
  backup: z.unknown().optional(),
  server: z.unknown().optional(),
  admin: z.unknown().optional(),
})
