import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { DatabaseError } from './errors.ts'

const run = promisify(execFile)

/** The operating system's account that Postgres runs as; null means our own. */
export type Account = { readonly name: string; readonly uid: number; readonly gid: number } | null

export function amRoot(): boolean {
  return process.getuid?.() === 0
}

/** Process options that start a child as the account. */
export function credentials(account: Account): { uid?: number; gid?: number } {
  return account === null ? {} : { uid: account.uid, gid: account.gid }
}

/**
 * What Postgres' programs see of our environment: nothing that could bend them (`PGDATA`, `PGPORT`, `PGOPTIONS`, a locale),
 * and no secret.
 */
export function environment(): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }
}

/**
 * Postgres refuses to run as root, so root lends it an account: the one that owns the cluster already, else `postgres`,
 * else `nobody`. Kith makes no account of its own: changing the host's users is not ours to do.
 */
export async function chooseAccount(cluster: string): Promise<Account> {
  if (!amRoot()) return null
  const owner = await stat(cluster).catch(() => null)
  if (owner !== null && owner.uid !== 0) return { name: `uid ${owner.uid}`, uid: owner.uid, gid: owner.gid }
  for (const name of ['postgres', 'nobody']) {
    const ids = await Promise.all([id('-u', name), id('-g', name)])
    if (ids[0] !== null && ids[1] !== null && ids[0] !== 0) return { name, uid: ids[0], gid: ids[1] }
  }
  throw new DatabaseError(
    'Kith runs as root, which Postgres refuses, and this host has no account named postgres or nobody to lend it. ' +
      'Make one (useradd --system postgres), or start Kith as an ordinary user, or name a Postgres with DATABASE_URL.',
  )
}

async function id(flag: string, name: string): Promise<number | null> {
  const printed = await run('id', [flag, name]).catch(() => null)
  const number = Number.parseInt(printed?.stdout ?? '', 10)
  return Number.isNaN(number) ? null : number
}

/** Whether the account can enter or execute each of the paths: the kernel's own word, since parents and ACLs count too. */
export async function canReach(account: Account, ...paths: string[]): Promise<boolean> {
  const script = 'for path; do test -x "$path" || exit 1; done'
  return run('/bin/sh', ['-c', script, 'sh', ...paths], {
    ...credentials(account),
    cwd: '/',
    env: environment(),
  }).then(
    () => true,
    () => false,
  )
}
