import { z } from 'zod'
import { FailureError } from '../../engine/core/failure.ts'
import type { ConnectContext, HookTarget, Subscription, SubscriptionReport, Subscriptions } from '../app.ts'
import { HttpClient } from '../http.ts'

/**
 * HubSpot's subscriptions belong to an app, not to an account, and only those of legacy public apps can be told by API, with the
 * developer account's key. For all others: what to write into the app's own settings or its project (README).
 */
export interface AppOptions {
  readonly appId?: string | undefined
  readonly developerKey?: string | undefined
  readonly basePath: string
}

/** Beside the changes of mapped properties. */
const EVENTS = ['creation', 'deletion', 'merge', 'restore', 'privacyDeletion'] as const
/** Requests that HubSpot may have under way to us. */
const CONCURRENT_MAX = 10
/** Connector fields that are no property, or stand for others. */
const BEHIND: { readonly [field: string]: readonly string[] } = {
  'email.all': ['email', 'hs_additional_emails'],
  // Nobody is told by these webhooks who joins a list or leaves one.
  'lists.static': [],
  'lists.active': [],
}

const Settings = z.object({ targetUrl: z.string(), throttling: z.object({ maxConcurrentRequests: z.int() }) })
const Registered = z.object({
  id: z.coerce.string(),
  eventType: z.string(),
  propertyName: z.string().nullish(),
  active: z.boolean(),
})
const RegisteredList = z.object({ results: z.array(Registered) })
type Registered = z.infer<typeof Registered>

interface Wanted {
  readonly eventType: string
  readonly propertyName?: string
}

export function hubspotSubscriptions(options: AppOptions, { now }: Pick<ConnectContext, 'now'>): Subscriptions {
  const { appId, developerKey, basePath } = options
  if (appId === undefined || developerKey === undefined) {
    const byHand = (target: HookTarget): Promise<SubscriptionReport> =>
      Promise.resolve({ subscriptions: [], byHand: steps(target) })
    return { list: byHand, sync: byHand }
  }
  const app = new DeveloperApp(new HttpClient({ baseUrl: basePath, now }), appId, developerKey)
  return {
    list: async (target, signal) => judged(await app.standing(signal), target),
    sync: (target, signal) => synced(app, target, signal),
  }
}

interface Standing {
  readonly targetUrl: string | null
  readonly registered: readonly Registered[]
}

/** The webhooks API of version 3: settings of the app, and its subscriptions. */
class DeveloperApp {
  readonly #http: HttpClient
  readonly #path: string
  readonly #key: string

  constructor(http: HttpClient, appId: string, developerKey: string) {
    this.#http = http
    this.#path = `/webhooks/v3/${appId}`
    this.#key = developerKey
  }

  async standing(signal?: AbortSignal): Promise<Standing> {
    const settings = await this.#ask('GET', 'settings', undefined, [404], signal)
    const list = await this.#ask('GET', 'subscriptions', undefined, [404], signal)
    return {
      targetUrl: settings === null ? null : parsed(Settings, settings).targetUrl,
      registered: list === null ? [] : parsed(RegisteredList, list).results,
    }
  }

  async aim(targetUrl: string, signal?: AbortSignal): Promise<void> {
    const body = { targetUrl, throttling: { maxConcurrentRequests: CONCURRENT_MAX } }
    await this.#ask('PUT', 'settings', body, [], signal)
  }

  async subscribe(wanted: Wanted, signal?: AbortSignal): Promise<void> {
    await this.#ask('POST', 'subscriptions', { ...wanted, active: true }, [], signal)
  }

  async activate(id: string, signal?: AbortSignal): Promise<void> {
    await this.#ask('PATCH', `subscriptions/${encodeURIComponent(id)}`, { active: true }, [], signal)
  }

  /** @returns null for an accepted refusal */
  async #ask(
    method: string,
    path: string,
    body: object | undefined,
    accept: readonly number[],
    signal?: AbortSignal,
  ): Promise<unknown> {
    const response = await this.#http.send({
      method,
      url: `${this.#path}/${path}?hapikey=${encodeURIComponent(this.#key)}`,
      pattern: `webhooks/v3/{app}/${path.split('/')[0]}`,
      headers: { Accept: 'application/json', ...(body ? { 'Content-Type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
      write: method !== 'GET',
      accept,
      signal,
    })
    if (accept.includes(response.status)) return null
    try {
      return JSON.parse(response.body) as unknown
    } catch {
      throw unreadable()
    }
  }
}

async function synced(app: DeveloperApp, target: HookTarget, signal?: AbortSignal): Promise<SubscriptionReport> {
  const before = await app.standing(signal)
  // An app has one address for all who use it: another's is not taken away.
  if (isAnothers(before.targetUrl, target.url)) return judged(before, target)
  if (before.targetUrl !== target.url) await app.aim(target.url, signal)
  for (const { state, wanted, registered } of compared(before, target)) {
    if (state === 'missing') await app.subscribe(wanted, signal)
    else if (registered?.active === false) await app.activate(registered.id, signal)
  }
  const earlier = new Map(judged(before, target).subscriptions.map((each) => [each.what, each.state]))
  const after = judged(await app.standing(signal), target)
  const told = (each: Subscription): Subscription => {
    const was = earlier.get(each.what)
    if (each.state !== 'right' || was === 'right') return each
    return { ...each, did: was === 'missing' ? 'created' : 'repaired' }
  }
  return { ...after, subscriptions: after.subscriptions.map(told) }
}

/** The address is somebody else's, unless it is Kith's own path on another machine: the server has moved. */
function isAnothers(targetUrl: string | null, ours: string): boolean {
  if (targetUrl === null || targetUrl === '' || targetUrl === ours) return false
  return !URL.canParse(targetUrl) || !targetUrl.endsWith(new URL(ours).pathname)
}

function judged(standing: Standing, target: HookTarget): SubscriptionReport {
  const { targetUrl } = standing
  const aimed = targetUrl === target.url
  const subscriptions = compared(standing, target).map(({ what, state, registered }): Subscription => {
    if (state === 'missing') return { what, state }
    if (registered?.active === false) return { what, state: 'wrong', detail: 'it is switched off' }
    return aimed ? { what, state: 'right' } : { what, state: 'wrong', detail: 'the app sends it to another address' }
  })
  const byHand = isAnothers(targetUrl, target.url)
    ? [
        'This HubSpot app sends its webhooks to another address, and has only one: use an app of its own for Kith, or change the address in its settings',
      ]
    : []
  return { subscriptions, byHand }
}

function compared(
  { registered }: Standing,
  target: HookTarget,
): { what: string; state: 'missing' | 'there'; wanted: Wanted; registered: Registered | undefined }[] {
  return wantedFor(target).map((wanted) => {
    const found = registered.find(
      ({ eventType, propertyName }) =>
        eventType === wanted.eventType && (propertyName ?? undefined) === wanted.propertyName,
    )
    return { what: nameOf(wanted), state: found ? 'there' : 'missing', wanted, registered: found }
  })
}

function wantedFor({ fields }: HookTarget): Wanted[] {
  const properties = new Set(fields.flatMap((field) => BEHIND[field] ?? [field]))
  return [
    ...EVENTS.map((event) => ({ eventType: `contact.${event}` })),
    ...[...properties].sort().map((propertyName) => ({ eventType: 'contact.propertyChange', propertyName })),
  ]
}

function nameOf({ eventType, propertyName }: Wanted): string {
  return propertyName === undefined ? eventType : `${eventType} ${propertyName}`
}

/** For private apps, whose settings have a page, and for apps of the developer platform, which are files. */
function steps(target: HookTarget): string[] {
  const wanted = wantedFor(target)
  const subscriptions = wanted
    .filter(({ eventType }) => eventType !== 'contact.privacyDeletion')
    .map(({ eventType, propertyName }) => ({
      subscriptionType: eventType,
      ...(propertyName === undefined ? {} : { propertyName }),
      active: true,
    }))
  const project = {
    uid: 'kith-webhooks',
    type: 'webhooks',
    config: {
      settings: { targetUrl: target.url, maxConcurrentRequests: CONCURRENT_MAX },
      subscriptions: {
        legacyCrmObjects: subscriptions,
        hubEvents: [{ subscriptionType: 'contact.privacyDeletion', active: true }],
      },
    },
  }
  return [
    `A private app: in HubSpot, Settings, Integrations, Private Apps, the app, Webhooks: set the target URL to ${target.url}`,
    `There, subscribe to: ${wanted.map(nameOf).join(', ')}`,
    `An app of the developer platform, instead: put this into src/app/webhooks/webhooks-hsmeta.json and deploy it: ${JSON.stringify(project)}`,
    "Put the app's client secret into clientSecret: of kith.yaml; webhooks are signed with it",
  ]
}

function parsed<T>(schema: z.ZodType<T>, json: unknown): T {
  const result = schema.safeParse(json)
  if (result.success) return result.data
  throw unreadable()
}

function unreadable(): FailureError {
  return new FailureError({
    kind: 'transient',
    code: 'UNREADABLE',
    message: "HubSpot's answer about its webhooks cannot be read",
  })
}
