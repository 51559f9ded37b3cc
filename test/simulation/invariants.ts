import { isRestrictive } from '../../engine/core/consent.ts'
import { fieldOf, isElement, type Cells } from '../../engine/core/catalogue.ts'
import { sameJson, type Json, type JsonObject } from '../../engine/core/json.ts'
import { DUPLICATE, SECOND_RECORD } from '../../engine/core/people.ts'
import { valuesOf } from '../../engine/core/person.ts'
import type { Intent, Link, LogEntry } from '../../engine/core/ports/store.ts'
import type { World } from './world.ts'

/** What a human typed and has not typed over, taken away or merged since. */
export interface Typed {
  readonly app: string
  id: string
  readonly cells: Cells
}

/** A human has written into a record that its address must not be written to; nobody has changed the record since. */
export interface Restriction {
  readonly app: string
  readonly id: string
  readonly key: string
}

/** Collects what is wrong, by the invariant's number; empty in a healthy world. */
export async function violations(
  world: World,
  typed: readonly Typed[],
  restrictions: readonly Restriction[] = [],
): Promise<string[]> {
  const found: string[] = []
  const links = await all<Link>(world.store.links({}))
  const open = await all<Intent>(world.store.intents({}))
  found.push(...(await disagreements(world, links)))
  for (const intent of open) {
    // What cannot be undone waits until an operator says yes.
    if (intent.state !== 'parked' && intent.held !== DUPLICATE)
      found.push(`I1 an intent is left over: ${intent.op} in ${intent.connection} (${intent.state})`)
  }
  found.push(...orphans(world, links))
  found.push(...unheard(world, links))
  found.push(...deletions(world))
  for (const write of world.wroteInPause) found.push(`I10 a write reached ${write} during its pause`)
  found.push(...(await vanished(world, typed)))
  found.push(...(await loosened(world, links, restrictions)))
  return found
}

/** I1: every linked record says what its person says, as far as its app can say it. */
async function disagreements(world: World, links: readonly Link[]): Promise<string[]> {
  const found: string[] = []
  for (const link of links) {
    if (link.state !== 'linked' || link.personId === null) continue
    const connection = world.rules.connections.get(link.connection)
    const record = world.app(link.connection).peek(link.recordId)
    const person = (await world.store.loadPeople([link.personId])).people[0]
    if (!connection || !person) continue
    if (!record) {
      found.push(`I1 ${link.connection} ${link.recordId} is linked and is not there`)
      continue
    }
    const patch = connection.lens.put(valuesOf(person), record.fields)
    const left = Object.entries(patch).filter(([field, value]) => !isRewrite(link, field, value, record.fields))
    if (person.state === 'live' && left.length > 0) {
      found.push(
        `I1 ${link.connection} ${link.recordId} disagrees with ${person.id}: ${JSON.stringify(left)} <> ${JSON.stringify(record.fields)}`,
      )
    }
    for (const field of connection.lens.appFields) {
      if (!sameJson(record.fields[field] ?? null, link.fields[field] ?? null)) {
        found.push(`I1 the shadow of ${link.connection} ${link.recordId} is wrong in ${field}`)
      }
    }
  }
  return found
}

function isRewrite(link: Link, field: string, value: Json, fields: JsonObject): boolean {
  const rewrite = link.rewrites[field]
  return rewrite !== undefined && sameJson(rewrite.sent, value) && sameJson(rewrite.got, fields[field] ?? null)
}

/** Every record that is in an app is known, and nothing known to be there is missing. */
function unheard(world: World, links: readonly Link[]): string[] {
  const known = new Map(links.map((link) => [`${link.connection} ${link.recordId}`, link.state]))
  return [...world.apps.keys()].flatMap((name) =>
    world.idsOf(name).flatMap((id) => {
      const state = known.get(`${name} ${id}`)
      return state === 'linked' || state === 'ambiguous' || state === 'second' || state === 'erased'
        ? []
        : [`I1 ${name} ${id} was never heard (${state ?? 'unknown'})`]
    }),
  )
}

/** I5: Kith deletes only who was deleted elsewhere before, where the policy says so, and second records that an operator let go. */
function deletions(world: World): string[] {
  const byKith = [...world.everThere].filter((record) => {
    const [name = '', id = ''] = record.split(' ')
    return !world.humanRemoved.has(record) && !world.approved.has(record) && !world.app(name).peek(id)
  })
  const policies = [...world.rules.connections.values()].map((connection) => connection.deletes)
  const allowed = policies.includes('propagate') || policies.includes('archive')
  const max = allowed ? world.humanRemoved.size * (world.apps.size - 1) : 0
  return byKith.length > max ? [`I5 Kith deleted ${byKith.join(', ')}; ${max} are allowed`] : []
}

/** I4: every record that Kith made is somebody's, and nobody has two in one connection. */
function orphans(world: World, links: readonly Link[]): string[] {
  const found: string[] = []
  const linked = new Map(links.map((link) => [`${link.connection} ${link.recordId}`, link]))
  for (const name of world.apps.keys()) {
    for (const id of world.idsOf(name)) {
      if (world.humanMade.has(`${name} ${id}`)) continue
      const link = linked.get(`${name} ${id}`)
      // A human who merges two people elsewhere, or adds one while Kith does, leaves two records here, for an operator.
      if (link?.state === 'second') continue
      // A create that was under way when its person was erased: it takes no part, and is offered to be deleted.
      if (link?.state === 'erased') continue
      if (link?.state === 'ambiguous' && (link.reason?.startsWith(SECOND_RECORD) || world.merges > 0)) continue
      if (link?.state !== 'linked')
        found.push(
          `I4 ${name} ${id} was created by Kith and belongs to nobody (${link?.state ?? 'unknown'}: ${link?.reason ?? ''})`,
        )
    }
  }
  const owners = new Set<string>()
  for (const link of links.filter((item) => item.state === 'linked')) {
    const owner = `${link.personId} in ${link.connection}`
    if (owners.has(owner)) found.push(`I4 two records of ${owner}`)
    owners.add(owner)
  }
  return found
}

/** I3: what a human typed is live somewhere, or kept in the log or the conflict list. */
async function vanished(world: World, typed: readonly Typed[]): Promise<string[]> {
  const log = await world.store.log({ limit: 1e6 })
  const kept = new Set(
    log.flatMap((entry: LogEntry) => [entry.before, entry.after].map((value) => said(world, entry.cell, value))),
  )
  for (const [name, app] of world.apps) {
    const lens = world.rules.connections.get(name)?.lens
    for (const record of app.all()) {
      if (lens) for (const [cell, value] of Object.entries(lens.get(record.fields))) kept.add(said(world, cell, value))
    }
  }
  const lost: string[] = []
  for (const { app, id, cells } of typed) {
    // Whoever is erased is to vanish, and with them what records had said that went into theirs before.
    if (world.erased.has(`${app} ${id}`) || (world.erased.size > 0 && !world.app(app).peek(id))) continue
    for (const [cell, value] of Object.entries(cells)) {
      if (!kept.has(said(world, cell, value))) lost.push(`I3 ${cell} typed in ${app} ${id} has vanished`)
    }
  }
  return lost
}

/** I7: what a human has restricted stands everywhere, and the ledger never loosens without a later opt-in. */
async function loosened(world: World, links: readonly Link[], restrictions: readonly Restriction[]): Promise<string[]> {
  const found: string[] = []
  for (const { app, id, key } of restrictions) {
    const [entry] = await world.store.consents([key])
    if (!entry || !isRestrictive(entry.state))
      found.push(`I7 ${key} was restricted in ${app} ${id}, and is ${entry?.state ?? 'unknown'}`)
  }
  for (const link of links) {
    if (link.state !== 'linked' || link.personId === null) continue
    const record = world.app(link.connection).peek(link.recordId)
    for (const slot of world.rules.connections.get(link.connection)?.lens.consents ?? []) {
      const key = record ? slot.key(record.fields) : null
      const [entry] = key === null ? [] : await world.store.consents([key])
      const state = record ? slot.state(record.fields) : null
      if (entry && isRestrictive(entry.state) && (state === null || !isRestrictive(state)) && state !== 'pending') {
        found.push(
          `I7 ${link.connection} ${link.recordId} says ${state ?? 'nothing'} of ${entry.key}, which is ${entry.state}`,
        )
      }
      for (const [index, event] of (entry?.events ?? []).entries()) {
        const before = entry?.events.slice(0, index).findLast((one) => one.kind === 'applied')
        const loosens = before && isRestrictive(before.state) && !isRestrictive(event.state) && event.kind === 'applied'
        if (loosens && (event.optIn_ms ?? 0) <= before.stamp.at)
          found.push(`I7 ${entry?.key} was loosened without a proof`)
      }
    }
  }
  return found
}

function said(world: World, cell: string, value: Json): string {
  const field = world.rules.catalogue.field(fieldOf(cell))
  return `${field.name}=${world.rules.catalogue.normal(field, isElement(value) ? value.value : value)}`
}

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of source) items.push(item)
  return items
}
