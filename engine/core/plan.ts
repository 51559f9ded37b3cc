import { fieldOf, type CellKey, type Cells } from './catalogue.ts'
import { isConsentCell } from './consent.ts'
import { toErase } from './erasure.ts'
import { saidBy, withoutFailure } from './hear.ts'
import { matches } from './include.ts'
import { isSomebody } from './identity.ts'
import { isBlank, sameJson, type Json, type JsonObject } from './json.ts'
import { DUPLICATE, LEFT_OUT, standing } from './people.ts'
import { valuesOf, type Person } from './person.ts'
import { planConsent } from './plan-consent.ts'
import type { Lens } from './ports/lens.ts'
import type { Intent, IntentCell, Link } from './ports/store.ts'
import type { ConnectionRules, Rules } from './rules.ts'
import { lackingReason, type Repair } from './standard.ts'
import type { Workspace } from './workspace.ts'

export interface PlanTerms {
  readonly now_ms: number
  /** Why everything planned now is held (`approval`), or null. */
  readonly held: string | null
  /** Fields behind a brake, and the brake's sentence. */
  readonly heldFields: ReadonlyMap<string, string>
  readonly newId: () => string
  /** Everybody who stands for a merged person is in the workspace: whoever is not, is nobody. */
  readonly withStanding?: true
}

/**
 * Works out what is to be written so that every connection says what the person says: one open intent per connection at most,
 * in the place of whatever was planned before. A quiet person plans nothing (I2).
 */
export function planPerson(ws: Workspace, rules: Rules, personId: string, terms: PlanTerms): void {
  const person = ws.person(personId)
  if (!person) return
  if (person.state === 'merged') restage(ws, personId)
  const cells = valuesOf(person)
  for (const connection of rules.connections.values()) {
    const intent = planFor(ws, rules, connection, person, cells, terms)
    if (intent) ws.intend(intent)
    else if (intent === null) ws.withdraw(personId, connection.name)
  }
}

/** Records that came to somebody who is by now somebody else: they are matched like any that are heard. */
function restage(ws: Workspace, personId: string): void {
  for (const link of ws.linksOf(personId)) {
    if (link.state === 'linked') ws.saveLink({ ...link, personId: null, state: 'staged' })
  }
}

/** What a brake holds stays held when it is planned anew: only an operator lets it go. */
function stillBraked(intent: Intent, open: Intent | undefined): Intent {
  const braked = isBraked(open) && open?.op === intent.op
  return braked && intent.state === 'pending' ? { ...intent, state: 'held', held: open.held as string } : intent
}

/** The intent for one connection; null where nothing is to be written, undefined where the present plan stays as it is. */
function planFor(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  person: Person,
  cells: Cells,
  terms: PlanTerms,
): Intent | null | undefined {
  if (connection.direction === 'in') return null
  if (person.state === 'erased') return planErase(ws, connection, person, terms)
  if (person.state === 'merged') return planSecond(ws, connection, person, terms)
  const link = ws.linkIn(person.id, connection.name)
  const sending = ws.sending(person.id, connection.name)
  if (sending) {
    // Only when its answer is known can we tell for sure what is still to do.
    ws.markUnplanned(person.id)
    if (sending.op !== 'update') return undefined
  }
  if (person.state === 'deleted' || person.state === 'archived') return planDelete(ws, connection, person, link, terms)
  if (link && link.state === 'linked') {
    if (link.failure) return null
    // It is about to be read again, and planned then: nothing is written over what was not heard.
    if (link.recheck) {
      // It may have been read by the time this is committed: then nobody has seen what is newer.
      if (ws.isChanged(person.id)) ws.markUnplanned(person.id)
      return undefined
    }
    return planUpdate(ws, rules, connection, person, cells, link, sending?.fields ?? {}, terms)
  }
  const open = ws.openIntent(person.id, connection.name)
  // It may have been carried out, its answer lost: it is repeated as it was, and what is newer follows as an update.
  if (open?.op === 'create' && open.attempts > 0 && open.state !== 'parked') {
    // It may be settled before this decision is: then nobody has seen what is newer.
    if (ws.isChanged(person.id)) ws.markUnplanned(person.id)
    return undefined
  }
  const ignored = connection.deletes === 'ignore' && link?.reason !== LEFT_OUT
  const mayCreate = !link || (link.state === 'gone' && ignored)
  if (!mayCreate || !connection.create || ws.suspected(person.id, connection.name)) return null
  if (connection.include && !matches(connection.include, cells)) return null
  return planCreate(ws, connection, rules, person, cells, terms)
}

function planCreate(
  ws: Workspace,
  connection: ConnectionRules,
  rules: Rules,
  person: Person,
  cells: Cells,
  terms: PlanTerms,
): Intent | null {
  const fields = connection.lens.put(cells, null)
  const seen = connection.lens.get(fields)
  if (!isSomebody(seen) || connection.requires.some((field) => isBlank(fields[field]))) return null
  const consent = planConsent(ws, connection, person, fields, null)
  const intent = draft(terms, connection, person, {
    op: 'create',
    recordId: null,
    rev: null,
    fields: { ...fields, ...consent.fields },
    cells: { ...cellDifferences(rules, person, {}, seen), ...consent.cells },
  })
  return waitingForMore(ws, rules, stillBraked(intent, ws.openIntent(person.id, connection.name)), person, cells)
}

/** Somebody new who lacks what the standard requires is created nowhere until they have it, or an operator lets them pass. */
function waitingForMore(ws: Workspace, rules: Rules, intent: Intent, person: Person, cells: Cells): Intent {
  if (!rules.standard) return intent
  const origins = ws.linksOf(person.id).filter(({ state }) => state === 'linked' || state === 'missing')
  const lacking = rules.standard.lacking(
    cells,
    origins.map(({ connection }) => connection),
  )
  if (lacking.length === 0) return intent
  return { ...intent, state: 'held', held: lackingReason(lacking, (field) => rules.catalogue.field(field).title) }
}

function planUpdate(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  person: Person,
  cells: Cells,
  link: Link,
  underWay: JsonObject,
  terms: PlanTerms,
): Intent | null {
  const { lens } = connection
  const shadow: JsonObject = { ...link.fields, ...underWay }
  const present = lens.get(shadow)
  // Whoever does not belong there is left as he is; but for consent, which flows whatever the filters say.
  const belongs = !connection.include || matches(connection.include, cells)
  const wanted = withoutConflicts(ws, connection, person, cells, saidBy(rules, connection, shadow))
  const { patch, repairs } = belongs
    ? outstandingWith(rules, connection, wanted, shadow, link.rewrites)
    : { patch: {}, repairs: [] }
  const shown = { ...shadow, ...patch }
  const consent = planConsent(ws, connection, person, shown, link)
  const urgent = Object.keys(consent.fields).length > 0
  const update = (fields: JsonObject, planned: Intent['cells']): Intent | null =>
    Object.keys(fields).length === 0
      ? null
      : draft(terms, connection, person, {
          op: 'update',
          recordId: link.recordId,
          rev: link.rev,
          fields,
          cells: planned,
          urgent,
        })
  // Consent goes alone, and first: no brake holds it, and no other field that the app refuses keeps it back.
  if (urgent) return update(consent.fields, consent.cells)
  const intent = update(patch, {
    ...respelledCells(person, repairs),
    ...cellDifferences(rules, person, present, lens.get(shown)),
    ...consent.cells,
  })
  return intent && stillBraked(intent, ws.openIntent(person.id, connection.name))
}

function isBraked(intent: Intent | null | undefined): boolean {
  return intent?.state === 'held' && intent.held?.startsWith('brake:') === true
}

/**
 * The app fields that still say something else than they should. Where the app has made of this very value what it holds now,
 * sending it again would only go in a circle.
 */
export function outstanding(lens: Lens, cells: Cells, fields: JsonObject, rewrites: Link['rewrites']): JsonObject {
  return unlessRewritten(lens.put(cells, fields), fields, rewrites)
}

/** The same, and the app fields whose spelling the data standard asks to be another. */
function outstandingWith(
  rules: Rules,
  { lens, name }: ConnectionRules,
  cells: Cells,
  fields: JsonObject,
  rewrites: Link['rewrites'],
): { patch: JsonObject; repairs: readonly Repair[] } {
  const put = lens.put(cells, fields)
  const spelled = rules.standard?.door(name).respelled(lens, rules.catalogue, { ...fields, ...put })
  const patch = unlessRewritten({ ...put, ...spelled?.patch }, fields, rewrites)
  const sources = (cell: CellKey): readonly string[] => lens.sources.get(fieldOf(cell)) ?? []
  const repairs = spelled?.repairs.filter(({ to }) => sources(to).some((field) => field in patch)) ?? []
  return { patch, repairs }
}

/** A change of spelling only, which the field's own equality does not see: named by the rule that asks for it. */
function respelledCells(person: Person, repairs: readonly Repair[]): Intent['cells'] {
  const cells: { [cell: CellKey]: IntentCell } = {}
  for (const { to, before, after } of repairs) {
    const stamp = person.cells[to]?.stamp
    if (stamp) cells[to] = { before, after, stamp, rule: 'standard' }
  }
  return cells
}

function unlessRewritten(wanted: JsonObject, fields: JsonObject, rewrites: Link['rewrites']): JsonObject {
  const patch: { [field: string]: Json } = {}
  for (const [field, value] of Object.entries(wanted)) {
    const rewrite = rewrites[field]
    if (rewrite && sameJson(rewrite.sent, value) && sameJson(rewrite.got, fields[field] ?? null)) continue
    patch[field] = value
  }
  return patch
}

function planDelete(
  ws: Workspace,
  connection: ConnectionRules,
  person: Person,
  link: Link | undefined,
  terms: PlanTerms,
): Intent | null | undefined {
  if (ws.sending(person.id, connection.name)) return undefined
  const archive = person.state === 'archived'
  if (!link || link.state !== 'linked' || !connection.canDelete || (archive && !connection.canArchive)) return null
  // Somebody may have worked on it since: that is heard first, and may be a sign of life.
  if (link.recheck) return undefined
  const intent = draft(terms, connection, person, {
    op: 'delete',
    recordId: link.recordId,
    rev: link.rev,
    archive,
    fields: {},
    cells: {},
  })
  return stillBraked(intent, ws.openIntent(person.id, connection.name))
}

/**
 * What is to be erased waits for no approval and no brake: the law gives a month, and an operator has said yes to just this. What
 * else was to be written there is not.
 */
function planErase(
  ws: Workspace,
  connection: ConnectionRules,
  person: Person,
  terms: PlanTerms,
): Intent | null | undefined {
  if (ws.sending(person.id, connection.name)) {
    ws.markUnplanned(person.id)
    return undefined
  }
  const link = toErase(ws, person.id, connection)
  if (!link || !connection.canDelete) return null
  const { recordId, rev } = link
  const what = { op: 'delete' as const, recordId, rev, fields: {}, cells: {}, urgent: true }
  return { ...draft({ ...terms, held: null }, connection, person, what), erase: true, released: true }
}

/** What the person says, except where an operator is asked: there the record keeps its own value meanwhile. */
function withoutConflicts(
  ws: Workspace,
  connection: ConnectionRules,
  person: Person,
  cells: Cells,
  present: Cells,
): Cells {
  const conflicts = ws.conflictsOf(person.id, connection.name)
  if (conflicts.length === 0) return cells
  const wanted: { [cell: CellKey]: Json } = { ...cells }
  for (const { cell } of conflicts) {
    const own = present[cell]
    if (own === undefined) delete wanted[cell]
    else wanted[cell] = own
  }
  return wanted
}

/**
 * What is to become of a second record, whose person was folded into another: merged into the record that stands, where the app
 * can, else deleted there. Either cannot be undone, and is held until an operator says yes to it.
 */
function planSecond(
  ws: Workspace,
  connection: ConnectionRules,
  person: Person,
  terms: PlanTerms,
): Intent | null | undefined {
  const second = ws.linksOf(person.id).find((link) => link.connection === connection.name && link.state === 'second')
  if (!second) return null
  if (ws.sending(person.id, connection.name)) return undefined
  if (second.failure) return null
  if (second.recheck) return undefined
  const winner = standing(ws, second.candidates?.[0] ?? person.id)
  if (!winner && terms.withStanding === true) {
    // Whoever stood for the person is no more: the record is matched like any that is heard.
    ws.saveLink({ ...withoutFailure(second), personId: null, state: 'staged' })
    return null
  }
  if (!winner) {
    ws.markUnplanned(person.id)
    return undefined
  }
  const main = ws.linkIn(winner.id, connection.name)
  const ended = winner.state === 'deleted' || winner.state === 'archived'
  if (main?.state !== 'linked' && !ended) {
    // The other one went away meanwhile: this is the only record there is.
    ws.saveLink({ ...withoutFailure(second), personId: null, state: 'staged' })
    return null
  }
  ws.rely(winner.id)
  const merge = main?.state === 'linked' && !ended && canMerge(connection, second.recordId, main.recordId)
  if (!merge && !connection.canDelete) return null
  const what = merge
    ? { op: 'merge' as const, into: main.recordId }
    : { op: 'delete' as const, archive: connection.canArchive }
  const { recordId, rev } = second
  const intent = draft(terms, connection, person, { ...what, recordId, rev, fields: {}, cells: {} })
  return { ...intent, state: 'held', held: DUPLICATE }
}

function canMerge({ canMerge: can, mergeable }: ConnectionRules, id: string, into: string): boolean {
  return can && (mergeable?.(id, into) ?? true)
}

function draft(
  terms: PlanTerms,
  connection: ConnectionRules,
  person: Person,
  what: Pick<Intent, 'op' | 'recordId' | 'rev' | 'fields' | 'cells' | 'into'> & { archive?: boolean; urgent?: boolean },
): Intent {
  const held = terms.held ?? brakeOn(person, connection, what.cells, terms)
  return {
    id: terms.newId(),
    connection: connection.name,
    personId: person.id,
    archive: false,
    urgent: false,
    ...what,
    state: held === null ? 'pending' : 'held',
    ...(held === null ? {} : { held }),
    released: false,
    attempts: 0,
    notBefore_ms: 0,
    planned_ms: terms.now_ms,
  }
}

/** The brake's sentence for a field that goes back and forth, or was changed in too many records; null for none. */
function brakeOn(person: Person, connection: ConnectionRules, cells: Intent['cells'], terms: PlanTerms): string | null {
  for (const key of Object.keys(cells)) {
    if (isConsentCell(key)) continue
    const field = fieldOf(key)
    const flips = person.cells[key]?.flips
    const recent = flips !== undefined && terms.now_ms - flips.since_ms <= connection.brakes.window_ms
    if (recent && flips.count >= connection.brakes.flips_max)
      return `brake: ${field} goes back and forth between two values`
    const reason = terms.heldFields.get(field)
    if (reason !== undefined) return reason
  }
  return null
}

/** What an intent does in canonical terms, each cell with the reason that its new value stands. */
function cellDifferences(rules: Rules, person: Person, before: Cells, after: Cells): Intent['cells'] {
  const cells: { [cell: CellKey]: IntentCell } = {}
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const from = before[key] ?? null
    const to = after[key] ?? null
    if (rules.catalogue.equal(key, from, to)) continue
    const cell = person.cells[key]
    const { stamp, rule } = cell ?? { stamp: { at: 0, by: 'kith' }, rule: 'same' as const }
    cells[key] = { before: from, after: to, stamp, rule }
  }
  return cells
}
