import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { accessState, type AccessToken, type Role } from '../engine/core/access.ts'
import type { AccessStore } from '../engine/core/ports/access.ts'
import { ActRefusedError, record } from './acts.ts'
import type { Runtime } from './runtime.ts'

/** What an act on tokens needs: no app, and no queue. */
export type AccessDesk = Pick<Runtime, 'store' | 'now' | 'newId'> & { readonly access: AccessStore }

export interface AccessWish {
  /** What is done with the token is recorded under this name. */
  readonly name: string
  readonly role: Role
  readonly expires_ms: number | null
  readonly by: string
  readonly why: string
}

/** Bytes of a secret: nobody guesses it, so its digest needs no salt and no slow hash. */
const SECRET_BYTES = 32
/** So that scanners of leaked secrets know one when they see it. */
const PREFIX = 'kith'
/** A used token is noted down no more often than this. */
const USED_EVERY_MS = 60_000

/**
 * Makes a token.
 * @returns the secret too, which is told this once and kept nowhere
 * @throws ActRefusedError where another token has that name
 */
export async function grantAccess(
  desk: AccessDesk,
  { name, role, expires_ms, by, why }: AccessWish,
): Promise<{ readonly token: AccessToken; readonly secret: string }> {
  const [id, made_ms] = [desk.newId(), desk.now()]
  if (expires_ms !== null && expires_ms <= made_ms) throw new ActRefusedError('the token would have expired already')
  const token = { id, name, role, made_ms, madeBy: by, expires_ms, used_ms: null, revoked_ms: null, revokedBy: null }
  const secret = `${PREFIX}_${id}_${randomBytes(SECRET_BYTES).toString('base64url')}`
  if (!(await desk.access.add(token, digestOf(secret)))) {
    throw new ActRefusedError(`there is a token named ${name} already: revoke it first, or choose another name`)
  }
  await record(desk, { by, why, kind: 'token', about: { token: id, name, role, made: true } })
  return { token, secret }
}

/**
 * Revokes a token: the next request with it is refused.
 * @throws ActRefusedError where there is no such token in use
 */
export async function revokeAccess(
  desk: AccessDesk,
  { name, by, why }: Pick<AccessWish, 'name' | 'by' | 'why'>,
): Promise<AccessToken> {
  const token = (await desk.access.list()).find((one) => one.revoked_ms === null && one.name === name)
  const now_ms = desk.now()
  if (!token || !(await desk.access.revoke(token.id, now_ms, by))) {
    throw new ActRefusedError(`there is no token named ${name} to be revoked`)
  }
  await record(desk, { by, why, kind: 'token', about: { token: token.id, name, role: token.role, made: false } })
  return { ...token, revoked_ms: now_ms, revokedBy: by }
}

export type AccessAnswer =
  | { readonly kind: 'granted'; readonly token: AccessToken }
  | { readonly kind: 'refused'; readonly why: 'unknown' | 'expired' | 'revoked' }

/** Judges what came with a request. Says nothing of a token to somebody who does not have its secret. */
export async function checkAccess(access: AccessStore, secret: string, now_ms: number): Promise<AccessAnswer> {
  const [prefix, id = '', ...rest] = secret.split('_')
  const found = prefix === PREFIX && rest.length > 0 ? await access.find(id) : null
  if (!found || !timingSafeEqual(Buffer.from(found.digest), Buffer.from(digestOf(secret)))) {
    return { kind: 'refused', why: 'unknown' }
  }
  const { token } = found
  const state = accessState(token, now_ms)
  if (state !== 'valid') return { kind: 'refused', why: state }
  if (now_ms - (token.used_ms ?? 0) >= USED_EVERY_MS) await access.used(token.id, now_ms)
  return { kind: 'granted', token }
}

function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
