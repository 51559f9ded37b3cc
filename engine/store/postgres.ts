import type { Store } from '../core/ports/store.ts'
import { commit } from './commit.ts'
import * as connections from './connections.ts'
import { Database } from './database.ts'
import * as load from './load.ts'
import { migrate } from './migrate.ts'
import * as outbox from './outbox.ts'
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

    intents: (filter) => outbox.intents(database, filter),
    links: (filter) => reads.links(database, filter),
    conflicts: () => reads.conflicts(database),
    counts: () => reads.counts(database),
    searchPeople: (text, limit) => reads.searchPeople(database, text, limit),
    log: (filter) => reads.log(database, filter),
    acts: (filter) => reads.acts(database, filter),
    deliveries: (personId, limit) => reads.deliveries(database, personId, limit),
    prune: (before_ms) => reads.prune(database, before_ms),

    close: () => database.close(),
  }
}
