import { z } from 'zod'
import { fieldOf } from '../../engine/core/catalogue.ts'
import type { Intent } from '../../engine/core/ports/store.ts'
import type { Undo, UndoPart } from '../undo.ts'
import { nameFromCells } from '../words.ts'
import { Time, timeOf, Value } from './common.ts'
import { OpWord } from './plan.ts'

const Undone = z.object({ person: z.string(), name: z.string(), field: z.string(), before: Value, after: Value })

const LeftAlone = z.object({
  person: z.string(),
  name: z.string(),
  field: z.string(),
  value: Value.describe('What stands, and stays.'),
  reason: z.enum(['edited', 'consent', 'merged', 'erased', 'gone', 'manual']),
  by: z.string().optional().describe('Who has said so since.'),
  at: Time.optional(),
  note: z.string().optional(),
})

/** A write that follows at once from an act; what follows from that is planned then. */
export const FollowingDocument = z
  .object({
    connection: z.string(),
    op: OpWord,
    person: z.string(),
    record: z.string().nullable(),
    fields: z.array(z.object({ field: z.string(), before: Value, after: Value })),
    held: z.string().nullable().describe('Why it waits for an operator, where it does.'),
  })
  .meta({ id: 'Following' })

export function followingDocument(intent: Intent): z.infer<typeof FollowingDocument> {
  const { connection, op, personId, recordId, held, cells } = intent
  const fields = Object.entries(cells).map(([cell, { before, after }]) => ({ field: fieldOf(cell), before, after }))
  return { connection, op, person: personId, record: recordId, fields, held: held ?? null }
}

/** What an undo takes back, what it leaves, and what is then written where. */
export const UndoDocument = z
  .object({
    state: z.enum(['preview', 'done', 'nothing']),
    act: z.string().nullable().describe('The act that it is; undo it, and all is as before.'),
    undone: z.array(Undone),
    left: z.array(LeftAlone).describe('What was meant, and stays as it is.'),
    writes: z.array(FollowingDocument),
    log_since: Time.nullable().describe('How far the log reaches back: what is older cannot be undone.'),
  })
  .meta({ id: 'Undo' })

export type UndoLines = Pick<z.infer<typeof UndoDocument>, 'undone' | 'left' | 'writes'>

/** What a document tells of one part of an undo. */
export function undoLines({ undone, left, writes, names }: UndoPart): UndoLines {
  const nameFor = (id: string): string => nameFromCells(names.get(id) ?? {}, id)
  return {
    undone: undone.map(({ personId, cell, before, after }) => {
      return { person: personId, name: nameFor(personId), field: fieldOf(cell), before, after }
    }),
    left: left.map(({ personId, cell, value, reason, by, note }) => ({
      person: personId,
      name: nameFor(personId),
      field: fieldOf(cell),
      value,
      reason,
      ...(by === undefined ? {} : { by: by.by, at: timeOf(by.at) }),
      ...(note === undefined ? {} : { note }),
    })),
    writes: writes.map(followingDocument),
  }
}

/** An undo that was begun and is not finished. */
export const StoppedUndoDocument = z
  .object({
    id: z.string().describe('The act that it is.'),
    asked: z.string().describe('What it takes back, in the words of kith undo.'),
    by: z.string(),
    why: z.string(),
    begun: Time,
  })
  .meta({ id: 'StoppedUndo' })

export function stoppedUndoDocument({ id, asked, by, why, begun_ms }: Undo): z.infer<typeof StoppedUndoDocument> {
  return { id, asked, by, why, begun: timeOf(begun_ms) }
}
