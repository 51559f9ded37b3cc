import { z } from 'zod'
import { fieldOf } from '../../engine/core/catalogue.ts'
import type { LogEntry } from '../../engine/core/ports/store.ts'
import type { NamedEntry } from '../log-list.ts'
import { Time, timeOf, Value } from './common.ts'

/** One field of one person: what was said, by whom, and what became of it. */
export const LogEntryDocument = z
  .object({
    id: z.int().describe('Grows with time: names the entry to page on from.'),
    person: z.string(),
    name: z.string().optional().describe('What to call the person.'),
    field: z.string(),
    before: Value,
    after: Value,
    connection: z.string().describe('Whose word it was; operator:<name> for an act.'),
    record: z.string().nullable(),
    at: Time.describe('When it came to be in its app.'),
    heard: Time,
    kind: z
      .enum(['applied', 'lost', 'refused', 'rewritten', 'repaired'])
      .describe(
        'applied: it is the value now. lost: another stands. refused: that app may not say so. rewritten: what the app made of ' +
          'what was sent. repaired: what the data standard made of what was said.',
      ),
    rule: z.string(),
    act: z.string().nullable(),
    run: z.string().nullable().describe('The pass in which it was heard: what undo takes.'),
    standard: z.array(z.string()).optional().describe('What the data standard asks of what was said.'),
  })
  .meta({ id: 'LogEntry' })

export function logEntryDocument(entry: LogEntry): z.infer<typeof LogEntryDocument> {
  const { id, personId, cell, before, after, stamp, recordId, kind, rule, heard_ms, act, pass } = entry
  return {
    id,
    person: personId,
    field: fieldOf(cell),
    before,
    after,
    connection: stamp.by,
    record: recordId,
    at: timeOf(stamp.at),
    heard: timeOf(heard_ms),
    kind,
    rule,
    act,
    run: pass === null ? null : `${stamp.by}:${pass}`,
  }
}

export const LogDocument = z.object({ entries: z.array(LogEntryDocument), more: z.boolean() }).meta({ id: 'Log' })

export function logDocument({
  entries,
  more,
}: {
  readonly entries: readonly NamedEntry[]
  readonly more: boolean
}): z.infer<typeof LogDocument> {
  return { entries: entries.map(({ entry, name }) => ({ ...logEntryDocument(entry), name })), more }
}
