import type { Daemon } from './daemon.ts'

const LOOK_MS = 50

/**
 * Has a connection read once more, beside all else that a daemon does, so that what people did there a moment ago is known.
 * @returns whether it was read within the time; what is known without it is simply older
 */
export async function readNow(daemon: Daemon, connection: string, wait_ms: number): Promise<boolean> {
  const { store, now } = daemon.runtime
  const lastRead_ms = async (): Promise<number> =>
    (await store.connections()).find(({ name }) => name === connection)?.lastRead_ms ?? 0
  const begun_ms = now()
  await daemon.wakePull(connection)
  while (now() - begun_ms < wait_ms) {
    if ((await lastRead_ms()) >= begun_ms) return true
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
  return false
}
