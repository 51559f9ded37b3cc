import type { Store } from '../core/ports/store.ts'
import { commit } from './commit.ts'
import * as connections from './connections.ts'
import { Database } from './database.ts'
import * as erasures from './erasures.ts'
import * as health from './health.ts'
import * as likely from './likely.ts'
import * as load from './load.ts'
import { migrate } from './migrate.ts'
import * as outbox from './outbox.ts'
import * as pauses from './pauses.ts'
import * as reads from './reads.ts'

/** Enough for two cores: more connections only wait for each other. */
const POOL_SIZE = 6

/**
 * The store in Postgres. Brings the database up to this code first.
 *
 * @param url `postgres://user:password@host:port/database`
 * @throws StoreUnavailableError when the database cannot be reached
 * @throws StoreFormatError when it is newer than this code, or not in UTF-8
 */
export async function openStore(url: string, options: { poolSize?: number } = {}): Promise<Store> {
  const database = new Database(url, options.poolSize ?? POOL_SIZE)
  try {
    await migrate(database.pool)
  } catch (error) {
    await database.close()
    throw error
  }
  return {
    ensureConnections: (wanted) => connections.ensureConnections(database, wanted),
    connections: () => connections.connections(database),
    startPass: (connection) => connections.startPass(database, connection),
    resetCursor: (connection) => connections.resetCursor(database, connection),
    saveConnection: (connection, patch) => connections.saveConnection(database, connection, patch),
    getFact: (name) => connections.getFact(database, name),
    setFact: (name, value) => connections.setFact(database, name, value),

    loadRecords: (connection, recordIds) => load.loadRecords(database, connection, recordIds),
    loadPeople: (personIds) => load.loadPeople(database, personIds),
    known: (connection, recordIds) => load.known(database, connection, recordIds),
    knownIds: (connection) => reads.knownIds(database, connection),

    staged: (limit, after) => load.staged(database, limit, after),
    rechecks: (limit) => load.rechecks(database, limit),
    keyHolders: (keys) => load.keyHolders(database, keys),
    consents: (keys) => load.consents(database, keys),
    unplanned: (limit) => reads.unplanned(database, limit),
    replanAll: () => reads.replanAll(database),

    commit: (facts) => commit(database, facts),

    beginPause: (connection, pause, act) => pauses.beginPause(database, connection, pause, act),
    settlePause: (connection, id, now_ms) => pauses.settlePause(database, connection, id, now_ms),
    endPause: (connection, id) => pauses.endPause(database, connection, id),
    kept: (connection, recordIds) => pauses.kept(database, connection, recordIds),
    keptCount: (connection) => pauses.keptCount(database, connection),
    baseline: (connection) => pauses.baseline(database, connection),

    claim: (connection, limit, now_ms, leaseEnd_ms) => outbox.claim(database, connection, limit, now_ms, leaseEnd_ms),
    claimExpired: (connection, limit, now_ms, leaseEnd_ms) =>
      outbox.claimExpired(database, connection, limit, now_ms, leaseEnd_ms),
    expireLeases: (connections) => outbox.expireLeases(database, connections),
    due: (now_ms) => outbox.due(database, now_ms),
    brakeCounts: (connection, since_ms) => outbox.brakeCounts(database, connection, since_ms),
    hold: (filter, reason) => outbox.hold(database, filter, reason),
    release: (filter, reason) => outbox.release(database, filter, reason),
    retryParked: (filter) => outbox.retryParked(database, filter),
    dropParked: (filter) => outbox.dropParked(database, filter),

    intents: (filter, after) => outbox.intents(database, filter, after),
    links: (filter) => reads.links(database, filter),
    conflicts: () => reads.conflicts(database),
    counts: () => reads.counts(database),
    healthCounts: () => health.healthCounts(database),
    livePeople: (filter) => health.livePeople(database, filter),
    searchPeople: (text, limit) => reads.searchPeople(database, text, limit),
    log: (filter) => reads.log(database, filter),
    oldestLog: () => reads.oldestLog(database),
    acts: (filter) => reads.acts(database, filter),
    apart: (subjects) => likely.apart(database, subjects),
    likelyPairs: (limit, block_max) => likely.likelyPairs(database, limit, block_max),
    absorbed: (people) => erasures.absorbed(database, people),
    barred: (keys) => erasures.barred(database, keys),
    barredBy: (erasure) => erasures.barredBy(database, erasure),
    fingerprints: (texts) => erasures.fingerprints(database, texts),
    erasures: (filter) => erasures.erasures(database, filter),
    waive: (erasure, connection, waiver) => erasures.waive(database, erasure, connection, waiver),
    holdings: (people) => erasures.holdings(database, people),
    purge: (erasure, certificate, texts) => erasures.purge(database, erasure, certificate, texts),
    liftErasure: (erasure, waiver) => erasures.liftErasure(database, erasure, waiver),
    deliveries: (personId, limit) => reads.deliveries(database, personId, limit),
    prune: (before_ms) => reads.prune(database, before_ms),

    close: () => database.close(),
  }
}
