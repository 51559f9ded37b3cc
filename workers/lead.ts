import { hostname } from 'node:os'
import { z } from 'zod'
import type { Json } from '../engine/core/json.ts'
import { StoreUnavailableError } from '../engine/core/ports/store.ts'
import { holdLeadLock } from '../engine/store/locks.ts'
import type { Household } from './household.ts'

/** Who is at work on a household's data: one process at a time reads and sends, workers beside it not counted. */
export interface Leader {
  /** The command it was started with: `start`, `demo`, `sync`, `plan`, `approve`. */
  readonly command: string
  readonly pid: number
  readonly host: string
  readonly since_ms: number
}

/** Whether it stays at work, and sends by itself whatever is let go; others come to their end. */
export function staysAtWork({ command }: Leader): boolean {
  return command === 'start' || command === 'demo'
}

const LEADER = 'leader'

const leaderSchema = z.object({ command: z.string(), pid: z.number(), host: z.string(), since_ms: z.number() })

export type LeadTaken =
  | { readonly kind: 'ours'; readonly release: () => Promise<void> }
  /** Another process leads; who it is may not be known yet. */
  | { readonly kind: 'theirs'; readonly leader: Leader | null }

/**
 * Takes the lead, unless another process has it. It ends with the process, however that ends.
 *
 * @param onLost called once when the lead is lost: the database connection that held it broke
 * @throws StoreUnavailableError
 */
export async function takeLead(household: Household, command: string, onLost = (): void => {}): Promise<LeadTaken> {
  const release = await lock(household.databaseUrl, onLost)
  if (!release) return { kind: 'theirs', leader: await leaderOf(household) }
  const leader: Leader = { command, pid: process.pid, host: hostname(), since_ms: Date.now() }
  await household.store.setFact(LEADER, leader as unknown as Json)
  return { kind: 'ours', release }
}

/** Whether a process leads at this moment, and which. */
export async function currentLeader(household: Household): Promise<Leader | 'unknown' | null> {
  const release = await lock(household.databaseUrl, () => {})
  if (!release) return (await leaderOf(household)) ?? 'unknown'
  await release()
  return null
}

async function leaderOf({ store }: Household): Promise<Leader | null> {
  return leaderSchema.safeParse(await store.getFact(LEADER)).data ?? null
}

async function lock(url: string, onLost: () => void): Promise<(() => Promise<void>) | null> {
  try {
    return await holdLeadLock(url, onLost)
  } catch (error) {
    throw new StoreUnavailableError('the database cannot be reached', { cause: error })
  }
}
