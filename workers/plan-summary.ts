import { fieldOf, type CellKey } from '../engine/core/catalogue.ts'
import type { Intent, IntentCell, Store } from '../engine/core/ports/store.ts'
import type { Household } from './household.ts'
import { APPROVED } from './runtime.ts'

/** What a plan does to one field of one connection's records. */
export interface FieldSummary {
  readonly field: string
  /** Records in which it changes. */
  readonly count: number
  /** A few of them. */
  readonly samples: readonly { readonly personId: string; readonly cell: CellKey; readonly change: IntentCell }[]
}

export interface ConnectionSummary {
  readonly connection: string
  readonly ops: { readonly [op in Intent['op']]?: number }
  /** Of the updates, the most frequent first. */
  readonly fields: readonly FieldSummary[]
}

export interface PlanSummary {
  /** How many writes. */
  readonly count: number
  /** The config is another than the one that was approved: what it changes is no edit of anybody's. */
  readonly configChanged: boolean
  readonly connections: readonly ConnectionSummary[]
}

const SAMPLES_MAX = 2

/** The whole plan in a few lines: what is to be written where, field by field. Parked writes are not part of it. */
export async function summarisePlan({ store, fingerprint }: Household): Promise<PlanSummary> {
  const approved = await store.getFact(APPROVED)
  return { ...(await summaryOf(store)), configChanged: typeof approved === 'string' && approved !== fingerprint }
}

async function summaryOf(store: Store): Promise<Omit<PlanSummary, 'configChanged'>> {
  const found = new Map<string, { ops: { [op in Intent['op']]?: number }; fields: Map<string, FieldSummary> }>()
  let count = 0
  for await (const intent of store.intents({})) {
    if (intent.state === 'parked') continue
    count++
    const { connection, op } = intent
    const sums = found.get(connection) ?? { ops: {}, fields: new Map<string, FieldSummary>() }
    found.set(connection, sums)
    sums.ops[op] = (sums.ops[op] ?? 0) + 1
    if (op === 'update') for (const one of fieldsOf(intent)) add(sums.fields, one)
  }
  const connections = [...found].map(([connection, { ops, fields }]) => {
    const byCount = [...fields.values()].sort((a, b) => b.count - a.count || (a.field < b.field ? -1 : 1))
    return { connection, ops, fields: byCount }
  })
  return { count, connections }
}

/** Each field of a write once, however many elements of a set it concerns. */
function fieldsOf({ personId, cells }: Intent): FieldSummary[] {
  const fields = new Map<string, FieldSummary>()
  for (const [cell, change] of Object.entries(cells)) {
    const field = fieldOf(cell)
    if (!fields.has(field)) fields.set(field, { field, count: 1, samples: [{ personId, cell, change }] })
  }
  return [...fields.values()]
}

function add(fields: Map<string, FieldSummary>, one: FieldSummary): void {
  const known = fields.get(one.field)
  const samples = [...(known?.samples ?? []), ...one.samples].slice(0, SAMPLES_MAX)
  fields.set(one.field, { ...one, count: (known?.count ?? 0) + 1, samples })
}
