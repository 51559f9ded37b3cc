import { userInfo } from 'node:os'
import type { Context } from './context.ts'

/** Who an act is recorded for: as said, else KITH_OPERATOR, else the name that this process runs under. */
export function operatorOf(said: string | undefined, env: Context['env']): string {
  const named = (said ?? env['KITH_OPERATOR'] ?? '').trim()
  if (named !== '') return named
  try {
    return userInfo().username
  } catch {
    // A user without a name of its own, as in some containers.
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}
