import { z } from 'zod'
import { layout, readJson, writeJson } from './place.ts'

/** What the owner of a data folder tells the others about its server. */
const NOTICE = z.object({
  state: z.enum(['starting', 'ready', 'stopped']),
  /** The owner's process id, and when this was written: for the reader's information, never to decide who is alive. */
  pid: z.number().int(),
  at_ms: z.number(),
  /** The port it has, or had last; 0 before the first. */
  port: z.number().int(),
})

export type Notice = z.infer<typeof NOTICE>

export async function readNotice(dataDir: string): Promise<Notice | null> {
  return readJson(layout(dataDir).notice, NOTICE)
}

export async function writeNotice(dataDir: string, news: Pick<Notice, 'state' | 'port'>): Promise<void> {
  await writeJson(layout(dataDir).notice, { ...news, pid: process.pid, at_ms: Date.now() })
}
