import type { Household } from './household.ts'

/** What the data standard did with values that were heard at a connection. */
export interface DoorCounts {
  readonly fix: number
  readonly warn: number
  readonly hold: number
}

const DAY_MS = 86_400_000

/** What the data standard did in the last day, connection by connection; none where the config asks for nothing. */
export async function standardTallies(
  { config, store }: Pick<Household, 'config' | 'store'>,
  now_ms: number,
): Promise<Map<string, DoorCounts>> {
  const doors = new Map<string, DoorCounts>()
  if (config.standard.length === 0) return doors
  for (const { name } of config.connections) {
    const { tallied } = await store.brakeCounts(name, now_ms - DAY_MS)
    const of = (action: string): number => tallied[`standard:${action}`] ?? 0
    doors.set(name, { fix: of('fix'), warn: of('warn'), hold: of('hold') })
  }
  return doors
}
