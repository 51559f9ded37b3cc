import { isRestrictive } from '../../../engine/core/consent.ts'
import { sameJson } from '../../../engine/core/json.ts'
import { SECOND_RECORD } from '../../../engine/core/people.ts'
import { valuesOf } from '../../../engine/core/person.ts'
import type { AppRecord } from '../../../engine/core/ports/connector.ts'
import type { Intent, Link } from '../../../engine/core/ports/store.ts'
import { digits } from './account.ts'
import type { Staff } from './staff.ts'
import type { CompanyWorld } from './world.ts'

type Snapshot = ReadonlyMap<string, ReadonlyMap<string, AppRecord>>

interface Seen {
  readonly world: CompanyWorld
  readonly staff: Staff
  readonly links: readonly Link[]
  /** Writes that an operator has to look at: what they are about is not in agreement yet. */
  readonly parked: readonly Intent[]
  readonly records: Snapshot
}

/** What is wrong with a company at rest, by the invariant's number; empty in a healthy one. */
export async function findings(world: CompanyWorld, staff: Staff): Promise<string[]> {
  const links = await all<Link>(world.store.links({}))
  const open = await all<Intent>(world.store.intents({}))
  const parked = open.filter(({ state }) => state === 'parked')
  const seen: Seen = { world, staff, links, parked, records: await world.snapshot() }
  const left = open.filter(({ state }) => state !== 'parked')
  return [
    ...world.wrong,
    ...left.map(({ op, connection, state }) => `I1 a write is left over: ${op} in ${connection} (${state})`),
    ...parked.flatMap(({ id, connection, failure }) =>
      failure?.kind === 'bug' ? [`${connection} ${id} is parked for a bug: ${failure.message}`] : [],
    ),
    ...(await disagreements(seen)),
    ...(await strangers(seen)),
    ...unheard(seen),
    ...duplicates(seen),
    ...deletions(seen),
    ...(await vanished(seen)),
    ...(await loosened(seen)),
  ]
}

/** I1: every linked record says what its person says, as far as its app can say it; and the shadow says what the record says. */
async function disagreements({ world, links, parked, records }: Seen): Promise<string[]> {
  const found: string[] = []
  for (const link of links) {
    if (link.state !== 'linked' || link.personId === null) continue
    const rules = world.rules.connections.get(link.connection)
    const record = records.get(link.connection)?.get(link.recordId)
    const person = (await world.store.loadPeople([link.personId])).people[0]
    const name = `${link.connection} ${link.recordId}`
    if (!rules || !person || person.state !== 'live') continue
    if (!record) {
      found.push(`I1 ${name} is linked and is not there`)
      continue
    }
    const waiting = new Set(
      parked
        .filter(({ connection, personId }) => connection === link.connection && personId === link.personId)
        .flatMap(({ fields }) => Object.keys(fields)),
    )
    for (const [field, value] of Object.entries(rules.lens.put(valuesOf(person), record.fields))) {
      const rewrite = link.rewrites[field]
      const rewritten = rewrite && sameJson(rewrite.sent, value) && sameJson(rewrite.got, record.fields[field] ?? null)
      if (rewritten || waiting.has(field)) continue
      const values = `${JSON.stringify(value)} <> ${JSON.stringify(record.fields[field] ?? null)}`
      found.push(`I1 ${name} disagrees with ${person.id} in ${field}: ${values}`)
    }
    for (const field of rules.lens.appFields) {
      if (!sameJson(record.fields[field] ?? null, link.fields[field] ?? null))
        found.push(`I1 the shadow of ${name} is wrong in ${field}`)
    }
  }
  return found
}

/** I1 once more, as humans see it: one person is called the same in every account, whatever Kith's mappings make of it. */
async function strangers({ world, links, parked }: Seen): Promise<string[]> {
  const found: string[] = []
  const linked = links.filter(({ state, personId }) => state === 'linked' && personId !== null)
  for (const [personId, own] of Map.groupBy(linked, (link) => link.personId as string)) {
    if (parked.some((intent) => intent.personId === personId)) continue
    const [person] = (await world.store.loadPeople([personId])).people
    if (person?.state !== 'live') continue
    const portraits = own.flatMap((link) => {
      const portrait = world.account(link.connection).see(link.recordId)
      return portrait ? [{ connection: link.connection, ...portrait }] : []
    })
    for (const trait of ['name', 'title'] as const) {
      const said = new Map(portraits.flatMap((one) => (one[trait] ? [[one[trait], one.connection] as const] : [])))
      if (said.size > 1) found.push(`I1 ${personId} has several ${trait}s: ${JSON.stringify([...said])}`)
    }
  }
  return found
}

/** Every record that people see is known. */
function unheard({ world, links }: Seen): string[] {
  const states = new Map(links.map((link) => [`${link.connection} ${link.recordId}`, link]))
  return [...world.accounts].flatMap(([name, account]) =>
    account.ids().flatMap((id) => {
      const link = states.get(`${name} ${id}`)
      if (link && ['linked', 'ambiguous', 'second'].includes(link.state)) return []
      return [`I1 ${name} ${id} was never heard (${link?.state ?? 'unknown'} ${link?.reason ?? ''})`]
    }),
  )
}

/** I4: whatever Kith made is somebody's, and nobody has two records anywhere; nor did Kith make two with one address. */
function duplicates({ world, staff, links }: Seen): string[] {
  const found: string[] = []
  const states = new Map(links.map((link) => [`${link.connection} ${link.recordId}`, link]))
  for (const [name, account] of world.accounts) {
    const made = account.ids().filter((id) => !staff.made.has(`${name} ${id}`))
    for (const id of made) {
      const link = states.get(`${name} ${id}`)
      // A human who merges two people elsewhere, or adds one while Kith does, leaves two records here, for an operator.
      if (link?.state === 'second') continue
      if (link?.state === 'ambiguous' && (link.reason?.startsWith(SECOND_RECORD) || staff.merges > 0)) continue
      if (link?.state !== 'linked')
        found.push(
          `I4 ${name} ${id} was created by Kith and is nobody's (${link?.state ?? 'unknown'}: ${link?.reason ?? ''})`,
        )
    }
    const byAddress = Map.groupBy(
      made.flatMap((id) => (account.see(id)?.emails ?? []).map((address) => ({ id, address: address.toLowerCase() }))),
      ({ address }) => address,
    )
    for (const [address, twins] of byAddress) {
      const ids = new Set(twins.map(({ id }) => id))
      if (ids.size > 1 && !address.startsWith('info@') && staff.merges === 0)
        found.push(`I4 Kith made ${[...ids].join(' and ')} in ${name}, with one address`)
    }
  }
  const owners = Map.groupBy(
    links.filter(({ state }) => state === 'linked'),
    (link) => `${link.personId} in ${link.connection}`,
  )
  for (const [owner, own] of owners) if (own.length > 1) found.push(`I4 ${own.length} records of ${owner}`)
  return found
}

/** I5: Kith takes nobody away here. */
function deletions({ world, staff, links }: Seen): string[] {
  return links.flatMap(({ connection, recordId, state }) => {
    const isThere = world.account(connection).see(recordId) !== null
    if (isThere || staff.removed.has(`${connection} ${recordId}`)) return []
    return [`I5 ${connection} ${recordId} is gone, and no human took it away (${state})`]
  })
}

/** I3: what a human typed is live somewhere, or kept in the log. */
async function vanished({ world, staff, records }: Seen): Promise<string[]> {
  const live = [...records.values()].flatMap((each) => [...each.values()].map(({ fields }) => fields))
  const log = await world.store.log({ limit: 1e6 })
  const kept = JSON.stringify([live, log.map(({ before, after, cell }) => [before, after, cell])]).toLowerCase()
  const numbers = kept.replace(/[^\d"]/g, '')
  return staff.typed.flatMap(({ account, id, trait, text }) => {
    const stands = trait === 'phone' ? numbers.includes(digits(text)) : kept.includes(text)
    return stands ? [] : [`I3 ${trait} '${text}', typed in ${account} ${id}, has vanished`]
  })
}

/** I7: what was restricted stands in the ledger and in every record; nobody is subscribed by Kith. */
async function loosened({ world, staff, links, records }: Seen): Promise<string[]> {
  const found: string[] = []
  // A record of which nobody has said whose it is waits for an operator: nothing is written to it.
  const waiting = new Set(
    links.filter(({ state }) => state === 'ambiguous').map(({ connection, recordId }) => `${connection} ${recordId}`),
  )
  for (const { account, id, addresses } of staff.restricted) {
    const entries = await world.store.consents(addresses.map((address) => `email:${address}`))
    const strict = entries.filter(({ state }) => isRestrictive(state)).map(({ key }) => key.slice('email:'.length))
    if (strict.length === 0)
      found.push(`I7 ${addresses.join(', ')}: restricted in ${account} ${id}, and the ledger is not`)
    for (const [name, each] of world.accounts) {
      for (const other of each.ids()) {
        const { emails = [] } = each.see(other) ?? {}
        const [address = ''] = emails
        if (waiting.has(`${name} ${other}`)) continue
        if (strict.includes(address.toLowerCase()) && each.mailable(other) === true)
          found.push(`I7 ${address} was restricted in ${account} ${id}, and is written to from ${name} ${other}`)
      }
    }
  }
  for (const link of links.filter(({ state }) => state === 'linked')) {
    const record = records.get(link.connection)?.get(link.recordId)
    const name = `${link.connection} ${link.recordId}`
    for (const slot of world.rules.connections.get(link.connection)?.lens.consents ?? []) {
      const key = record ? slot.key(record.fields) : null
      const [entry] = key === null ? [] : await world.store.consents([key])
      const state = record ? slot.state(record.fields) : null
      // Where the app lets us say so at all.
      const sayable = entry !== undefined && Object.keys(slot.put(entry.state)).length > 0
      if (sayable && isRestrictive(entry.state) && state === 'subscribed')
        found.push(`I7 ${name} says ${state} of ${entry.key}, which is ${entry.state}`)
      const events = entry?.events.filter(({ kind }) => kind === 'applied') ?? []
      for (const [index, event] of events.entries()) {
        const before = events[index - 1]
        if (
          before &&
          isRestrictive(before.state) &&
          !isRestrictive(event.state) &&
          (event.optIn_ms ?? 0) <= before.stamp.at
        )
          found.push(`I7 ${entry?.key} was loosened without a proof`)
      }
    }
    if (
      staff.made.has(name) ||
      staff.freed.has(name) ||
      world.account(link.connection).mailable(link.recordId) !== true
    )
      continue
    const [address = ''] = world.account(link.connection).see(link.recordId)?.emails ?? []
    if (!staff.signedUp.has(address.toLowerCase())) found.push(`I7 Kith has subscribed ${name}`)
  }
  return found
}

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of source) items.push(item)
  return items
}
