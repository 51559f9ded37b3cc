import { FailureError, type Failure } from '../../engine/core/failure.ts'
import type { HttpResponse } from '../http.ts'
import type { Aside } from './client.ts'
import { failureOfAnswer } from './errors.ts'
import { BayeuxMessages, STREAMING_PATH, type BayeuxMessage } from './wire.ts'

/** Any status may carry messages, and they say more than it. */
const ANY = Array.from({ length: 200 }, (_, n) => 400 + n)
/** What the org's allowances are counted over is long. */
const ALLOWANCE_PAUSE_MS = 15 * 60_000
/** A server may not send us away for longer: it forgets a client after 40 seconds. */
const REST_MS_MAX = 30_000

/** What a long poll brought. */
export interface Polled {
  readonly events: readonly BayeuxMessage[]
  /** How long the server wants us to stay away before the next. */
  readonly rest_ms: number
}

/** The org has forgotten this client, or sends it away: whoever wants to hear on begins anew. */
export const SESSION_LOST = 'SESSION-LOST'

/**
 * One client of the org's streaming API, from its handshake on: Bayeux over long polling, as far as it is needed to hear. When
 * anything goes wrong it is over, as a response that is lost takes its events along: the next client has them replayed.
 */
export class BayeuxClient {
  readonly #aside: Aside
  readonly #signal: AbortSignal
  readonly #now: () => number
  /** The org's load balancer finds the server that knows this client by them. */
  readonly #cookies = new Map<string, string>()
  /** Events that came with an answer to something else. */
  #early: BayeuxMessage[] = []
  #clientId = ''
  #count = 0

  constructor(aside: Aside, signal: AbortSignal, now: () => number) {
    this.#aside = aside
    this.#signal = signal
    this.#now = now
  }

  /** @throws FailureError */
  async handshake(): Promise<void> {
    const answer = await this.#ask('/meta/handshake', {
      version: '1.0',
      minimumVersion: '1.0',
      supportedConnectionTypes: ['long-polling'],
      ext: { replay: true },
    })
    if (answer.clientId === undefined) throw new FailureError(malformed('/meta/handshake'))
    this.#clientId = answer.clientId
  }

  /**
   * @param replayId events after this one, as far as they are kept; -1: from now on
   * @throws FailureError; `permanent` where this very subscription is refused, with the error's number as its code
   */
  async subscribe(channel: string, replayId: number): Promise<void> {
    await this.#ask('/meta/subscribe', { subscription: channel, ext: { replay: { [channel]: replayId } } })
  }

  /** Waits until there are events, or the server has waited long enough. @throws FailureError */
  async connect(): Promise<Polled> {
    const { advice } = await this.#ask('/meta/connect', { connectionType: 'long-polling' })
    // Said of one that was successful: the events below are good, and the next request would be refused.
    const isOver = advice?.reconnect === 'handshake' || advice?.reconnect === 'none'
    const events = this.#early
    this.#early = []
    if (isOver && events.length === 0) throw new FailureError(lost('/meta/connect'))
    return { events, rest_ms: Math.min(advice?.interval ?? 0, REST_MS_MAX) }
  }

  /** Gives the place back, which the org counts; where that cannot be said, it is free again after two minutes. */
  async disconnect(signal: AbortSignal): Promise<void> {
    if (this.#clientId === '') return
    await this.#post('/meta/disconnect', {}, signal).catch(() => undefined)
  }

  async #ask(channel: string, fields: object): Promise<BayeuxMessage> {
    await this.#aside.turn(this.#signal)
    const response = await this.#post(channel, fields, this.#signal)
    this.#keepCookies(response.cookies)
    const messages = messagesIn(response.body)
    if (!messages) {
      const asked = { pattern: channel, write: false }
      const retryAfter = response.header('retry-after')
      if (response.status < 400) throw new FailureError(malformed(channel))
      throw new FailureError(failureOfAnswer(asked, response.status, jsonOf(response.body), retryAfter, this.#now()))
    }
    this.#early.push(...messages.filter((message) => !message.channel.startsWith('/meta/')))
    const answer = messages.find((message) => message.channel === channel)
    // The server may say goodbye beside the reason for it.
    if (answer?.successful !== true) {
      const isGoodbye = messages.some((message) => message.channel === '/meta/disconnect')
      if (answer) throw new FailureError(refusal(answer))
      throw new FailureError(isGoodbye ? lost(channel) : malformed(channel))
    }
    return answer
  }

  #post(channel: string, fields: object, signal: AbortSignal): Promise<HttpResponse> {
    const message = {
      channel,
      id: String(++this.#count),
      ...(this.#clientId && { clientId: this.#clientId }),
      ...fields,
    }
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    return this.#aside.http.send({
      method: 'POST',
      url: STREAMING_PATH,
      pattern: `cometd ${channel}`,
      headers: { 'content-type': 'application/json', ...(cookie === '' ? {} : { cookie }) },
      body: JSON.stringify([message]),
      // A request that is repeated changes nothing: its answer may be lost.
      write: false,
      accept: ANY,
      signal,
    })
  }

  /** All requests are for one path of one server: where cookies belong, and for how long, need not be looked at. */
  #keepCookies(headers: readonly string[]): void {
    for (const header of headers) {
      const [pair = ''] = header.split(';')
      const at = pair.indexOf('=')
      const [name, value] = [pair.slice(0, at).trim(), pair.slice(at + 1).trim()]
      if (at < 1) continue
      if (/;\s*max-age=(0|-\d+)\s*(;|$)/i.test(header)) this.#cookies.delete(name)
      else this.#cookies.set(name, value)
    }
  }
}

function messagesIn(body: string): BayeuxMessage[] | null {
  const parsed = BayeuxMessages.safeParse(jsonOf(body))
  return parsed.success && parsed.data.length > 0 ? parsed.data : null
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** The texts are the vendor's documented ones; what else they may hold is not passed on. */
function refusal({ channel, error = '', advice, ext }: BayeuxMessage): Failure {
  const [, code = 'NO-REASON'] = /^(\d{3}):/.exec(error) ?? []
  const reason = ext?.sfdc.failureReason ?? ''
  const answered = (what: string): string => `${channel} of the streaming API was answered ${code}: ${what}`
  if (code === '401' || reason.startsWith('401:')) {
    const advice = 'Check the credentials in kith.yaml, and that nobody has revoked the session; then run: kith check'
    return { kind: 'auth', code: '401', message: answered('the session is refused'), advice }
  }
  if (code === '402' || advice?.reconnect === 'handshake' || /unknown client/i.test(error)) return lost(channel)
  if (/limit exceeded/i.test(`${error} ${reason}`)) {
    const message = answered("the org's allowance of streaming clients, or of events delivered in a day, is used up")
    return { kind: 'ratelimited', code, message, retryAfter_ms: ALLOWANCE_PAUSE_MS }
  }
  if (code.startsWith('5')) return { kind: 'transient', code, message: answered('the server is too busy') }
  return {
    kind: 'permanent',
    code,
    message: answered('Salesforce refuses it'),
    advice:
      'In Setup, Change Data Capture, select the objects (and check the name of a custom channel); the user needs View All Records for them',
  }
}

function lost(channel: string): Failure {
  return {
    kind: 'transient',
    code: SESSION_LOST,
    message: `${channel} of the streaming API: Salesforce no longer knows this client`,
  }
}

function malformed(channel: string): Failure {
  const message = `The answer to ${channel} of the streaming API is not whole, or not Salesforce's`
  return { kind: 'transient', code: 'MALFORMED', message }
}
