import { isBlank, type Json } from '../../engine/core/json.ts'
import type { Identity, User } from './wire.ts'

/** A value of the fields `emails` and `phones`: the app's own primary one says `pref`. */
export interface Item {
  readonly value: string
  readonly pref: boolean
}

/** What has to be done to a user's identities, in this order; the phone of the profile is an attribute of the user. */
export interface IdentityPlan {
  readonly add: readonly { readonly type: 'email' | 'phone_number'; readonly value: string }[]
  /** The profile's phone number, where it changes; blank removes it. */
  readonly phone?: string
  /** The address to make primary, where it is not yet. */
  readonly primary?: string
  /** Ids of identities. */
  readonly remove: readonly number[]
}

/** Numbers that Zendesk takes as an identity. */
const E164 = /^\+[1-9]\d{6,14}$/

/** A field of values as asked for: bare texts and `{ value, pref }`, blanks and repetitions left out. */
export function itemsOf(raw: Json | undefined): Item[] {
  const items: Item[] = []
  for (const each of Array.isArray(raw) ? raw : isBlank(raw) ? [] : [raw ?? null]) {
    const item = typeof each === 'object' && each !== null && !Array.isArray(each) ? each : { value: each }
    const value = item['value']
    if (typeof value !== 'string' || value.trim() === '') continue
    if (items.some((other) => same(other.value, value))) continue
    items.push({ value: value.trim(), pref: item['pref'] === true })
  }
  return items
}

/** The one that is, or is to be, the primary one. */
export function primaryOf(items: readonly Item[]): string | undefined {
  return (items.find(({ pref }) => pref) ?? items[0])?.value
}

/** Numbers beside the profile's own that Zendesk can hold. */
export function furtherPhones(items: readonly Item[]): string[] {
  const first = primaryOf(items)
  return items.flatMap(({ value }) => {
    const number = bareNumber(value)
    return value !== first && E164.test(number) ? [number] : []
  })
}

/** A user's addresses, the primary one first. */
export function emailsOf(user: User, identities: readonly Identity[]): Item[] {
  const found = identities.filter(({ type }) => type === 'email').sort(byPrimaryThenAge)
  if (found.length === 0) return isBlank(user.email) ? [] : [{ value: user.email ?? '', pref: true }]
  return found.map(({ value }, index) => ({ value, pref: index === 0 }))
}

/** A user's numbers: the profile's own first, then the direct lines that are not the same one. */
export function phonesOf(user: User, identities: readonly Identity[]): Item[] {
  const numbers = identities.filter(({ type }) => type === 'phone_number').sort(byPrimaryThenAge)
  const values = [...(isBlank(user.phone) ? [] : [user.phone ?? '']), ...numbers.map(({ value }) => value)]
  const distinct = values.filter((value, at) => values.findIndex((other) => sameNumber(other, value)) === at)
  return distinct.map((value, index) => ({ value, pref: index === 0 }))
}

/** From what a user has to what it shall have; a field that is undefined stays as it is. */
export function planIdentities(
  user: User,
  identities: readonly Identity[],
  emails: Json | undefined,
  phones: Json | undefined,
): IdentityPlan {
  const add: { type: 'email' | 'phone_number'; value: string }[] = []
  const remove: number[] = []
  let primary: string | undefined
  if (emails !== undefined) {
    const wanted = itemsOf(emails)
    const held = identities.filter(({ type }) => type === 'email')
    for (const { value } of wanted)
      if (!held.some((each) => same(each.value, value))) add.push({ type: 'email', value })
    for (const each of held) if (!wanted.some(({ value }) => same(value, each.value))) remove.push(each.id)
    primary = nextPrimary(wanted, held)
  }
  let phone: string | undefined
  if (phones !== undefined) {
    const wanted = itemsOf(phones)
    const first = primaryOf(wanted)
    const held = identities.filter(({ type }) => type === 'phone_number')
    const current = user.phone ?? ''
    if (!(first === undefined ? current === '' : sameNumber(first, current))) phone = first ?? ''
    for (const value of furtherPhones(wanted)) {
      if (!held.some((each) => sameNumber(each.value, value))) add.push({ type: 'phone_number', value })
    }
    for (const each of held) if (!wanted.some(({ value }) => sameNumber(value, each.value))) remove.push(each.id)
  }
  return { add, remove, ...(phone === undefined ? {} : { phone }), ...(primary === undefined ? {} : { primary }) }
}

/** The address to make primary: the preferred one; without a preference the present one stays, if it stays at all. */
function nextPrimary(wanted: readonly Item[], held: readonly Identity[]): string | undefined {
  const present = held.find(({ primary }) => primary === true)
  const preferred = wanted.find(({ pref }) => pref)?.value
  const stays = present && wanted.some(({ value }) => same(value, present.value)) ? present.value : undefined
  const next = preferred ?? stays ?? wanted[0]?.value
  return next === undefined || (present && same(present.value, next)) ? undefined : next
}

function byPrimaryThenAge(a: Identity, b: Identity): number {
  return Number(b.primary === true) - Number(a.primary === true) || a.id - b.id
}

export function same(a: string, b: string): boolean {
  return a.trim().toLowerCase() === b.trim().toLowerCase()
}

function bareNumber(number: string): string {
  return number.replace(/[\s()./-]/g, '')
}

function sameNumber(a: string, b: string): boolean {
  return bareNumber(a) === bareNumber(b)
}
