import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { HookTarget, Subscription } from '../connectors/app.ts'
import { failureFrom, type Failure } from '../engine/core/failure.ts'
import { record } from './acts.ts'
import type { Connected } from './connect.ts'
import type { Household } from './household.ts'
import { newId } from './new-id.ts'

/** How the hooks of one connection stand. */
export interface HookState {
  readonly connection: string
  readonly app: string
  /** Where its hooks are to be sent; null where the app sends none. */
  readonly url: string | null
  readonly subscriptions: readonly Subscription[]
  /** What is left for a human to do, one step each. */
  readonly byHand: readonly string[]
  readonly failure: Failure | null
}

/** Stands for the address that the config does not say yet. */
export const NO_PUBLIC_URL = 'https://<server.publicUrl>'

/**
 * Looks at the subscriptions of each connection's app, or (`sync`) registers and repairs them. What one app answers does not
 * keep the others from being asked.
 *
 * @param dataDir where a secret that an app hands out is kept, in a file of its own
 */
export async function hookStates(
  household: Household,
  act: 'list' | 'sync',
  dataDir: string,
  signal?: AbortSignal,
): Promise<HookState[]> {
  const states: HookState[] = []
  for (const connected of household.connected) states.push(await stateOf(household, connected, act, dataDir, signal))
  return states
}

/** Registers and repairs subscriptions, as an act: it changes what stands in the apps' own settings. */
export async function syncHooks(
  household: Household,
  wish: { readonly by: string; readonly why: string },
  signal?: AbortSignal,
): Promise<HookState[]> {
  const states = await hookStates(household, 'sync', household.dataDir, signal)
  const did = states.flatMap(({ connection, subscriptions }) =>
    subscriptions.some((one) => one.did) ? [connection] : [],
  )
  await record({ store: household.store, now: Date.now, newId }, { ...wish, kind: 'hooks', about: { changed: did } })
  return states
}

async function stateOf(
  household: Household,
  { config, rules, failure }: Connected,
  act: 'list' | 'sync',
  dataDir: string,
  signal: AbortSignal | undefined,
): Promise<HookState> {
  const { app, context } = household.appOf(config)
  const base = { connection: config.name, app: app.title, subscriptions: [], byHand: [], failure: null }
  // Some accounts are heard without webhooks, as their options have it.
  if (!app.subscriptions && !app.webhook?.(config.options, context)) return { ...base, url: null }
  const url = `${household.config.server?.publicUrl ?? NO_PUBLIC_URL}/hooks/${config.name}`
  if (!app.subscriptions) return { ...base, url, byHand: [`Let ${app.title} send its webhooks to ${url}`] }
  if (failure) return { ...base, url, failure }
  try {
    const target: HookTarget = { url, fields: rules?.lens.appFields ?? [] }
    const { subscriptions, byHand, secret } = await app.subscriptions(config.options, context)[act](target, signal)
    const step = secret && (await keepSecret(dataDir, config.name, secret, act))
    return { ...base, url, subscriptions, byHand: step === undefined ? byHand : [...byHand, step] }
  } catch (error) {
    return { ...base, url, failure: failureFrom(error) }
  }
}

/** A secret goes into a file that only its owner may read; what is left is to name the file in kith.yaml. */
async function keepSecret(
  dataDir: string,
  connection: string,
  { option, value }: { option: string; value: string },
  act: 'list' | 'sync',
): Promise<string> {
  if (act === 'list') return `The secret in ${option}: of kith.yaml is not the app's: run kith hooks sync`
  const folder = join(dataDir, 'secrets')
  const file = join(folder, `${connection}.${option}`)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeFile(file, `${value}\n`, { mode: 0o600 })
  return `Write into kith.yaml, under connections, ${connection}: "${option}: file:${file}"; then start Kith again`
}
