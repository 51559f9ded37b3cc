import { createHash } from 'node:crypto'
import { Refusal } from './simulator-users.ts'
import type { SimulatedHooks } from './simulator-hooks.ts'

interface Registered {
  readonly id: string
  readonly secret: string
  name: string
  endpoint: string
  http_method: string
  request_format: string
  status: string
  subscriptions: string[]
}

/** The webhooks that an account's people and programs have registered, by the API: active ones are sent events, signed. */
export class SimulatedWebhooks {
  readonly registered: Registered[] = []
  readonly #hooks: SimulatedHooks

  constructor(hooks: SimulatedHooks) {
    this.#hooks = hooks
  }

  list(after: string | null): object {
    const start = after === null ? 0 : Number(after)
    const page = this.registered.slice(start, start + 2)
    const has_more = start + page.length < this.registered.length
    return {
      webhooks: page.map(shown),
      meta: { has_more, after_cursor: has_more ? String(start + page.length) : null },
    }
  }

  create(input: { readonly [name: string]: unknown }): object {
    const number = this.registered.length + 1
    const webhook: Registered = {
      id: `01HZ${String(number).padStart(22, '0')}`,
      secret: createHash('sha256').update(`webhook ${number}`).digest('base64'),
      name: '',
      endpoint: '',
      http_method: '',
      request_format: '',
      status: 'inactive',
      subscriptions: [],
    }
    fill(webhook, input)
    for (const name of ['name', 'endpoint', 'http_method', 'request_format', 'status'] as const) {
      if (input[name] === undefined)
        throw new Refusal(400, 'RecordInvalid', { [name]: ["can't be blank", 'BlankValue'] })
    }
    this.registered.push(webhook)
    this.#hooks.subscribe({
      get url() {
        return webhook.endpoint
      },
      secret: webhook.secret,
      get events() {
        return webhook.status === 'active' ? webhook.subscriptions : []
      },
    })
    return { webhook: shown(webhook) }
  }

  patch(id: string, input: { readonly [name: string]: unknown }): void {
    fill(this.#find(id), input)
  }

  secret(id: string): object {
    return { signing_secret: { algorithm: 'SHA256', secret: this.#find(id).secret } }
  }

  #find(id: string): Registered {
    const found = this.registered.find((each) => each.id === id)
    if (!found) throw new Refusal(404, 'RecordNotFound')
    return found
  }
}

/** The secret is shown to those only who ask for it. */
function shown(webhook: Registered): object {
  return { ...webhook, secret: undefined }
}

function fill(webhook: Registered, input: { readonly [name: string]: unknown }): void {
  for (const name of ['name', 'endpoint', 'http_method', 'request_format', 'status'] as const) {
    if (typeof input[name] === 'string') webhook[name] = input[name]
  }
  const { subscriptions } = input
  if (Array.isArray(subscriptions)) webhook.subscriptions = subscriptions.map(String)
}
