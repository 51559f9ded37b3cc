import {
  startHubSpotSimulator,
  type HubSpotSimulator,
  type SimulatorOptions,
} from '../../connectors/hubspot/simulator.ts'
import { AuthorizationServer } from './authorization-server.ts'

/** Behind the sign-in: what the simulator wants, and nobody else is told. */
const INSIDE = 'inside-token'

export const CLIENT = { clientId: 'kith-app', clientSecret: 'app-secret-of-the-test' }
export const PORTAL = 62515

/** A HubSpot account that people sign in to: HubSpot's own paths and answers before the simulator of its API. */
export interface SignedInAccount {
  readonly simulator: HubSpotSimulator
  readonly server: AuthorizationServer
  /** The account that is signed in to from now on. */
  portal: number
  close(): Promise<void>
}

export async function startHubSpotAccount(
  redirectUrls: readonly string[] | null,
  options: Partial<SimulatorOptions> = {},
): Promise<SignedInAccount> {
  const simulator = await startHubSpotSimulator({ token: INSIDE, ...options })
  const account = { portal: PORTAL }
  const server = await AuthorizationServer.start({
    ...CLIENT,
    redirectUrls,
    paths: {
      authorize: '/oauth/authorize',
      token: '/oauth/2026-03/token',
      revoke: '/oauth/2026-03/token/revoke',
    },
    shape: ({ scope, ...standard }) => ({
      ...standard,
      token_type: 'bearer',
      hub_id: account.portal,
      scopes: String(scope).split(' '),
      user_id: 7,
    }),
    behind: { url: simulator.url, authorization: `Bearer ${INSIDE}` },
  })
  return Object.assign(account, {
    simulator,
    server,
    close: async () => {
      await server.close()
      await simulator.close()
    },
  })
}
