import type { FailureError } from '../engine/core/failure.ts'

/** What a connector sends with its requests, where somebody signed in to the app rather than put a key into kith.yaml. */
export interface AccessToken {
  /** A bearer token. */
  readonly value: string
  /** What the app told when it handed the token out: where the account's API is, which account it is. No secret. */
  readonly account: { readonly [name: string]: string }
}

/**
 * The sign-in of one connection. Asked for at every request: it is a memory access as long as the token is good.
 *
 * @throws FailureError from every method: `auth` where somebody has to sign in (again), else what went wrong on the way
 */
export interface SignIn {
  /** A token that is good now; one that runs out soon is renewed first. */
  token(signal?: AbortSignal): Promise<AccessToken>
  /**
   * Another token in place of one that the app has just refused: the one that some other worker has renewed it to meanwhile, or
   * a new one. What the app then says of that one is final: see {@link SignIn.refusal}.
   */
  renewed(refused: string, signal?: AbortSignal): Promise<AccessToken>
  /** The failure of a request that was refused with a token just renewed. */
  refusal(): FailureError
}
