import type { AccessToken } from '../access.ts'

/**
 * The tokens of the admin API.
 *
 * @throws StoreUnavailableError from any method when the database cannot be reached
 */
export interface AccessStore {
  /** @returns false where a token that is not revoked has that name already */
  add(token: AccessToken, digest: string): Promise<boolean>
  /** The token and the digest of its secret; null where there is none of that id. */
  find(id: string): Promise<{ readonly token: AccessToken; readonly digest: string } | null>
  /** Newest first, those that are revoked or expired included. */
  list(): Promise<AccessToken[]>
  used(id: string, at_ms: number): Promise<void>
  /** @returns false where there is none of that id, or it was revoked before */
  revoke(id: string, at_ms: number, by: string): Promise<boolean>
  close(): Promise<void>
}
