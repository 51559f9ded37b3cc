import type { App } from '../connectors/app.ts'
import { OAuth, type OAuthContext } from '../connectors/oauth.ts'
import type { OAuthPlan } from '../connectors/oauth-plan.ts'
import { StoredSignIn } from '../connectors/oauth-sign-in.ts'
import type { SignIn } from '../connectors/sign-in.ts'
import { readSecretKeys } from '../config/secret-key.ts'
import type { Config, ConnectionConfig } from '../config/types.ts'
import type { TokenStore } from '../engine/core/ports/tokens.ts'
import { Seal } from '../engine/store/seal.ts'
import { openTokenStore } from '../engine/store/tokens.ts'

/** How a connection signs in; null where its options hold a key of its own, or its app knows no OAuth. */
export function planOf(app: App, config: ConnectionConfig): OAuthPlan | null {
  return app.oauth?.(config.options) ?? null
}

/** The sign-ins of a config's connections, and where their tokens are kept. */
export class SignIns {
  readonly tokens: TokenStore
  readonly #unlock: () => Promise<Seal>
  readonly #known = new Map<string, SignIn>()

  constructor(
    databaseUrl: string,
    { baseDir }: Pick<Config, 'baseDir'>,
    env: { readonly [name: string]: string | undefined },
  ) {
    this.#unlock = async () => {
      const { key, old } = await readSecretKeys(env, baseDir)
      return new Seal(key, old)
    }
    this.tokens = openTokenStore(databaseUrl, this.#unlock)
  }

  /** What the connector of a connection is given; the same one for as long as the process lives. */
  of(app: App, config: ConnectionConfig): { readonly signIn?: SignIn } {
    const plan = planOf(app, config)
    if (!plan) return {}
    const known = this.#known.get(config.name)
    const signIn = known ?? new StoredSignIn(plan, this.tokens, contextOf(app, config))
    this.#known.set(config.name, signIn)
    return { signIn }
  }

  /** @throws FailureError where there is no key to seal with: better said before somebody has signed in than after */
  async checkKey(): Promise<void> {
    await this.#unlock()
  }
}

export function oauthOf(app: App, config: ConnectionConfig, plan: OAuthPlan): OAuth {
  return new OAuth(plan, contextOf(app, config))
}

function contextOf({ title }: App, { name }: ConnectionConfig): OAuthContext {
  return { connection: name, title, now: Date.now }
}
