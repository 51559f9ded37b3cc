import type { ChangeEvent } from './simulator-contacts.ts'

interface Subscription {
  readonly id: string
  readonly eventType: string
  readonly propertyName?: string
  active: boolean
  readonly createdAt: string
}

interface Answer {
  readonly status: number
  readonly json?: unknown
}

/** A legacy public app in its developer's account: one address for its webhooks, and what it is subscribed to. */
export class SimulatedDeveloperApp {
  readonly appId = '1160452'
  readonly developerKey = 'developer-key'
  readonly subscriptions: Subscription[] = []
  targetUrl: string | null = null

  /** Undefined for what is not about the app. */
  answer(method: string, url: URL, body: unknown): Answer | undefined {
    if (!url.pathname.startsWith('/webhooks/v3/')) return undefined
    if (url.searchParams.get('hapikey') !== this.developerKey) return refused(401, 'INVALID_AUTHENTICATION')
    const [appId, part, id] = url.pathname.split('/').slice(3)
    if (appId !== this.appId) return refused(404, 'OBJECT_NOT_FOUND')
    const input = Object(body) as { [name: string]: unknown }
    switch (`${method} ${part}${id === undefined ? '' : '/{id}'}`) {
      case 'GET settings':
        return this.targetUrl === null ? refused(404, 'OBJECT_NOT_FOUND') : { status: 200, json: this.#settings() }
      case 'PUT settings':
        this.targetUrl = String(input['targetUrl'])
        return { status: 200, json: this.#settings() }
      case 'GET subscriptions':
        return { status: 200, json: { results: this.subscriptions } }
      case 'POST subscriptions':
        return this.#subscribe(input)
      case 'PATCH subscriptions/{id}': {
        const found = this.subscriptions.find((each) => each.id === id)
        if (!found) return refused(404, 'OBJECT_NOT_FOUND')
        found.active = input['active'] === true
        return { status: 200, json: found }
      }
    }
    return refused(404, 'OBJECT_NOT_FOUND')
  }

  /** An app that was never set up by the API sends everything: its people did that by hand. */
  sends({ subscriptionType, propertyName }: ChangeEvent): boolean {
    if (this.subscriptions.length === 0) return true
    return this.subscriptions.some(
      (each) => each.active && each.eventType === subscriptionType && each.propertyName === propertyName,
    )
  }

  #settings(): object {
    const createdAt = new Date(0).toISOString()
    return { targetUrl: this.targetUrl, throttling: { maxConcurrentRequests: 10 }, createdAt }
  }

  #subscribe({ eventType, propertyName, active }: { [name: string]: unknown }): Answer {
    const same = (each: Subscription): boolean => each.eventType === eventType && each.propertyName === propertyName
    if (this.subscriptions.some(same)) return refused(400, 'VALIDATION_ERROR')
    const subscription: Subscription = {
      id: String(100 + this.subscriptions.length),
      eventType: String(eventType),
      ...(typeof propertyName === 'string' ? { propertyName } : {}),
      active: active === true,
      createdAt: new Date(0).toISOString(),
    }
    this.subscriptions.push(subscription)
    return { status: 201, json: subscription }
  }
}

function refused(status: number, category: string): Answer {
  return { status, json: { status: 'error', category, message: 'refused', correlationId: 'simulated' } }
}
