import type { App } from '../connectors/app.ts'
import type { OAuth } from '../connectors/oauth.ts'
import { REDIRECT_URL, type OAuthPlan } from '../connectors/oauth-plan.ts'
import type { ConnectionConfig } from '../config/types.ts'
import { adviceFor, FailureError, failureFrom, type Failure } from '../engine/core/failure.ts'
import type { Tokens } from '../engine/core/ports/tokens.ts'
import type { Household } from './household.ts'
import { listen } from './loopback.ts'
import { oauthOf, planOf } from './sign-ins.ts'

/** Who signs in, and how they are spoken to. */
export interface Operator {
  /** Shows the address to sign in at. `waitsAt`: where the browser's return is waited for; null where it is to be pasted. */
  show(url: string, waitsAt: string | null): Promise<void>
  /** Asks for the address that the browser ended at; without it, the browser's return is waited for on this machine. */
  pasted?(): Promise<string>
}

/** What came of it. No secret. */
export interface SignedIn {
  readonly connection: string
  readonly app: string
  /** The product's name. */
  readonly title: string
  readonly account: Tokens['account']
  /** What was granted; null where the app does not say. */
  readonly scopes: readonly string[] | null
  readonly accessEnds_ms: number | null
  /** Whether Kith can renew it without anybody. */
  readonly renews: boolean
}

/** How long somebody may take over it. */
const PATIENCE_MS = 15 * 60_000

/**
 * Signs a connection in to its app, and keeps the tokens. Works beside a running daemon, which goes on with them at its next
 * reading.
 * @throws FailureError
 */
export async function signIn(
  household: Household,
  name: string,
  operator: Operator,
  signal: AbortSignal,
): Promise<SignedIn> {
  const { app, config, plan } = subjectOf(household, name)
  await household.signIns.checkKey()
  const oauth = oauthOf(app, config, plan)
  const keep = async (tokens: Tokens): Promise<Tokens> => {
    await refuseOtherAccount(household, app, name, tokens)
    await household.signIns.tokens.put(name, tokens)
    return tokens
  }
  const tokens =
    plan.grant === 'client'
      ? await keep(await oauth.byClient(signal))
      : await byBrowser(oauth, plan, name, operator, keep, signal)
  if (tokens.account['id'] !== undefined) await household.store.setFact(accountFact(name), tokens.account['id'])
  await speakOf(household, name, null)
  return {
    connection: name,
    app: app.name,
    title: app.title,
    account: tokens.account,
    scopes: tokens.scopes,
    accessEnds_ms: tokens.accessEnds_ms,
    renews: plan.grant === 'client' || tokens.refresh !== null || tokens.accessEnds_ms === null,
  }
}

export interface Forgotten {
  readonly connection: string
  /** Whether there was anything to forget. */
  readonly wasSignedIn: boolean
  /** Whether the app has ended the sign-in on its side. */
  readonly endedThere: boolean
  /** Why it has not. */
  readonly failure: Failure | null
}

/** Ends a sign-in at the app, as far as it lets us, and forgets the tokens in any case. The connection stops. */
export async function forget(household: Household, name: string, signal: AbortSignal): Promise<Forgotten> {
  const { app, config, plan } = subjectOf(household, name)
  let failure: Failure | null = null
  let endedThere = false
  let wasSignedIn = true
  try {
    const tokens = await household.signIns.tokens.load(name)
    wasSignedIn = tokens !== null
    if (tokens) endedThere = await oauthOf(app, config, plan).revoke(tokens, signal)
  } catch (error) {
    if (!(error instanceof FailureError)) throw error
    failure = error.failure
  }
  await household.signIns.tokens.put(name, null)
  if (wasSignedIn) {
    await speakOf(household, name, {
      kind: 'auth',
      code: 'SIGN-IN',
      message: `The sign-in to ${app.title} was forgotten`,
      advice: `Sign in with: kith connect ${name}`,
    })
  }
  return { connection: name, wasSignedIn, endedThere, failure }
}

function subjectOf(household: Household, name: string): { app: App; config: ConnectionConfig; plan: OAuthPlan } {
  const config = household.config.connections.find((item) => item.name === name)
  if (!config) {
    const names = household.config.connections.map((item) => item.name).join(', ')
    throw new FailureError({
      kind: 'permanent',
      message: `There is no connection named ${name} in kith.yaml`,
      advice: `There are: ${names}`,
    })
  }
  const { app } = household.appOf(config)
  const plan = planOf(app, config)
  if (plan) return { app, config, plan }
  throw new FailureError({
    kind: 'permanent',
    message: app.oauth
      ? `${name} speaks to ${app.title} with a key or token of its own, which stands in kith.yaml`
      : `${app.title} knows no sign-in: ${name} needs nothing but what stands in kith.yaml`,
    advice: app.oauth
      ? 'To sign in instead, put clientId and clientSecret in its place: see docs/connecting.md'
      : 'See whether it answers with: kith check',
  })
}

async function byBrowser(
  oauth: OAuth,
  plan: OAuthPlan,
  name: string,
  operator: Operator,
  keep: (tokens: Tokens) => Promise<Tokens>,
  signal: AbortSignal,
): Promise<Tokens> {
  if (operator.pasted) {
    const attempt = await oauth.begin(plan.redirectUrl ?? REDIRECT_URL)
    await operator.show(attempt.url, null)
    const text = (await operator.pasted()).trim()
    return await keep(await oauth.finish(attempt, paramsOf(text), signal))
  }
  const loopback = await listen(plan.redirectUrl, name)
  const patience = AbortSignal.timeout(PATIENCE_MS)
  try {
    const attempt = await oauth.begin(loopback.url)
    await operator.show(attempt.url, loopback.url)
    const answer = await loopback.answer(attempt.state, AbortSignal.any([signal, patience])).catch((error: unknown) => {
      throw patience.aborted || signal.aborted ? nobodyCame(name, signal.aborted) : error
    })
    try {
      const tokens = await keep(await oauth.finish(attempt, answer.params, signal))
      answer.reply(true, `${name} is signed in. You can close this window.`)
      return tokens
    } catch (error) {
      const failure = failureFrom(error)
      answer.reply(false, `It did not work: ${failure.message}. ${adviceFor(failure)}`)
      throw error
    }
  } finally {
    await loopback.close()
  }
}

/** The parameters in an address; nothing in particular where it is none, which is then no answer to anything. */
function paramsOf(text: string): URLSearchParams {
  return URL.canParse(text) ? new URL(text).searchParams : new URLSearchParams()
}

function nobodyCame(name: string, stopped: boolean): FailureError {
  return new FailureError({
    kind: 'transient',
    message: stopped ? 'Stopped before anybody had signed in' : 'Nobody came back from the browser',
    advice: `Try again with: kith connect ${name}`,
  })
}

/**
 * Under a connection's name stand the records of one account. Those of another would be taken for new ones, and the old ones
 * for deleted.
 */
async function refuseOtherAccount(household: Household, app: App, name: string, tokens: Tokens): Promise<void> {
  const { id } = tokens.account
  const before = await household.store.getFact(accountFact(name))
  if (id === undefined || before === null || before === id) return
  const counts = (await household.store.counts()).get(name)
  if (!counts || counts.linked + counts.staged + counts.ambiguous + counts.missing === 0) return
  throw new FailureError({
    kind: 'auth',
    code: 'OTHER-ACCOUNT',
    message: `This is another account of ${app.title} than the one whose records ${name} holds`,
    advice: `Sign in to that one: kith connect ${name}. Another account wants a connection of its own, under another name`,
  })
}

function accountFact(name: string): string {
  return `account of ${name}`
}

/** What `kith status` says of the connection from now on, and whether a running daemon writes to it. */
async function speakOf({ store }: Household, name: string, failure: Failure | null): Promise<void> {
  const state = (await store.connections()).find((item) => item.name === name)
  if (failure !== null || state?.failure?.kind === 'auth') await store.saveConnection(name, { failure })
}
