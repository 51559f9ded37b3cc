import type { Link, LinkState } from './ports/store.ts'

/** What is known of a record before it says anything: where it is, and its id. */
export function blankLink(connection: string, recordId: string, state: LinkState): Link {
  return {
    connection,
    recordId,
    personId: null,
    state,
    fields: {},
    rev: null,
    base_ms: {},
    rewrites: {},
    keys: [],
    recheck: false,
    version: 0,
  }
}
