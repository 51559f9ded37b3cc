import { expect, test } from '@jest/globals'
import { memory } from '../../connectors/memory/index.ts'
import { memoryHarness } from './memory.ts'
import { describeConnector } from './suite.ts'

describeConnector('memory (a good API)', memoryHarness({}))
describeConnector(
  'memory (a folder: inventory, no hints)',
  memoryHarness({ deletes: 'inventory', times: 'none', writeBatch_max: 1 }),
)
describeConnector('memory (an address book: hints, one write each)', memoryHarness({ hints: true, writeBatch_max: 1 }))
describeConnector(
  'memory (a CRM: no precondition, search, merges with new ids, unique e-mails, rewriting, lag)',
  memoryHarness({
    createKey: 'search',
    precondition: false,
    times: 'field',
    hints: true,
    mergeInto: 'new',
    uniqueEmails: true,
    archive: true,
    erase: true,
    rewrite: { trim: true, emails: 'lower', tags: 'lower', phones: 'grouped', noteLength_max: 200 },
    feedLag: { calls: 6, time_ms: 5000 },
    searchLag: { calls: 3, time_ms: 2000 },
    clockSkew_ms: -90_000,
  }),
)
describeConnector(
  'memory (a sheet: inventory, no revisions at all)',
  memoryHarness({ deletes: 'inventory', revisions: false, precondition: false, times: 'none' }),
)
describeConnector(
  'memory (hints in an inventory, search, small batches)',
  memoryHarness({ deletes: 'inventory', hints: true, createKey: 'search', readBatch_max: 3, writeBatch_max: 4 }),
)

test('a connection to a memory app that is not there says what to do', () => {
  const connect = () => memory.connect({ name: 'nobody' }, { connection: 'crm', baseDir: '.', now: () => 0 })
  expect(connect).toThrow('no memory app named nobody')
})
