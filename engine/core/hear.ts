import { fieldOf, type CellKey } from './catalogue.ts'
import { diffRecord, mapped, sameFields } from './diff.ts'
import { isBlank, sameJson, type Json, type JsonObject } from './json.ts'
import { keysOf } from './identity.ts'
import { mergeCell, type Heard } from './merge.ts'
import { valuesOf, type Cell, type Person } from './person.ts'
import type { AppRecord } from './ports/connector.ts'
import type { Link } from './ports/store.ts'
import type { ConnectionRules, Rules } from './rules.ts'
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
  const { heard, blanks } = diffRecord(lens, catalogue, first ? null : link, record, connection.name, now_ms)
  const origin: ChangeOrigin = { personId, recordId: record.id, now_ms }
  const base_ms: { [cell: CellKey]: number } = first ? {} : { ...link.base_ms }
  const cells: { [cell: CellKey]: Cell } = {}
  const changedFields = new Set<string>()

  const image = first ? alreadyShown(connection, person, fields) : new Set<string>()
  for (const item of heard) {
    if (image.has(fieldOf(item.cell))) continue
    base_ms[item.cell] = item.stamp.at
    if (lens.fields.get(fieldOf(item.cell))?.direction === 'out') continue
    const cell = hearCell(ws, rules, connection, person, item, origin)
    if (!cell) continue
    cells[item.cell] = cell
    if (!first) changedFields.add(fieldOf(item.cell))
  }
  for (const item of blanks) {
    base_ms[item.cell] = item.stamp.at
    const ours = person.cells[item.cell]?.value ?? null
    if (ours !== null) ws.log(changeOf(origin, item.cell, ours, null, item.stamp, 'refused', 'edit'))
  }
  // Whatever was said, also what was refused or lost: the plan has to see whether the app must be corrected.
  if (heard.length + blanks.length > 0 || link.recheck) ws.touch(personId)
  // Nobody planned here while the record was to be read again: the plan that is made now must be of the person as it is now.
  if (link.recheck) ws.rely(personId)
  for (const field of changedFields) ws.tally(connection.name, `field:${field}`, now_ms)

  const edited = changedFields.size > 0
  // An edit made to someone who was deleted elsewhere is a sign of life: nobody's work is thrown away with the record.
  const revived = edited && (person.state === 'deleted' || person.state === 'archived')
  if (Object.keys(cells).length > 0 || revived) {
    ws.savePerson({ ...person, state: revived ? 'live' : person.state, cells: { ...person.cells, ...cells } })
  }
  const next: Link = {
    ...withoutFailure(link),
    state: 'linked',
    fields,
    rev: record.rev,
    base_ms: first ? compact(base_ms) : base_ms,
    rewrites: keepRewrites(link.rewrites, fields),
    keys: keysOf(lens.get(fields), catalogue),
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

/** Merges one cell, writes the log, and answers the person's new cell where there is one. */
function hearCell(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  person: Person,
  item: Heard,
  origin: ChangeOrigin,
): Cell | undefined {
  const { catalogue } = rules
  const field = fieldOf(item.cell)
  const policy = rules.policy(field)
  const current = person.cells[item.cell]
  const ours = current?.value ?? null
  const verdict = mergeCell(current, item, {
    policy,
    equal: (a, b) => catalogue.equal(item.cell, a, b),
    ownerSpoke:
      policy.kind === 'owner' &&
      Object.entries(person.cells).some(
        ([cell, { stamp }]) => stamp.by === policy.connection && fieldOf(cell) === field,
      ),
    now_ms: origin.now_ms,
    window_ms: connection.brakes.window_ms,
  })
  const open = ws.conflict(person.id, connection.name, item.cell)
  const close = (): void => {
    if (open) ws.saveConflict({ ...open, open: false })
  }
  switch (verdict.kind) {
    case 'agreed':
      close()
      return verdict.cell
    case 'applied':
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
      ws.saveConflict({
        personId: person.id,
        cell: item.cell,
        connection: connection.name,
        recordId: origin.recordId as string,
        ours,
        theirs: item.value,
        theirsStamp: item.stamp,
        open: true,
      })
      ws.log(changeOf(origin, item.cell, ours, item.value, item.stamp, 'lost', 'latest'))
      return undefined
  }
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
