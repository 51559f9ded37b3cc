import { z } from 'zod'
import { accessState, ROLES, type AccessToken } from '../../engine/core/access.ts'
import { Time, timeOf, timeOrNull } from './common.ts'

export const RoleWord = z.enum(ROLES).describe('viewer: looks. operator: acts. admin: also what cannot be taken back.')

/** A token of the admin API, without its secret. */
export const AccessDocument = z
  .object({
    id: z.string(),
    name: z.string(),
    role: RoleWord,
    state: z.enum(['valid', 'expired', 'revoked']),
    made: Time,
    madeBy: z.string(),
    expires: Time.nullable(),
    used: Time.nullable().describe('When it was last used, to the minute.'),
    revoked: Time.nullable(),
    revokedBy: z.string().nullable(),
  })
  .meta({ id: 'Token' })

export function accessDocument(token: AccessToken, now_ms: number): z.infer<typeof AccessDocument> {
  const { id, name, role, made_ms, madeBy, expires_ms, used_ms, revoked_ms, revokedBy } = token
  return {
    id,
    name,
    role,
    state: accessState(token, now_ms),
    made: timeOf(made_ms),
    madeBy,
    expires: timeOrNull(expires_ms),
    used: timeOrNull(used_ms),
    revoked: timeOrNull(revoked_ms),
    revokedBy,
  }
}
