import { z } from 'zod'
import type { LinkState } from '../core/ports/store.ts'
import type { Person } from '../core/person.ts'
import type { Section } from '../core/ports/backup.ts'
import { CONSENT_STATES } from '../core/consent.ts'

/**
 * The tables behind the sections of a backup: columns with their types in Postgres, the order of the rows, and what a row in a
 * file must look like before it comes anywhere near a table. A test holds them against the database, so that a column that is
 * added there is not forgotten here.
 */
export interface BackupTable {
  readonly columns: { readonly [column: string]: 'text' | 'text[]' | 'bigint' | 'boolean' | 'json' }
  /** The primary key: rows are read and written in its order. */
  readonly key: string
  readonly row: z.ZodType<{ [column: string]: unknown }>
  /** Which rows belong into a backup; all of them where nothing is said. */
  readonly where?: string
}

/**
 * Facts that say how an installation is at work, and not what is known: a restored one is another installation (its queue is
 * empty), has no leader, has made no plan yet, and no backup of its own.
 */
export const OWN_FACTS: readonly string[] = ['backups', 'installation', 'leader', 'plan']

/** What a backup leaves out, and why. */
export const NOT_IN_A_BACKUP: { readonly [table: string]: string } = {
  migration: 'says of which format the database is; the one restored into has its own',
  token: 'sign-ins are secrets: they are made anew with kith connect',
  access_token: 'whoever may use the admin API is told by the one who restores: kith tokens add',
  intent: 'what is to be written is planned anew',
  unplanned: 'everybody is planned anew',
  tally: 'what the brakes have counted in the last hour',
  count: 'is counted anew',
  matching: 'a number that only tells two workers apart',
  hook_event: 'hooks seen in the last hour',
  announced: 'records announced and not read yet: the cursor finds them',
}

const text = z.string()
const time = z.int()
const count = z.int().min(0)
const anyJson = z.json()
const jsonObject = z.record(text, anyJson)

/** One of the words of a type; the compiler sees to it that none is forgotten. */
function wordOf<Word extends string>(words: { readonly [word in Word]: true }) {
  return z.enum(Object.keys(words) as [Word, ...Word[]])
}

const LinkStateWord = wordOf<LinkState>({
  staged: true,
  linked: true,
  ambiguous: true,
  second: true,
  missing: true,
  unreadable: true,
  gone: true,
  erased: true,
})
const PersonStateWord = wordOf<Person['state']>({
  live: true,
  deleted: true,
  archived: true,
  merged: true,
  erased: true,
})

const Failure = z.looseObject({ kind: text, message: text })
const Flips = z.looseObject({ before: anyJson, count, since_ms: time })
const Rewrites = z.record(text, z.looseObject({ sent: anyJson, got: anyJson }))
const PackedCell = z.tuple([anyJson, time, text, text], Flips)

/** Optional members are columns that may be null: a row leaves those out. */
export const TABLES: { readonly [section in Section]: BackupTable } = {
  connection: {
    columns: {
      name: 'text',
      app: 'text',
      mode: 'text',
      cursor: 'json',
      read_with: 'text',
      pass: 'bigint',
      chunk: 'bigint',
      scanned: 'boolean',
      last_read_ms: 'bigint',
      failure: 'json',
      held: 'text',
      pause: 'json',
      keeps: 'text',
      paused_ms: 'bigint',
    },
    key: 'name',
    row: z.strictObject({
      name: text,
      app: text,
      mode: z.enum(['observe', 'live', 'paused']),
      cursor: anyJson.optional(),
      read_with: text.optional(),
      pass: count,
      chunk: count,
      scanned: z.boolean(),
      last_read_ms: time.optional(),
      failure: Failure.optional(),
      held: text.optional(),
      pause: z.looseObject({ id: text, at_ms: time, by: text, why: text }).optional(),
      keeps: text.optional(),
      paused_ms: time.optional(),
    }),
  },
  fact: {
    columns: { name: 'text', value: 'json' },
    key: 'name',
    row: z.strictObject({ name: text, value: anyJson.optional() }),
    where: `name <> all ('{${OWN_FACTS.join(',')}}')`,
  },
  person: {
    columns: { id: 'text', version: 'bigint', state: 'text', merged_into: 'text', cells: 'json' },
    key: 'id',
    row: z.strictObject({
      id: text.min(1),
      version: z.int().min(1),
      state: PersonStateWord,
      merged_into: text.optional(),
      cells: z.record(text, PackedCell),
    }),
  },
  link: {
    columns: {
      connection: 'text',
      record_id: 'text',
      person_id: 'text',
      state: 'text',
      fields: 'json',
      rev: 'text',
      modified_ms: 'bigint',
      field_times_ms: 'json',
      base_ms: 'json',
      rewrites: 'json',
      keys: 'text[]',
      candidates: 'text[]',
      reason: 'text',
      failure: 'json',
      recheck: 'boolean',
      version: 'bigint',
    },
    key: 'connection, record_id',
    row: z.strictObject({
      connection: text,
      record_id: text,
      person_id: text.optional(),
      state: LinkStateWord,
      fields: jsonObject,
      rev: text.optional(),
      modified_ms: z.number().optional(),
      field_times_ms: z.record(text, z.number()).optional(),
      base_ms: z.record(text, z.number()),
      rewrites: Rewrites,
      keys: z.array(text),
      candidates: z.array(text).optional(),
      reason: text.optional(),
      failure: Failure.optional(),
      recheck: z.boolean(),
      version: z.int().min(1),
    }),
  },
  kept: {
    columns: {
      connection: 'text',
      record_id: 'text',
      record: 'json',
      gone: 'boolean',
      merged_into: 'text',
      heard_ms: 'bigint',
      mark: 'bigint',
    },
    key: 'connection, record_id',
    row: z.strictObject({
      connection: text,
      record_id: text,
      record: jsonObject.optional(),
      gone: z.boolean(),
      merged_into: text.optional(),
      heard_ms: time,
      mark: z.int().min(1),
    }),
  },
  baseline: {
    columns: {
      connection: 'text',
      record_id: 'text',
      person_id: 'text',
      state: 'text',
      fields: 'json',
      rev: 'text',
      rewrites: 'json',
    },
    key: 'connection, record_id',
    row: z.strictObject({
      connection: text,
      record_id: text,
      person_id: text.optional(),
      state: LinkStateWord,
      fields: jsonObject,
      rev: text.optional(),
      rewrites: Rewrites,
    }),
  },
  conflict: {
    columns: {
      person_id: 'text',
      cell: 'text',
      connection: 'text',
      record_id: 'text',
      ours: 'json',
      theirs: 'json',
      stamp_at: 'bigint',
      stamp_by: 'text',
    },
    key: 'person_id, cell, connection',
    row: z.strictObject({
      person_id: text,
      cell: text,
      connection: text,
      record_id: text,
      ours: anyJson.optional(),
      theirs: anyJson.optional(),
      stamp_at: time,
      stamp_by: text,
    }),
  },
  apart: { columns: { a: 'text', b: 'text' }, key: 'a, b', row: z.strictObject({ a: text, b: text }) },
  consent: {
    columns: {
      key: 'text',
      state: 'text',
      stamp_at: 'bigint',
      stamp_by: 'text',
      opt_in_ms: 'bigint',
      restricted_ms: 'bigint',
      events: 'json',
      version: 'bigint',
    },
    key: 'key',
    row: z.strictObject({
      key: text,
      state: z.enum(CONSENT_STATES),
      stamp_at: time,
      stamp_by: text,
      opt_in_ms: time.optional(),
      restricted_ms: time.optional(),
      events: z.array(z.looseObject({ state: z.enum(CONSENT_STATES), kind: text, heard_ms: time })),
      version: z.int().min(1),
    }),
  },
  erasure: {
    columns: {
      id: 'text',
      opened_ms: 'bigint',
      actor: 'text',
      why: 'text',
      people: 'text[]',
      state: 'text',
      of: 'text',
      waived: 'json',
      certificate: 'json',
      lifted: 'json',
    },
    key: 'id',
    row: z.strictObject({
      id: text,
      opened_ms: time,
      actor: text,
      why: text,
      people: z.array(text),
      state: text,
      of: text.optional(),
      waived: anyJson,
      certificate: anyJson.optional(),
      lifted: anyJson.optional(),
    }),
  },
  barred: {
    columns: { hash: 'text', erasure: 'text' },
    key: 'hash, erasure',
    row: z.strictObject({ hash: text, erasure: text }),
  },
  act: {
    columns: { id: 'text', at_ms: 'bigint', actor: 'text', why: 'text', kind: 'text', about: 'json' },
    key: 'id',
    row: z.strictObject({ id: text, at_ms: time, actor: text, why: text, kind: text, about: jsonObject }),
  },
  change: {
    columns: {
      id: 'bigint',
      person_id: 'text',
      cell: 'text',
      before: 'json',
      after: 'json',
      stamp_at: 'bigint',
      stamp_by: 'text',
      record_id: 'text',
      kind: 'text',
      rule: 'text',
      heard_ms: 'bigint',
      act: 'text',
      pass: 'bigint',
    },
    key: 'id',
    row: z.strictObject({
      id: z.int().min(1),
      person_id: text,
      cell: text,
      before: anyJson.optional(),
      after: anyJson.optional(),
      stamp_at: time,
      stamp_by: text,
      record_id: text.optional(),
      kind: text,
      rule: text,
      heard_ms: time,
      act: text.optional(),
      pass: count.optional(),
    }),
  },
  delivery: {
    columns: {
      number: 'bigint',
      id: 'text',
      connection: 'text',
      person_id: 'text',
      op: 'text',
      record_id: 'text',
      rev: 'text',
      archive: 'boolean',
      fields: 'json',
      cells: 'json',
      released: 'boolean',
      attempts: 'bigint',
      not_before_ms: 'bigint',
      planned_ms: 'bigint',
      failure: 'json',
      answer: 'json',
      settled_ms: 'bigint',
    },
    key: 'number',
    row: z.strictObject({
      number: z.int().min(1),
      id: text,
      connection: text,
      person_id: text,
      op: z.enum(['create', 'update', 'delete', 'merge']),
      record_id: text.optional(),
      rev: text.optional(),
      archive: z.boolean(),
      fields: jsonObject,
      cells: jsonObject,
      released: z.boolean(),
      attempts: count,
      not_before_ms: time,
      planned_ms: time,
      failure: Failure.optional(),
      answer: jsonObject.optional(),
      settled_ms: time,
    }),
  },
}
