import { test } from '@jest/globals'
import { failureFrom } from '../../engine/core/failure.ts'
import type { Capabilities } from '../../engine/core/ports/connector.ts'
import { googlePerson, peopleApi, sampleContact, SECRETS, seen, startAccount } from '../support/google.ts'
import { FAULTS, type World } from './harness.ts'
import { describeConnector } from './suite.ts'

const CAPABILITIES: Capabilities = {
  deletes: 'feed',
  hints: false,
  createKey: 'search',
  precondition: true,
  times: 'record',
  readBatch_max: 200,
  writeBatch_max: 200,
  writes_concurrent_max: 1,
  archive: false,
  create: true,
  delete: true,
}

const MINUTE_MS = 60_000

/** @param lag_ms how long listings take to show a change */
async function start(lag_ms: number): Promise<World> {
  const account = await startAccount(lag_ms, lag_ms === 0 ? { propagation_ms: 0 } : {})
  const { simulator, connector } = account
  const { book, faults } = simulator
  const find = connector.find.bind(connector)
  // As the engine does: what cannot be told yet is asked again later.
  connector.find = async (create, signal) => {
    try {
      return await find(create, signal)
    } catch (error) {
      if (failureFrom(error).code !== 'TOO-EARLY') throw error
      account.pass(20 * MINUTE_MS)
      return await find(create, signal)
    }
  }
  const good = { ...faults }
  return {
    connector,
    human: {
      add: (fields) => book.add(googlePerson(fields)),
      edit: (id, fields) => book.edit(id, googlePerson(fields)),
      remove: (id) => book.remove(id),
      merge: (loser, winner) => {
        book.join(loser, winner)
        return winner
      },
      list: () => book.all().map(({ name, state }) => ({ id: name, fields: seen(state ?? {}) })),
    },
    faults: {
      loseNextAnswer: () => void (faults.lostAnswers = 1),
      rateLimit: (retryAfter_ms) => {
        const retry = retryAfter_ms === undefined ? {} : { retryAfter: String(retryAfter_ms / 1000) }
        faults.fail = { http: 429, status: 'RESOURCE_EXHAUSTED', reason: 'RATE_LIMIT_EXCEEDED', times: 1, ...retry }
      },
      serverError: () => void (faults.fail = { http: 500, status: 'INTERNAL', times: 1 }),
      partialFailure: () => void (faults.partialFailure = true),
      refuseCredentials: () => void (faults.signedOut = true),
      expireCursor: () => simulator.expireSyncTokens(),
      truncateListing: () => void (faults.cutListings = 1),
      breakRecord: (id) => book.break(id),
    },
    clear: () => {
      // A refresh token that was refused is not sent again at once.
      if (faults.signedOut) account.pass(11 * MINUTE_MS)
      Object.assign(faults, good)
    },
    settle: () => account.pass(lag_ms === 0 ? 0 : 20 * MINUTE_MS),
    calls: () => simulator.exchanges.length,
    stop: () => account.stop(),
  }
}

const ACCOUNTS: readonly (readonly [string, number])[] = [
  ['at once', 0],
  ['listings five minutes behind', 5 * MINUTE_MS],
]

for (const [name, lag_ms] of ACCOUNTS) {
  describeConnector(`google (${name})`, {
    capabilities: CAPABILITIES,
    faults: FAULTS,
    start: () => start(lag_ms),
    sample: sampleContact,
    editable: 'biographies',
    bystander: 'nicknames',
    multiline: 'biographies',
    refused: () => ({ ...sampleContact(1), biographies: 'much too long '.repeat(10_000) }),
    merges: true,
    many: 250,
    secrets: SECRETS,
  })
}

if (!peopleApi) {
  // oxlint-disable-next-line jest/no-disabled-tests, jest/expect-expect
  test.skip("google traffic against Google's own description [shared/specs/google is not there]", () => undefined)
}
