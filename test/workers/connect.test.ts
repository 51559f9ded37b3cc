import { expect, test } from '@jest/globals'
import type { App, ConnectContext } from '../../connectors/app.ts'
import { MemoryApp } from '../../connectors/memory/app.ts'
import { MemoryConnector } from '../../connectors/memory/index.ts'
import { Catalogue } from '../../engine/core/catalogue.ts'
import type { ConnectionConfig } from '../../config/types.ts'
import { phoneNormaliser } from '../../mappings/normalise.ts'
import { connect } from '../../workers/connect.ts'
import { NO_BRAKES } from '../support/rules.ts'

const config: ConnectionConfig = {
  name: 'crm',
  app: 'memory',
  options: {},
  account: 'memory:crm',
  mapping: null,
  mappingFile: null,
  direction: 'both',
  mode: 'live',
  include: null,
  deletes: 'unlink',
  create: true,
  poll_ms: 60_000,
  rate: null,
  brakes: NO_BRAKES,
}

async function contextOf(rate: ConnectionConfig['rate']): Promise<ConnectContext> {
  const seen: ConnectContext[] = []
  const app = {
    connect(_options: unknown, context: ConnectContext) {
      seen.push(context)
      return new MemoryConnector(new MemoryApp({ name: 'crm', now: () => 0 }))
    },
  } as unknown as App
  const catalogue = new Catalogue(phoneNormaliser(undefined))
  await connect(app, { ...config, rate }, catalogue, { connection: 'crm', baseDir: '/', now: () => 0 }, null)
  return seen[0] as ConnectContext
}

test('a rate in the config paces every request of the connection', async () => {
  expect((await contextOf(null)).pacer).toBeUndefined()
  const { pacer } = await contextOf({ requests: 2, per_ms: 80, share: 1 })
  const started_ms = performance.now()
  for (let request = 0; request < 5; request++) await pacer?.run(async () => undefined)
  // Two in each window of 80 ms: the fifth starts in the third window.
  expect(performance.now() - started_ms).toBeGreaterThanOrEqual(155)
})
