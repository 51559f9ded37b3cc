import type { z } from 'zod'

/** Where a page ended, as a text that means nothing to others. @param position plain data */
export function cursorOf(position: unknown): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url')
}

/** null for a text that no page has given. */
export function positionFrom<Position>(form: z.ZodType<Position>, cursor: string): Position | null {
  try {
    return form.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))
  } catch {
    return null
  }
}
