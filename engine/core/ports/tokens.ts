/** What an app handed out when somebody signed in there for a connection. All of it is secret but `scopes` and `account`. */
export interface Tokens {
  /** Goes with every request. */
  readonly access: string
  /** When the access token runs out; null where the app sets no end. */
  readonly accessEnds_ms: number | null
  /** Exchanged for new tokens; null where the app has none. Many apps take it once only, and hand out the next one with it. */
  readonly refresh: string | null
  readonly issued_ms: number
  /** The client they were issued to: a config that names another one needs another sign-in. */
  readonly clientId: string
  /** What the app says was granted; null where it does not say. */
  readonly scopes: readonly string[] | null
  /** What the app told along with them: `id`, which account it is; and where its API is. No secret. */
  readonly account: { readonly [name: string]: string }
}

/**
 * Where the tokens of connections are kept: sealed, so that whoever reads the database cannot use them.
 *
 * @throws FailureError (`auth`) from every method where the key is absent, or is not the one they were sealed with
 * @throws StoreUnavailableError from every method
 */
export interface TokenStore {
  /** The tokens of a connection, or null where nobody has signed in. */
  load(connection: string): Promise<Tokens | null>

  /**
   * Changes the tokens of a connection, one at a time over all processes: whoever comes second is given what the first one
   * made. What `decide` returns is kept before this resolves, and is then what everybody gets. When it throws, all stays as it was. When what it returned could not be kept, this throws, and it is the caller's to try again.
   */
  change(connection: string, decide: (kept: Tokens | null) => Promise<Tokens>): Promise<Tokens>

  /** Puts other tokens in the place of whatever is kept, readable or not; null keeps none. */
  put(connection: string, tokens: Tokens | null): Promise<void>
}
