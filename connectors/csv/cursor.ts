import { z } from 'zod'
import type { Json } from '../../engine/core/json.ts'

/** Where a pull stands: which state of the file was read, and what is remembered of it. */
const cursor = z.object({
  v: z.literal(1),
  /** The state of the file; null where there was none yet. */
  file: z
    .object({
      size: z.number(),
      mtime_ns: z.string(),
      ino: z.string(),
      /** Fingerprint of the bytes. */
      hash: z.string(),
      /** The file was saved so shortly before it was read that its time alone cannot show another save. */
      racy: z.boolean(),
      /** Whether the header had the key column. */
      keyed: z.boolean(),
    })
    .nullable(),
  /** The options that the reading depends on. */
  reading: z.string(),
  /** The rows without a key; see identity.ts. */
  keyless: z.array(z.string()),
})

export type Cursor = z.output<typeof cursor>

/** A cursor from the store; undefined for one of another version, which means that everything is read anew. */
export function cursorFrom(stored: Json | null): Cursor | undefined {
  const parsed = cursor.safeParse(stored)
  return parsed.success ? parsed.data : undefined
}
