import { FailureError } from '../engine/core/failure.ts'
import { StoreUnavailableError } from '../engine/core/ports/store.ts'
import type { Tokens, TokenStore } from '../engine/core/ports/tokens.ts'
import { adviceToConnect, OAuth, type OAuthContext } from './oauth.ts'
import type { OAuthPlan } from './oauth-plan.ts'
import type { AccessToken, SignIn } from './sign-in.ts'

/** A token is renewed so long before it runs out, or in the last quarter of its life where that is shorter. */
const EARLY_MS = 120_000
/** A refresh token that was refused is not sent again for so long: asking more often changes nothing. */
const REFUSED_MS = 10 * 60_000

/**
 * Keeps the sign-in of one connection going, by the tokens in the store. Whoever renews them does so alone, over all processes,
 * and what it got is in the store before anybody uses it: an app that takes a refresh token only once has then taken the old
 * one, and the new one is the only way on.
 */
export class StoredSignIn implements SignIn {
  readonly #plan: OAuthPlan
  readonly #context: OAuthContext
  readonly #oauth: OAuth
  readonly #store: TokenStore
  #tokens: Tokens | null = null
  /** One renewal for all who wait in this process. */
  #underWay: Promise<Tokens> | null = null
  /** Tokens that the app has handed out and that could not be kept yet, and those they take the place of. */
  #unkept: { readonly before: Tokens | null; readonly after: Tokens } | null = null
  #refused: { readonly refresh: string; readonly until_ms: number; readonly error: FailureError } | null = null

  constructor(plan: OAuthPlan, store: TokenStore, context: OAuthContext) {
    this.#plan = plan
    this.#store = store
    this.#context = context
    this.#oauth = new OAuth(plan, context)
  }

  async token(signal?: AbortSignal): Promise<AccessToken> {
    if (this.#tokens && !this.#endsSoon(this.#tokens)) return accessOf(this.#tokens)
    try {
      return accessOf(await this.#shared(null, signal))
    } catch (error) {
      // What could not be renewed early is good for a while yet.
      const kind = error instanceof FailureError ? error.failure.kind : undefined
      if (this.#tokens && !this.#hasEnded(this.#tokens) && (kind === 'transient' || kind === 'ratelimited')) {
        return accessOf(this.#tokens)
      }
      throw error
    }
  }

  async renewed(refused: string, signal?: AbortSignal): Promise<AccessToken> {
    if (this.#tokens && this.#tokens.access !== refused && !this.#hasEnded(this.#tokens)) return accessOf(this.#tokens)
    const tokens = await this.#shared(refused, signal)
    // The renewal that was under way may have begun before this token was known to be refused.
    return accessOf(tokens.access === refused ? await this.#shared(refused, signal) : tokens)
  }

  refusal(): FailureError {
    return this.#oauth.ended('the app refuses a token that it has just handed out', '401')
  }

  /** A renewal is not ended by one of those who wait for it: the others still do, and half a renewal loses the sign-in. */
  async #shared(refused: string | null, signal: AbortSignal | undefined): Promise<Tokens> {
    this.#underWay ??= this.#renew(refused).finally(() => (this.#underWay = null))
    const renewal = this.#underWay
    if (!signal) return await renewal
    if (signal.aborted) throw stopped()
    const ending = Promise.withResolvers<never>()
    const stop = (): void => ending.reject(stopped())
    signal.addEventListener('abort', stop, { once: true })
    try {
      return await Promise.race([renewal, ending.promise])
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  async #renew(refused: string | null): Promise<Tokens> {
    const { connection } = this.#context
    try {
      // Mostly somebody else has renewed it already, or nobody has asked yet in this process.
      const kept = await this.#store.load(connection)
      if (kept && kept.access !== refused && kept.clientId === this.#plan.clientId) this.#tokens = kept
      if (kept && !this.#unkept && this.#isGood(kept, refused)) return kept
      const tokens = await this.#store.change(connection, async (before) => {
        const after = await this.#decide(before, refused)
        if (after !== before) this.#unkept = { before, after }
        return after
      })
      this.#unkept = null
      this.#refused = null
      return (this.#tokens = tokens)
    } catch (error) {
      throw error instanceof StoreUnavailableError ? storeGone() : error
    }
  }

  async #decide(before: Tokens | null, refused: string | null): Promise<Tokens> {
    const unkept = this.#unkept
    if (unkept && unkept.before?.access === before?.access && this.#isGood(unkept.after, refused)) return unkept.after
    if (before && this.#isGood(before, refused)) return before
    if (this.#plan.grant === 'client') return await this.#oauth.byClient()
    if (!before) throw this.#nobody()
    if (before.clientId !== this.#plan.clientId) throw this.#otherClient()
    // The refresh token that belongs to tokens not kept yet is the newer one.
    const newest = unkept && unkept.before?.access === before.access ? unkept.after : before
    if (newest.refresh === null) throw this.#oauth.ended('it was withdrawn in the app, or has run out')
    if (this.#refused?.refresh === newest.refresh && this.#context.now() < this.#refused.until_ms) {
      throw this.#refused.error
    }
    try {
      return await this.#oauth.refresh(newest)
    } catch (error) {
      if (error instanceof FailureError && error.failure.kind === 'auth') {
        this.#refused = { refresh: newest.refresh, until_ms: this.#context.now() + REFUSED_MS, error }
      }
      throw error
    }
  }

  #isGood(tokens: Tokens, refused: string | null): boolean {
    return tokens.access !== refused && tokens.clientId === this.#plan.clientId && !this.#endsSoon(tokens)
  }

  #endsSoon({ accessEnds_ms, issued_ms }: Tokens): boolean {
    if (accessEnds_ms === null) return false
    return this.#context.now() >= accessEnds_ms - Math.min(EARLY_MS, (accessEnds_ms - issued_ms) / 4)
  }

  #hasEnded({ accessEnds_ms }: Tokens): boolean {
    return accessEnds_ms !== null && this.#context.now() >= accessEnds_ms
  }

  #nobody(): FailureError {
    const { connection, title } = this.#context
    return new FailureError({
      kind: 'auth',
      code: 'SIGN-IN',
      message: `Nobody has signed in to ${title} yet`,
      advice: `Sign in with: kith connect ${connection}`,
    })
  }

  #otherClient(): FailureError {
    const { connection, title } = this.#context
    return new FailureError({
      kind: 'auth',
      code: 'SIGN-IN',
      message: `The sign-in to ${title} was made with another clientId than the one in kith.yaml`,
      advice: adviceToConnect(connection),
    })
  }
}

function accessOf({ access, account }: Tokens): AccessToken {
  return { value: access, account }
}

function stopped(): FailureError {
  return new FailureError({ kind: 'transient', code: 'STOPPED', message: 'Stopped while the sign-in was renewed' })
}

function storeGone(): FailureError {
  return new FailureError({
    kind: 'transient',
    code: 'STORE',
    message: 'The database that keeps the sign-in cannot be reached',
  })
}
