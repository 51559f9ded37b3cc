import type { AccessToken, Role } from '../core/access.ts'
import type { AccessStore } from '../core/ports/access.ts'
import { Database } from './database.ts'

/** Every request of the admin API asks once; it must not wait behind the workers' statements. */
const POOL_SIZE = 2

const COLUMNS = 'id, name, role, digest, made_ms, made_by, expires_ms, used_ms, revoked_ms, revoked_by'
const ADD = {
  name: 'addAccess',
  text: `insert into kith.access_token (id, name, role, digest, made_ms, made_by, expires_ms)
values ($1, $2, $3, $4, $5, $6, $7) on conflict (name) where revoked_ms is null do nothing returning id`,
}
const FIND = { name: 'findAccess', text: `select ${COLUMNS} from kith.access_token where id = $1` }
const LIST = { name: 'listAccess', text: `select ${COLUMNS} from kith.access_token order by made_ms desc, id` }
const USED = {
  name: 'usedAccess',
  text: 'update kith.access_token set used_ms = $2 where id = $1 and coalesce(used_ms, 0) < $2::bigint',
}
const REVOKE = {
  name: 'revokeAccess',
  text: `update kith.access_token set revoked_ms = $2, revoked_by = $3
where id = $1 and revoked_ms is null returning id`,
}

/** The admin API's tokens in Postgres. The table is one of those of {@link openStore}, which comes first. */
export function openAccess(url: string): AccessStore {
  const database = new Database(url, POOL_SIZE)
  return {
    add: async ({ id, name, role, made_ms, madeBy, expires_ms }, digest) =>
      (await database.run(ADD, [id, name, role, digest, made_ms, madeBy, expires_ms])).rows.length > 0,
    find: async (id) => {
      const [row] = (await database.run(FIND, [id])).rows
      return row ? { token: tokenOf(row), digest: row['digest'] as string } : null
    },
    list: async () => (await database.run(LIST)).rows.map(tokenOf),
    used: async (id, at_ms) => void (await database.run(USED, [id, at_ms])),
    revoke: async (id, at_ms, by) => (await database.run(REVOKE, [id, at_ms, by])).rows.length > 0,
    close: () => database.close(),
  }
}

function tokenOf(row: { readonly [column: string]: unknown }): AccessToken {
  return {
    id: row['id'] as string,
    name: row['name'] as string,
    role: row['role'] as Role,
    made_ms: row['made_ms'] as number,
    madeBy: row['made_by'] as string,
    expires_ms: row['expires_ms'] as number | null,
    used_ms: row['used_ms'] as number | null,
    revoked_ms: row['revoked_ms'] as number | null,
    revokedBy: row['revoked_by'] as string | null,
  }
}
