import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SimulatedRow } from './simulator-org.ts'
import { API_VERSION, type SObject } from './wire.ts'

export interface StreamingOptions {
  readonly now: () => number
  /** Whether the org takes this token. */
  readonly takes: (token: string) => boolean
}

/** What goes wrong, and how the server is set up. Set them at any time. */
export interface StreamingFaults {
  /** How long a request is held where nothing happens. */
  hold_ms: number
  /** How long a client that stays away is known. */
  forget_ms: number
  /** How long events are kept for those who ask for them later. */
  kept_ms: number
  interval_ms: number
  clients_max: number
  /** This many events are lost on their way. */
  droppedEvents: number
  /** This many responses with events are lost, and the events with them. */
  droppedPolls: number
  /** Every event comes twice. */
  doubled: boolean
  /** Events come in the reverse of their order. */
  reversed: boolean
  /** What is changed in one go is one event with several ids. */
  merged: boolean
  /** Events that say less than others: without fields, without ids, for all records at once, or in a shape that is none. */
  shape: 'whole' | 'gap' | 'overflow' | 'wildcard' | 'unreadable'
  /** Channels that the user may not subscribe to. */
  readonly refused: Set<string>
  /** A refused session is told by the status alone. */
  plain401: boolean
}

interface Message {
  readonly [name: string]: unknown
}

interface Event {
  readonly replayId: number
  readonly entity: SObject
  readonly at_ms: number
  readonly data: object
}

interface Session {
  readonly id: string
  readonly cookie: string
  readonly token: string
  readonly channels: Set<string>
  queue: { readonly channel: string; readonly event: Event }[]
  polls: number
  heard_ms: number
  /** Ends the request that is held. */
  wake: (() => void) | null
}

interface Change {
  readonly row: SimulatedRow
  readonly type: 'CREATE' | 'UPDATE' | 'DELETE' | 'UNDELETE'
  readonly origin: string
}

const DAY_MS = 24 * 60 * 60_000
const COOKIE = 'BAYEUX_BROWSER'

/** The streaming API of a simulated org: change events, over Bayeux and long polling. */
export class SimulatedStreaming {
  readonly faults: StreamingFaults = {
    hold_ms: 110_000,
    forget_ms: 40_000,
    kept_ms: 3 * DAY_MS,
    interval_ms: 0,
    clients_max: 20,
    droppedEvents: 0,
    droppedPolls: 0,
    doubled: false,
    reversed: false,
    merged: false,
    shape: 'whole',
    refused: new Set(),
    plain401: false,
  }
  /** Channels that the org has made for itself, and what they carry. */
  readonly customChannels = new Map<string, readonly SObject[]>()
  /** What was asked: `/meta/connect`, `/meta/subscribe /data/LeadChangeEvent -1`. */
  readonly asked: string[] = []
  /** Who is changing records at this moment; empty for people at the screen. */
  origin = ''
  /** Nobody is answered any more. */
  silent = false
  /** Events that clients were handed, those that came twice counted twice. */
  delivered = 0
  readonly #options: StreamingOptions
  readonly #sessions = new Map<string, Session>()
  readonly #known = new Map<string, 'lives' | 'deleted'>()
  #events: Event[] = []
  #changes: Change[] = []
  #count = 0
  #closed = false

  constructor(options: StreamingOptions) {
    this.#options = options
  }

  /** Clients that are known at present. */
  get clients(): number {
    return this.#sessions.size
  }

  /** Clients whose request is held at present. */
  get held(): number {
    return [...this.#sessions.values()].filter(({ wake }) => wake !== null).length
  }

  announce(row: SimulatedRow): void {
    if (row.object === 'Account') return
    const before = this.#known.get(row.Id)
    this.#known.set(row.Id, row.deleted ? 'deleted' : 'lives')
    const isNew = before === undefined && row.created_ms === row.modified_ms
    const revived = before === 'deleted' ? 'UNDELETE' : 'UPDATE'
    const type = row.deleted ? 'DELETE' : isNew ? 'CREATE' : revived
    this.#changes.push({ row, type, origin: this.origin })
    // Events come after the transaction.
    if (this.#changes.length === 1) queueMicrotask(() => this.#publish())
  }

  /** The server knows nobody any more, as after a restart. */
  forgetClients(): void {
    const sessions = [...this.#sessions.values()]
    this.#sessions.clear()
    for (const session of sessions) session.wake?.()
  }

  /** No event of before is kept any more. */
  purge(): void {
    this.#events = []
  }

  /** Those whose token is no longer taken are told at once. */
  tokensChanged(): void {
    for (const session of this.#sessions.values()) if (!this.#options.takes(session.token)) session.wake?.()
  }

  close(): void {
    this.#closed = true
    this.forgetClients()
  }

  async serve(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> {
    if (this.silent) return
    const [message] = (Array.isArray(body) ? body : [body]) as (Message | undefined)[]
    const token = request.headers.authorization?.replace(/^(Bearer|OAuth) /, '') ?? ''
    const { channel, subscription, clientId } = Object(message) as { [name: string]: string }
    this.asked.push(
      [channel, subscription, JSON.stringify(Object(message?.['ext'])['replay'])].filter(Boolean).join(' '),
    )
    const answer = (fields: object): object => ({ channel, id: message?.['id'], ...fields })
    const refuse = (error: string, reconnect: string): object[] => [
      answer({ successful: false, error, advice: { reconnect, interval: 0 } }),
    ]
    if (!this.#options.takes(token)) {
      if (this.faults.plain401) return reply(response, 401, [{ errorCode: 'INVALID_SESSION_ID', message: 'expired' }])
      const ext = { sfdc: { failureReason: '401::Authentication invalid' } }
      const denied = answer({ ext, successful: false, error: '403::Handshake denied', advice: { reconnect: 'none' } })
      const isHandshake = channel === '/meta/handshake'
      return reply(response, 200, isHandshake ? [denied] : refuse('401::Authentication invalid', 'none'))
    }
    this.#forgetOld()
    if (channel === '/meta/handshake') {
      if (this.#sessions.size >= this.faults.clients_max)
        return reply(response, 200, refuse('403::Organization concurrent user limit exceeded', 'none'))
      return this.#handshake(response, token, answer)
    }
    const session = this.#sessions.get(clientId ?? '')
    if (!session) return reply(response, 200, refuse('403::Unknown client', 'handshake'))
    if (!request.headers.cookie?.includes(`${COOKIE}=${session.cookie}`)) {
      const missing = `400::Client ${session.id} has established a session, but no ${COOKIE} cookie present`
      return reply(response, 200, refuse(missing, 'none'))
    }
    session.heard_ms = this.#options.now()
    switch (channel) {
      case '/meta/subscribe':
        return reply(response, 200, this.#subscribe(session, String(subscription), message?.['ext'], answer))
      case '/meta/disconnect':
        this.#sessions.delete(session.id)
        session.wake?.()
        return reply(response, 200, [answer({ clientId, successful: true })])
      case '/meta/connect':
        return this.#connect(request, response, session, answer, refuse)
      default:
        return reply(response, 400, refuse('400::Unknown channel', 'none'))
    }
  }

  #handshake(response: ServerResponse, token: string, answer: (fields: object) => object): void {
    const id = `kith${(++this.#count).toString(36)}client`
    const cookie = `browser-${this.#count}`
    const heard_ms = this.#options.now()
    const fresh = { id, cookie, token, channels: new Set<string>(), queue: [], polls: 0, heard_ms, wake: null }
    this.#sessions.set(id, fresh)
    response.setHeader('Set-Cookie', [`${COOKIE}=${cookie}; Path=/cometd/; HttpOnly`, 'sfdc-stream=a=b; Path=/'])
    const ext = { replay: true, 'payload.format': true }
    const supportedConnectionTypes = ['long-polling']
    const advice = { interval: 0, timeout: this.faults.hold_ms, reconnect: 'retry' }
    return reply(response, 200, [
      answer({
        clientId: id,
        version: '1.0',
        minimumVersion: '1.0',
        supportedConnectionTypes,
        ext,
        advice,
        successful: true,
      }),
    ])
  }

  #subscribe(session: Session, channel: string, ext: unknown, answer: (fields: object) => object): object[] {
    const refuse = (error: string): object[] => [answer({ subscription: channel, successful: false, error })]
    if (!this.#carried(channel))
      return refuse(`400::The channel you requested to subscribe to does not exist {${channel}}`)
    if (this.faults.refused.has(channel)) return refuse(`403::User not allowed to subscribe channel {${channel}}`)
    const { replay } = Object(ext) as { replay?: { [name: string]: number } }
    const from = replay?.[channel] ?? -1
    const kept = this.#kept().filter((event) => this.#carries(channel, event))
    if (from >= 0 && !kept.some(({ replayId }) => replayId === from))
      return refuse(
        `400::The replayId {${from}} you provided was invalid.  Please provide a valid ID, -2 to replay all events, or -1 to replay only new events.`,
      )
    session.channels.add(channel)
    if (from !== -1) {
      const missed = kept.filter(({ replayId }) => replayId > from)
      session.queue.push(...missed.map((event) => ({ channel, event })))
    }
    return [answer({ clientId: session.id, subscription: channel, successful: true })]
  }

  async #connect(
    request: IncomingMessage,
    response: ServerResponse,
    session: Session,
    answer: (fields: object) => object,
    refuse: (error: string, reconnect: string) => object[],
  ): Promise<void> {
    // The first one only makes the session whole.
    if (session.polls++ > 0 && session.queue.length === 0) await this.#hold(request, session)
    if (request.socket.destroyed || this.#closed) return
    if (!this.#options.takes(session.token)) {
      this.#sessions.delete(session.id)
      return reply(response, 200, refuse('401::Authentication invalid', 'none'))
    }
    if (!this.#sessions.has(session.id)) return reply(response, 200, refuse('403::Unknown client', 'handshake'))
    session.heard_ms = this.#options.now()
    const advice = { interval: this.faults.interval_ms, timeout: this.faults.hold_ms, reconnect: 'retry' }
    const done = answer({ clientId: session.id, successful: true, advice })
    const events = session.queue.map(({ channel, event }) => ({ channel, clientId: session.id, data: event.data }))
    session.queue = []
    if (events.length > 0 && this.faults.droppedPolls > 0) {
      this.faults.droppedPolls--
      request.socket.destroy()
      return
    }
    const twice = this.faults.doubled ? events.flatMap((event) => [event, event]) : events
    const ordered = this.faults.reversed ? twice.toReversed() : twice
    this.delivered += ordered.length
    return reply(response, 200, [...ordered, done])
  }

  #hold(request: IncomingMessage, session: Session): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer)
        request.socket.off('close', end)
        session.wake = null
        resolve()
      }
      const timer = setTimeout(end, this.faults.hold_ms)
      request.socket.once('close', end)
      session.wake = end
    })
  }

  #publish(): void {
    const changes = this.#changes
    this.#changes = []
    const groups = new Map<string, Change[]>()
    for (const [at, change] of changes.entries()) {
      const alike = [change.row.object, change.type, change.origin].join(' ')
      const key = this.faults.merged ? alike : String(at)
      groups.set(key, [...(groups.get(key) ?? []), change])
    }
    for (const group of groups.values()) {
      const event = this.#event(group)
      if (this.faults.droppedEvents > 0) {
        this.faults.droppedEvents--
        continue
      }
      this.#events.push(event)
      for (const session of this.#sessions.values()) {
        const channels = [...session.channels].filter((channel) => this.#carries(channel, event))
        if (channels.length === 0) continue
        session.queue.push(...channels.map((channel) => ({ channel, event })))
        session.wake?.()
      }
    }
  }

  #event(changes: readonly Change[]): Event {
    const [{ row, type, origin }] = changes as [Change]
    const { shape } = this.faults
    const entity = row.object as SObject
    const replayId = ++this.#count
    const at_ms = this.#options.now()
    const header = {
      entityName: entity,
      recordIds: shape === 'wildcard' ? [`${row.Id.slice(0, 3)}*`] : changes.map((change) => change.row.Id),
      changeType: shape === 'overflow' ? 'GAP_OVERFLOW' : shape === 'gap' ? `GAP_${type}` : type,
      changeOrigin: origin,
      transactionKey: `0000-${replayId}`,
      sequenceNumber: 1,
      commitTimestamp: at_ms,
      commitNumber: replayId,
      commitUser: '005Kith000000001AAA',
    }
    const { recordIds: _, ...withoutIds } = header
    const ChangeEventHeader = shape === 'overflow' ? withoutIds : header
    const fields = shape === 'whole' && type !== 'DELETE' ? Object.fromEntries(row.values) : {}
    const data =
      shape === 'unreadable'
        ? { event: { replayId }, payload: 'AAAA' }
        : { schema: 'KithSchema', payload: { ...fields, ChangeEventHeader }, event: { replayId } }
    return { replayId, entity, at_ms, data }
  }

  #kept(): readonly Event[] {
    this.#events = this.#events.filter(({ at_ms }) => this.#options.now() - at_ms <= this.faults.kept_ms)
    return this.#events
  }

  #carried(channel: string): readonly SObject[] | undefined {
    const [, entity] = /^\/data\/(Contact|Lead)ChangeEvent$/.exec(channel) ?? []
    if (entity !== undefined) return [entity as SObject]
    return channel === '/data/ChangeEvents' ? ['Contact', 'Lead'] : this.customChannels.get(channel)
  }

  #carries(channel: string, { entity }: Event): boolean {
    return this.#carried(channel)?.includes(entity) ?? false
  }

  #forgetOld(): void {
    for (const session of this.#sessions.values()) {
      const isAway = session.wake === null && this.#options.now() - session.heard_ms > this.faults.forget_ms
      if (isAway) this.#sessions.delete(session.id)
    }
  }
}

/**
 * What changes are said to come from: the API that a program used, and what it calls itself.
 * @param callOptions the header of that name, or a SOAP message with an element of it
 */
export function originOf(api: 'rest' | 'soap', callOptions: string | undefined): string {
  const pattern = api === 'soap' ? /<(?:\w+:)?client>([^<]+)</ : /client=([^,]+)/
  const [, client] = pattern.exec(callOptions ?? '') ?? []
  return `com/salesforce/api/${api}/${API_VERSION}${client === undefined ? '' : `;client=${client.trim()}`}`
}

function reply(response: ServerResponse, status: number, messages: readonly object[]): void {
  const body = Buffer.from(JSON.stringify(messages))
  response.writeHead(status, { 'Content-Type': 'application/json;charset=UTF-8', 'Content-Length': body.length })
  response.end(body)
}
