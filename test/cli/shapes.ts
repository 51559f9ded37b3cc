import { z } from 'zod'

/** The contract of `--json`: others script on it. Strict, so that nothing is added to it unseen. */

const iso = z.iso.datetime()
const name = z.string().min(1)

const conflict = z.strictObject({
  person: z.string(),
  name,
  field: z.string(),
  connection: z.string(),
  record: z.string(),
  ours: z.json(),
  theirs: z.json(),
})

const ops = z.partialRecord(z.enum(['create', 'update', 'delete', 'merge']), z.int())
const sample = z.strictObject({
  personId: z.string(),
  cell: z.string(),
  change: z.looseObject({ before: z.json(), after: z.json() }),
})

export const planShape = z.strictObject({
  summary: z.strictObject({
    count: z.int(),
    configChanged: z.boolean(),
    connections: z.array(
      z.strictObject({
        connection: z.string(),
        ops,
        fields: z.array(z.strictObject({ field: z.string(), count: z.int(), samples: z.array(sample) })),
      }),
    ),
  }),
  operations: z.array(
    z.strictObject({
      connection: z.string(),
      op: z.enum(['create', 'update', 'delete']),
      person: z.string(),
      name,
      record: z.string().optional(),
      fields: z.array(z.strictObject({ field: z.string(), before: z.json(), after: z.json(), why: z.string().min(1) })),
      why: z.string().optional(),
      held: z.string().optional(),
    }),
  ),
  ambiguous: z.array(
    z.strictObject({
      connection: z.string(),
      record: z.string(),
      reason: z.string(),
      candidates: z.array(z.strictObject({ id: z.string(), name })),
    }),
  ),
  conflicts: z.array(conflict),
  held: z.boolean(),
})

const tally = z.strictObject({
  read: z.int(),
  created: z.int(),
  updated: z.int(),
  deleted: z.int(),
  unchanged: z.int(),
  parked: z.int(),
  apiCalls: z.int(),
})

export const syncShape = z.strictObject({
  connections: z.record(z.string(), tally),
  conflicts: z.array(conflict),
  held: z.boolean(),
})

export const approveShape = syncShape.extend({ released: z.int() })

export const statusShape = z.strictObject({
  connections: z.record(
    z.string(),
    z.strictObject({
      app: z.string(),
      state: z.enum(['live', 'observe', 'paused', 'failed']),
      lastRead: iso.nullable(),
      pending: z.int(),
      held: z.int(),
      parked: z.int(),
      failure: z.strictObject({ kind: z.string(), message: z.string(), advice: z.string() }).optional(),
      health: z.record(z.string(), z.int()),
      standard: z.strictObject({ fix: z.int(), warn: z.int(), hold: z.int() }).optional(),
    }),
  ),
  /** The ids of those that an app has not answered yet. */
  erasures: z.array(z.string()),
})
