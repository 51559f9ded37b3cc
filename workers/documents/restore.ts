import { z } from 'zod'
import type { CellBack } from '../../engine/core/restore-act.ts'
import type { Preview } from '../bring-back.ts'
import { personName } from '../words.ts'
import { Time, timeOrNull, Value } from './common.ts'
import { OpWord } from './plan.ts'

const Back = z.object({
  cell: z.string(),
  now: Value,
  was: Value,
  by: z.string().nullable().describe('Whose word it is that stands now.'),
  since: Time.nullable(),
})

/** What bringing back one record means. */
export const BroughtBackDocument = z
  .object({
    person: z.string(),
    name: z.string(),
    record: z.string(),
    back: z.array(Back).describe('Values that become again what they were.'),
    left: z.array(Back).describe('Values that others have changed since: left as they are.'),
    erased: z.int().optional().describe('Values that do not come back: of somebody who was erased.'),
    again: z.array(z.string()).describe('Connections in which a record that was deleted since is created again.'),
    reason: z.enum(['merged', 'unknown', 'waits']).optional().describe('Why nothing at all is done.'),
    writes: z.array(z.object({ connection: z.string(), op: OpWord })),
  })
  .meta({ id: 'BroughtBack' })

export function broughtBackDocument({ name: person, part, writes }: Preview): z.infer<typeof BroughtBackDocument> {
  const { recordId, back, left, erased, again, reason } = part
  return {
    person: person.id,
    name: personName(person, person.id),
    record: recordId,
    back: back.map(backOf),
    left: left.map(backOf),
    ...(erased === 0 ? {} : { erased }),
    again: [...again],
    ...(reason === undefined ? {} : { reason }),
    writes: writes.map(({ connection, op }) => ({ connection, op })),
  }
}

function backOf({ cell, now, was, by }: CellBack): z.infer<typeof Back> {
  return { cell, now, was, by: by?.by ?? null, since: timeOrNull(by?.at) }
}

/** What bringing a connection's records back to a backup means. */
export const RestoreDocument = z
  .object({
    act: z.string().nullable(),
    values: z.int(),
    created: z.int(),
    left: z.int().describe('What would be taken back, and is left: others have changed it since.'),
    writes: z
      .record(z.string(), z.int())
      .describe('By connection and operation: {"crm: update": 12}. All of them wait.'),
    people: z.array(BroughtBackDocument),
  })
  .meta({ id: 'Restore' })
