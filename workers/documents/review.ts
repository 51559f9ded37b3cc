import { z } from 'zod'
import { fieldOf } from '../../engine/core/catalogue.ts'
import { CHOICES } from '../review.ts'
import { REVIEW_KINDS, type ReviewItem } from '../review-items.ts'
import { Value } from './common.ts'

export const ReviewKindWord = z.enum(REVIEW_KINDS as readonly [string, ...string[]])

/** One thing that waits for an operator. */
export const ReviewItemDocument = z
  .object({
    id: z.string(),
    kind: ReviewKindWord,
    cause: z.string().describe('Why it waits, in one sentence.'),
    connection: z.string().nullable(),
    record: z.string().nullable(),
    recordName: z.string().optional().describe('The name that the record gives itself.'),
    people: z.array(
      z.object({
        id: z.string(),
        name: z.string(),
        score: z.number().optional().describe('0 to 100, where it is about who is who.'),
        evidence: z.array(z.object({ text: z.string(), weight: z.number() })).optional(),
      }),
    ),
    field: z.string().optional(),
    ours: Value.optional(),
    theirs: Value.optional(),
    oursBy: z.string().nullish().describe('Who said the value that stands.'),
    choices: z.array(z.object({ choose: z.string(), meaning: z.string() })),
  })
  .meta({ id: 'ReviewItem' })

export function reviewItemDocument(item: ReviewItem): z.infer<typeof ReviewItemDocument> {
  const { id, kind, cause, choices, connection, recordId, recordName, people, cell, ours, theirs, oursBy } = item
  return {
    id,
    kind,
    cause,
    connection: connection ?? null,
    record: recordId ?? null,
    ...(recordName === undefined ? {} : { recordName }),
    people: people.map(({ evidence, ...person }) => ({ ...person, ...(evidence ? { evidence: [...evidence] } : {}) })),
    ...(cell === undefined
      ? {}
      : { field: fieldOf(cell), ours: ours ?? null, theirs: theirs ?? null, oursBy: oursBy ?? null }),
    choices: choices.map((choose) => ({ choose, meaning: CHOICES[choose] ?? '' })),
  }
}
