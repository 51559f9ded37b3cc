import type {} from './globalSetup.ts'

export default async function teardown(): Promise<void> {
  await globalThis.kithTestRun?.stop()
}
