import { fieldOf, type CellKey, type Cells } from './catalogue.ts'
import { diffRecord, mapped, sameFields } from './diff.ts'
import { isBlank, sameJson, type Json, type JsonObject } from './json.ts'
import { keysOf } from './identity.ts'
import { mergeCell, type Heard } from './merge.ts'
import { valuesOf, type Cell, type Person } from './person.ts'
import type { AppRecord } from './ports/connector.ts'
import type { Link } from './ports/store.ts'
import type { ConnectionRules, Rules } from './rules.ts'
import type { Door } from './standard.ts'
import { stampOf } from './stamp.ts'
import { changeOf, type ChangeOrigin, type Workspace } from './workspace.ts'

/**
 * Hears a linked record: what differs from its shadow is merged into the person, and the shadow becomes what the record says.
 * With `link.fields` null-like (`first`), the record is heard for the first time and has no base.
 */
export function hearRecord(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  link: Link,
  record: AppRecord,
  now_ms: number,
  first = false,
): void {
  const { lens } = connection
  const { catalogue } = rules
  const personId = link.personId as string
  const person = ws.person(personId) as Person
  const fields = mapped(lens, record.fields)
  const door = rules.standard?.door(connection.name)
  const { heard, blanks } = diffRecord(lens, catalogue, first ? null : link, record, connection.name, now_ms, door)
  const origin: ChangeOrigin = { personId, recordId: record.id, now_ms }
  const base_ms: { [cell: CellKey]: number } = first ? {} : { ...link.base_ms }
  const cells: { [cell: CellKey]: Cell } = {}
  const changedFields = new Set<string>()

  const image = first ? alreadyShown(connection, person, fields) : new Set<string>()
  for (const item of heard) {
    if (image.has(fieldOf(item.cell))) continue
    base_ms[item.cell] = item.stamp.at
    if (lens.fields.get(fieldOf(item.cell))?.direction === 'out') continue
    const cell = hearCell(ws, rules, connection, person, item, origin, door)
    if (!cell) continue
    cells[item.cell] = cell
    if (!first) changedFields.add(fieldOf(item.cell))
  }
  for (const item of blanks) {
    base_ms[item.cell] = item.stamp.at
    const ours = person.cells[item.cell]?.value ?? null
    if (ours !== null) ws.log(changeOf(origin, item.cell, ours, null, item.stamp, 'refused', 'edit'))
  }
  const repaired = door ? tellRepairs(ws, rules, connection, door, first ? null : link, record, heard, origin) : 0
  // Whatever was said, also what was refused or lost: the plan has to see whether the app must be corrected.
  if (heard.length + blanks.length + repaired > 0 || link.recheck) ws.touch(personId)
  // Nobody planned here while the record was to be read again: the plan that is made now must be of the person as it is now.
  if (link.recheck) ws.rely(personId)
  for (const field of changedFields) ws.tally(connection.name, `field:${field}`, now_ms)

  const edited = changedFields.size > 0
  // An edit made to someone who was deleted elsewhere is a sign of life: nobody's work is thrown away with the record.
  const revived = edited && (person.state === 'deleted' || person.state === 'archived')
  if (Object.keys(cells).length > 0 || revived) {
    ws.savePerson({ ...person, state: revived ? 'live' : person.state, cells: { ...person.cells, ...cells } })
  } else if (!first && heard.length + blanks.length + repaired > 0) {
    // What is planned elsewhere at the same time goes by the shadow of before: it is not to take back what is planned now.
    ws.savePerson(person)
  }
  const next: Link = {
    ...withoutFailure(link),
    state: 'linked',
    fields,
    rev: record.rev,
    base_ms: first ? compact(base_ms) : base_ms,
    rewrites: keepRewrites(link.rewrites, fields),
    keys: keysOf(saidBy(rules, connection, fields), catalogue),
    recheck: false,
    ...(record.modified_ms === undefined ? {} : { modified_ms: record.modified_ms }),
  }
  if (first || !sameLink(connection, link, next)) ws.saveLink(next)
}

/**
 * Lossy fields in which a record that is heard for the first time says what the person says, as far as it can: a name in one
 * column, split by guess, is no contradiction to the same name in its parts.
 */
function alreadyShown(connection: ConnectionRules, person: Person, fields: JsonObject): ReadonlySet<string> {
  const { lens } = connection
  const patch = lens.put(valuesOf(person), fields)
  const shown = [...lens.fields].filter(
    ([field, { lossy }]) =>
      lossy !== undefined && (lens.sources.get(field) ?? []).every((name) => patch[name] === undefined),
  )
  return new Set(shown.map(([field]) => field).filter((field) => says(person, field)))
}

function says(person: Person, field: string): boolean {
  return Object.entries(person.cells).some(([cell, { value }]) => value !== null && fieldOf(cell) === field)
}

/** What a record says, as it counts: repaired by the data standard where there is one. */
export function saidBy(rules: Rules, { lens, name }: ConnectionRules, fields: JsonObject): Cells {
  const cells = lens.get(fields)
  return rules.standard ? rules.standard.door(name).repaired(cells, rules.catalogue).cells : cells
}

/** What a human typed and the standard has repaired is kept in the log (I3); what the shadow said already was told then. */
function tellRepairs(
  ws: Workspace,
  rules: Rules,
  { lens, name }: ConnectionRules,
  door: Door,
  link: Link | null,
  record: AppRecord,
  heard: readonly Heard[],
  origin: ChangeOrigin,
): number {
  const { catalogue } = rules
  const { repairs } = door.repaired(lens.get(record.fields), catalogue)
  if (repairs.length === 0) return 0
  const known = link ? lens.get(link.fields) : {}
  const news = repairs.filter(
    ({ from, before }) => lens.fields.get(fieldOf(from))?.direction !== 'out' && !sameJson(known[from], before),
  )
  for (const { to, before, after } of news) {
    const stamp =
      heard.find(({ cell }) => cell === to)?.stamp ?? stampOf(name, origin.now_ms, record.modified_ms, undefined)
    ws.log(changeOf(origin, to, before, after, stamp, 'repaired', 'standard'))
    ws.tally(name, 'standard:fix', origin.now_ms)
  }
  return news.length
}

/** Merges one cell, writes the log, and answers the person's new cell where there is one. */
function hearCell(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  person: Person,
  heard: Heard,
  origin: ChangeOrigin,
  door: Door | undefined,
): Cell | undefined {
  const { catalogue } = rules
  const field = fieldOf(heard.cell)
  const policy = rules.policy(field)
  const current = person.cells[heard.cell]
  const ours = current?.value ?? null
  const open = ws.conflict(person.id, connection.name, heard.cell)
  // What the standard holds has never counted: an edit over it is one over what stood when it was said.
  const item =
    open && door && policy.kind !== 'manual' && door.holds(heard.cell, open.theirs)
      ? { ...heard, base: open.ours }
      : heard
  const verdict = mergeCell(current, item, {
    policy,
    equal: (a, b) => catalogue.equal(item.cell, a, b),
    ownerSpoke:
      policy.kind === 'owner' &&
      Object.entries(person.cells).some(
        // What an operator decided stands like the owner's word: an undo of it does not open the field to everybody.
        ([cell, { stamp }]) =>
          (stamp.by === policy.connection || stamp.by.startsWith('operator:')) && fieldOf(cell) === field,
      ),
    now_ms: origin.now_ms,
    window_ms: connection.brakes.window_ms,
  })
  const close = (): void => {
    if (open) ws.saveConflict({ ...open, open: false })
  }
  switch (verdict.kind) {
    case 'agreed':
      close()
      return verdict.cell
    case 'applied':
      if (door?.holds(item.cell, item.value)) {
        hold(ws, connection, person.id, item, ours, origin)
        ws.tally(connection.name, 'standard:hold', origin.now_ms)
        ws.log(changeOf(origin, item.cell, ours, item.value, item.stamp, 'lost', 'standard'))
        return undefined
      }
      if (door && door.unmet(item.cell, item.value).length > 0)
        ws.tally(connection.name, 'standard:warn', origin.now_ms)
      close()
      closeSettled(ws, rules, person.id, item.cell, verdict.cell.value)
      ws.log(changeOf(origin, item.cell, ours, verdict.cell.value, item.stamp, 'applied', verdict.cell.rule))
      if (verdict.lost && verdict.lost.value !== null) {
        ws.log(changeOf(origin, item.cell, verdict.cell.value, ours, verdict.lost.stamp, 'lost', verdict.cell.rule))
      }
      return verdict.cell
    case 'lost':
      ws.log(changeOf(origin, item.cell, ours, item.value, item.stamp, 'lost', verdict.rule))
      return undefined
    case 'refused':
      ws.log(changeOf(origin, item.cell, ours, item.value, item.stamp, 'refused', verdict.rule))
      return undefined
    case 'conflict':
      hold(ws, connection, person.id, item, ours, origin)
      ws.log(changeOf(origin, item.cell, ours, item.value, item.stamp, 'lost', 'latest'))
      return undefined
  }
}

/** Both values stay where they are until an operator decides, or the record says something else. */
function hold(
  ws: Workspace,
  connection: ConnectionRules,
  personId: string,
  item: Heard,
  ours: Json,
  origin: ChangeOrigin,
): void {
  ws.saveConflict({
    personId,
    cell: item.cell,
    connection: connection.name,
    recordId: origin.recordId as string,
    ours,
    theirs: item.value,
    theirsStamp: item.stamp,
    open: true,
  })
}

/** Somebody has written into one app what another app says: the two no longer contradict each other. */
function closeSettled(ws: Workspace, rules: Rules, personId: string, cell: CellKey, value: Json): void {
  for (const name of rules.connections.keys()) {
    const conflict = ws.conflict(personId, name, cell)
    if (conflict && rules.catalogue.equal(cell, conflict.theirs, value)) ws.saveConflict({ ...conflict, open: false })
  }
}

/** The rewrites that still describe what the app holds: a human's edit ends one. */
export function keepRewrites(rewrites: Link['rewrites'], fields: JsonObject): Link['rewrites'] {
  const kept = Object.entries(rewrites).filter(([field, { got }]) => sameJson(got, fields[field] ?? null))
  return kept.length === Object.keys(rewrites).length ? rewrites : Object.fromEntries(kept)
}

/** A first reading gives all cells one stamp, or few: the most frequent is kept once, as `*`. */
export function compact(base_ms: { readonly [cell: CellKey]: number }): Link['base_ms'] {
  const counts = new Map<number, number>()
  for (const at of Object.values(base_ms)) counts.set(at, (counts.get(at) ?? 0) + 1)
  const [common] = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0])[0] ?? []
  if (common === undefined) return {}
  return { '*': common, ...Object.fromEntries(Object.entries(base_ms).filter(([, at]) => at !== common)) }
}

export function withoutFailure(link: Link): Link {
  if (!link.failure && !link.candidates && link.reason === undefined) return link
  const { failure: _failure, candidates: _candidates, reason: _reason, ...rest } = link
  return rest
}

function sameLink(connection: ConnectionRules, a: Link, b: Link): boolean {
  return (
    a.rev === b.rev &&
    a.state === b.state &&
    a.recheck === b.recheck &&
    !a.failure &&
    a.rewrites === b.rewrites &&
    sameFields(connection.lens, a.fields, b.fields)
  )
}

/** A record that says nothing at all in any mapped field is nobody. */
export function saysNothing(fields: { readonly [field: string]: Json }): boolean {
  return Object.values(fields).every(isBlank)
}
