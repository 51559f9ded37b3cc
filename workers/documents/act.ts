import { z } from 'zod'
import type { Act } from '../../engine/core/act.ts'
import { Time, timeOf } from './common.ts'

/** What an operator did. */
export const ActDocument = z
  .object({
    id: z.string().describe('Names it to undo.'),
    at: Time,
    by: z.string(),
    why: z.string(),
    kind: z.string(),
    about: z.record(z.string(), z.unknown()).describe('What it was about, by kind of act.'),
  })
  .meta({ id: 'Act' })

export function actDocument({ id, at_ms, by, why, kind, about }: Act): z.infer<typeof ActDocument> {
  return { id, at: timeOf(at_ms), by, why, kind, about }
}
