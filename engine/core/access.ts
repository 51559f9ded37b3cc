/** What somebody may do over HTTP, each role all that the ones before may: look, act, and what cannot be taken back. */
export const ROLES = ['viewer', 'operator', 'admin'] as const

export type Role = (typeof ROLES)[number]

/** Whether somebody of one role may do what asks for another. */
export function mayDo(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed)
}

/** A token that lets a program or a person use the admin API. The secret itself is kept nowhere. */
export interface AccessToken {
  readonly id: string
  /** Who uses it: what it does is recorded under this name. One at a time has it. */
  readonly name: string
  readonly role: Role
  readonly made_ms: number
  readonly madeBy: string
  /** null: until it is revoked. */
  readonly expires_ms: number | null
  /** To the minute; null: never used. */
  readonly used_ms: number | null
  readonly revoked_ms: number | null
  readonly revokedBy: string | null
}

export type AccessState = 'valid' | 'expired' | 'revoked'

export function accessState({ expires_ms, revoked_ms }: AccessToken, now_ms: number): AccessState {
  if (revoked_ms !== null) return 'revoked'
  return expires_ms !== null && expires_ms <= now_ms ? 'expired' : 'valid'
}
