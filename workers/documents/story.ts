import { z } from 'zod'
import { fieldOf } from '../../engine/core/catalogue.ts'
import type { Intent, LogEntry } from '../../engine/core/ports/store.ts'
import type { Story } from '../story.ts'
import { personName } from '../words.ts'
import { Time, timeOf, Value } from './common.ts'
import { HealthDocument, healthDocument } from './health.ts'
import { LogEntryDocument, logEntryDocument } from './log.ts'
import { PersonStateWord } from './people.ts'

const WriteDocument = z.object({
  connection: z.string(),
  op: z.enum(['create', 'update', 'delete', 'merge']),
  record: z.string().nullable(),
  fields: z.array(z.object({ field: z.string(), before: Value, after: Value })),
  failure: z.string().optional(),
})

/** All that is known about a person: each value, who said it when, by which rule it stands, what lost, what was sent where. */
export const StoryDocument = z
  .object({
    id: z.string(),
    name: z.string(),
    state: PersonStateWord,
    fields: z.array(
      z.object({
        field: z.string(),
        value: Value,
        connection: z.string(),
        at: Time,
        rule: z.string(),
        lost: z.array(LogEntryDocument),
      }),
    ),
    lost: z.array(LogEntryDocument).describe('What lost in fields that are blank now.'),
    records: z.array(
      z.object({
        connection: z.string(),
        record: z.string(),
        state: z.string(),
        failure: z.string().optional(),
        reason: z.string().optional(),
        rewrites: z
          .record(z.string(), z.object({ sent: Value, got: Value }))
          .describe("By the app's field: what was sent, and what the app made of it."),
      }),
    ),
    health: z.array(HealthDocument.omit({ person: true, name: true })),
    open: z.array(WriteDocument.extend({ state: z.string(), held: z.string().nullable() })),
    sent: z
      .array(WriteDocument.extend({ settled: Time, answer: Value.describe('What the app answered.') }))
      .describe('Newest first.'),
  })
  .meta({ id: 'Story' })

export function storyDocument(story: Story): z.infer<typeof StoryDocument> {
  const { person, cells, losers, links, health, open, sent, asked } = story
  const told = (entry: LogEntry): z.infer<typeof LogEntryDocument> => {
    const reasons = asked(entry)
    return { ...logEntryDocument(entry), ...(reasons.length > 0 ? { standard: [...reasons] } : {}) }
  }
  return {
    id: person.id,
    name: personName(person, person.id),
    state: person.state,
    fields: cells.map(([cell, { value, stamp, rule }]) => ({
      field: fieldOf(cell),
      value,
      connection: stamp.by,
      at: timeOf(stamp.at),
      rule,
      lost: losers.filter((entry) => entry.cell === cell).map(told),
    })),
    lost: losers.filter((entry) => !cells.some(([cell]) => cell === entry.cell)).map(told),
    records: links.map(({ connection, recordId, state, failure, reason, rewrites }) => ({
      connection,
      record: recordId,
      state,
      ...(failure ? { failure: failure.message } : {}),
      ...(reason === undefined ? {} : { reason }),
      rewrites: { ...rewrites },
    })),
    health: health.map((line) => {
      const { person: _person, name: _name, ...rest } = healthDocument(line)
      return rest
    }),
    open: open.map((intent) => ({ ...writeOf(intent), state: intent.state, held: intent.held ?? null })),
    sent: sent.map((intent) => ({
      ...writeOf(intent),
      settled: timeOf(intent.settled_ms),
      answer: intent.answer,
    })),
  }
}

function writeOf({ connection, op, recordId, cells, failure }: Intent): z.infer<typeof WriteDocument> {
  const fields = Object.entries(cells).map(([cell, { before, after }]) => ({ field: fieldOf(cell), before, after }))
  return { connection, op, record: recordId, fields, ...(failure ? { failure: failure.message } : {}) }
}
