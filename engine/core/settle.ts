import { isConsentCell } from './consent.ts'
import { ERASED } from './erasure.ts'
import { mapped } from './diff.ts'
import { ATTEMPTS_MAX, backoff_ms, reactionTo, type Failure } from './failure.ts'
import { compact, hearRecord, withoutFailure } from './hear.ts'
import { hearConsents } from './hear-consent.ts'
import { SECOND_RECORD } from './people.ts'
import { keysOf } from './identity.ts'
import { isBlank, sameJson, type Json, type JsonObject } from './json.ts'
import { blankLink } from './link.ts'
import { planConsent } from './plan-consent.ts'
import { outstanding } from './plan.ts'
import { valuesOf } from './person.ts'
import type { AppRecord } from './ports/connector.ts'
import type { Lens } from './ports/lens.ts'
import type { Intent, Link, Settlement } from './ports/store.ts'
import type { ConnectionRules, Rules } from './rules.ts'
import { changeOf, type Workspace } from './workspace.ts'

/** What is known of a write once its answer has come in. */
export type Answer =
  | { readonly kind: 'written'; readonly record: AppRecord }
  | { readonly kind: 'deleted' }
  /** The record is merged; `into` is the one that stands. */
  | { readonly kind: 'merged'; readonly into: string }
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** It was found out that the write never happened. */
  | { readonly kind: 'not-written' }
  /** The app holds neither what we sent nor what was there before: it is read again and heard. */
  | { readonly kind: 'overtaken' }
  /** It was not sent: an operator is to look at it first. */
  | { readonly kind: 'held'; readonly reason: string }

/** Intents with what became of them. */
export type Answered = readonly (readonly [Intent, Answer])[]

export interface SettleTerms {
  readonly now_ms: number
}

/**
 * Settles one intent on its own: partial failure is the normal case. The shadow becomes what the app returned.
 *
 * @returns the settlement; links and log go into the workspace. null for an answer that is still not known: the intent stays
 *   `sending` until its lease runs out and someone finds out.
 */
export function settleIntent(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  intent: Intent,
  answer: Answer,
  terms: SettleTerms,
): Settlement | null {
  const { now_ms } = terms
  const settled = (state: Settlement['state'], more: Partial<Settlement> = {}): Settlement => ({
    intentId: intent.id,
    state,
    now_ms,
    ...more,
  })
  switch (answer.kind) {
    case 'written':
      return settleWritten(ws, rules, connection, intent, answer.record, settled, now_ms)
    case 'deleted': {
      const link = ws.link(connection.name, intent.recordId ?? '')
      if (intent.erase) {
        if (link) endRecord(ws, link, ERASED)
        // Whoever has several records there goes from one after the other; and the last of them ends the erasure.
        ws.markUnplanned(intent.personId)
        return settled('done', { answer: { outcome: connection.canErase ? 'erased' : 'deleted' } })
      }
      if (link) endRecord(ws, link)
      if (!intent.released) ws.tally(connection.name, 'deleted', now_ms)
      return settled('done')
    }
    case 'merged': {
      const link = ws.link(connection.name, intent.recordId ?? '')
      if (link && link.state !== 'gone') endRecord(ws, link, `merged into ${answer.into}`)
      // What the merge has made of the record that stands is heard; where a third one stands, the app says so when asked.
      const main = ws.link(connection.name, intent.into ?? '')
      if (main && main.state !== 'gone') ws.saveLink({ ...main, recheck: true })
      return settled('done', { answer: { id: answer.into } })
    }
    case 'not-written':
      return settled('pending', { notBefore_ms: now_ms + backoff_ms(intent.attempts) })
    case 'held':
      return settled('held', { failure: { kind: 'permanent', message: answer.reason } })
    case 'overtaken':
      return reread(ws, connection, intent, settled('superseded'))
    case 'failed':
      return settleFailed(ws, connection, intent, answer.failure, settled, now_ms)
  }
}

/** A record that we have taken away. A second one was nobody's alone: if it comes back, it is matched anew. */
function endRecord(ws: Workspace, link: Link, reason?: string): void {
  const second = link.state === 'second'
  ws.saveLink({
    ...withoutFailure(link),
    state: 'gone',
    keys: [],
    recheck: false,
    ...(second ? { personId: null } : {}),
    ...(reason === undefined ? {} : { reason }),
  })
}

type Settle = (state: Settlement['state'], more?: Partial<Settlement>) => Settlement

function settleWritten(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  intent: Intent,
  record: AppRecord,
  settled: Settle,
  now_ms: number,
): Settlement {
  const link = ws.link(connection.name, record.id)
  if (link?.personId && link.personId !== intent.personId && intent.op === 'update') {
    // A merge has given the record to somebody else while we wrote: it is heard anew.
    ws.saveLink({ ...link, recheck: true })
    return settled('done', { answer: { id: record.id, rev: record.rev } })
  }
  if (link?.personId && link.personId !== intent.personId) {
    // The app took our create for a record of somebody else: two of our people are one of theirs.
    const message = 'the app already has this record, linked to another person'
    return settled('parked', {
      failure: { kind: 'permanent', message, advice: 'Run: kith why <person>, and merge the two.' },
    })
  }
  // Somebody has taken it away, or merged it into another, before its answer came in: the app is asked what became of it.
  const ended = intent.op === 'create' && link?.state === 'gone'
  if (intent.op === 'create' && ws.person(intent.personId)?.state === 'merged') {
    // Whoever it was made for turned out to be somebody else meanwhile: it is matched like any record that is heard. A human may have
    // been at it already, and the feed's word on it will pass for our echo.
    hearConsents(ws, connection, link, record, mapped(connection.lens, record.fields), now_ms)
    ws.saveLink({
      ...(link ?? blankLink(connection.name, record.id, 'linked')),
      fields: mapped(connection.lens, record.fields),
      rev: record.rev,
      state: 'staged',
      keys: keysOf(connection.lens.get(record.fields), rules.catalogue),
      ...(ended ? { recheck: true } : {}),
    })
    return settled('done', { answer: { id: record.id, rev: record.rev } })
  }
  // A merge of people that is decided at the same time does not know of this record.
  if (intent.op === 'create') ws.rely(intent.personId)
  const rival = link?.state === 'second' ? undefined : ws.linkIn(intent.personId, connection.name)
  if (rival && rival.state !== 'gone' && rival.recordId !== record.id) {
    // The record is no longer this person's: what became of it is heard from the app.
    if (intent.op === 'update') return settled('done', { answer: { id: record.id, rev: record.rev } })
    // While we were creating it, the person came to have another record there: two, and an operator decides.
    hearConsents(ws, connection, link, record, mapped(connection.lens, record.fields), now_ms)
    ws.saveLink({
      ...(link ?? blankLink(connection.name, record.id, 'linked')),
      fields: mapped(connection.lens, record.fields),
      rev: record.rev,
      state: 'ambiguous',
      candidates: [intent.personId],
      reason: SECOND_RECORD,
      keys: keysOf(connection.lens.get(record.fields), rules.catalogue),
      ...(ended ? { recheck: true } : {}),
    })
    return settled('done', { answer: { id: record.id, rev: record.rev } })
  }
  const returned = mapped(connection.lens, record.fields)
  const before: Link = link ?? blankLink(connection.name, record.id, 'linked')
  const created = intent.op === 'create'
  const others = strangeFields(connection, before, intent, returned)
  const written = created ? returned : { ...before.fields, ...pick(returned, intent.fields) }
  // What somebody else has made of our own write since is not in agreement yet: it is heard as an edit over what we sent.
  const unheard = others.map((field) => [
    field,
    intent.fields[field] ?? (created ? null : before.fields[field]) ?? null,
  ])
  const fields: JsonObject = { ...written, ...Object.fromEntries(unheard) }
  const sent = created ? saidOver(connection.lens, intent, fields) : intent.fields
  const rewrites = rewritesOf(before.rewrites, sent, fields)
  logRewrites(ws, rules, connection, intent, fields, record.id, now_ms)
  const base_ms = { ...before.base_ms }
  for (const [cell, { stamp }] of Object.entries(intent.cells)) if (!isConsentCell(cell)) base_ms[cell] = stamp.at
  ws.saveLink({
    ...(before.state === 'second' ? before : withoutFailure(before)),
    personId: intent.personId,
    // An update that was under way when its record turned out to be a second one.
    state: before.state === 'second' ? 'second' : 'linked',
    fields,
    // With a stranger's edit in the answer the record must be heard once more: an old revision lets the feed through.
    rev: others.length > 0 ? before.rev : record.rev,
    base_ms: created ? compact(base_ms) : base_ms,
    rewrites,
    keys: keysOf(connection.lens.get(fields), rules.catalogue),
    recheck: before.recheck || others.length > 0 || ended,
    ...(record.modified_ms === undefined ? {} : { modified_ms: record.modified_ms }),
  })
  // What an operator let go is not counted against the next ones.
  if (created && !intent.released) ws.tally(connection.name, 'created', now_ms)
  const own = created && intent.attempts === 1 && others.length > 0
  if (own) hearOwn(ws, rules, connection, intent, record, now_ms)
  // Over a stranger's edit that was not heard nothing goes on: the old revision makes the app refuse it.
  const rev = others.length > 0 && !own ? before.rev : record.rev
  planOn(ws, connection, intent, before, ws.link(connection.name, record.id)?.fields ?? fields, rewrites, rev)
  return settled('done', { answer: { id: record.id, rev: record.rev } })
}

/**
 * What an app puts into a new record by itself (a status, an owner) is heard from the answer to the create: to read every new
 * record again would double the calls of a first sync. Where the create was repeated, somebody else may have been there since.
 */
function hearOwn(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  intent: Intent,
  record: AppRecord,
  now_ms: number,
): void {
  const link = ws.link(connection.name, record.id)
  if (!link) return
  hearConsents(ws, connection, link, record, mapped(connection.lens, record.fields), now_ms)
  hearRecord(ws, rules, connection, { ...link, recheck: false }, record, now_ms)
  if (ws.touchedPeople.includes(intent.personId)) ws.markUnplanned(intent.personId)
}

/**
 * Whether a write gives a record an address that it did not have: whatever was told about that one meanwhile, nobody has planned it
 * for this record, which was not found by it.
 */
export function bringsAddress({ lens }: ConnectionRules, { op, fields }: Intent, before: JsonObject): boolean {
  if (op === 'create') return lens.consents.length > 0
  return lens.consents.some((slot) => slot.key({ ...before, ...fields }) !== slot.key(before))
}

/** What was planned while the write was under way goes on over the new revision; what could not be planned then is now. */
function planOn(
  ws: Workspace,
  connection: ConnectionRules,
  intent: Intent,
  before: Link,
  fields: JsonObject,
  rewrites: Link['rewrites'],
  rev: string | null,
): void {
  const open = ws.openIntent(intent.personId, connection.name)
  if (open?.op === 'update') return ws.intend({ ...open, rev })
  if (open) {
    // It was planned when this one was not known to be on its way.
    ws.withdraw(intent.personId, connection.name)
    return ws.markUnplanned(intent.personId)
  }
  const person = ws.person(intent.personId)
  if (!person) return
  const left = outstanding(connection.lens, valuesOf(person), fields, rewrites)
  // A create is repeated as it was, whatever was told about consent meanwhile.
  const repeated = intent.op === 'create' && intent.attempts > 1 && connection.lens.consents.length > 0
  const told =
    bringsAddress(connection, intent, before.fields) &&
    Object.keys(planConsent(ws, connection, person, fields, { rewrites }).fields).length > 0
  if (repeated || told || Object.keys(left).length > 0 || person.state !== 'live') ws.markUnplanned(intent.personId)
}

/** How long an app that has refused to erase somebody is left in peace. */
const ERASE_AGAIN_ms = 900_000

function settleFailed(
  ws: Workspace,
  connection: ConnectionRules,
  intent: Intent,
  failure: Failure,
  settled: Settle,
  now_ms: number,
): Settlement | null {
  const again = (pause_ms: number): Settlement => settled('pending', { failure, notBefore_ms: now_ms + pause_ms })
  // Nobody is left half erased because an app has refused for long enough: it is asked again and again, and that is told.
  const patient = intent.erase === true
  switch (reactionTo(failure.kind)) {
    case 'retry':
      if (patient && intent.attempts >= ATTEMPTS_MAX) return again(ERASE_AGAIN_ms)
      return intent.attempts >= ATTEMPTS_MAX ? settled('parked', { failure }) : again(backoff_ms(intent.attempts))
    case 'wait':
      return again(failure.retryAfter_ms ?? backoff_ms(intent.attempts))
    case 'stop-connection':
      return again(backoff_ms(intent.attempts))
    case 'reread':
    case 'hear-deletion':
      // A create that meets `gone` or `conflict` has nothing to read again: an operator has to look.
      return intent.recordId === null
        ? settled('parked', { failure })
        : reread(ws, connection, intent, settled('superseded', { failure }))
    case 'park':
      // Whoever is erased, deleted or somebody else by now has nothing to be written that an operator could put right.
      if (ws.person(intent.personId)?.state !== 'live') ws.markUnplanned(intent.personId)
      return patient ? again(ERASE_AGAIN_ms) : settled('parked', { failure })
    case 'find-out':
      return null
  }
}

/** The record is read again as soon as possible; what it says decides what is planned next. */
function reread(ws: Workspace, connection: ConnectionRules, intent: Intent, settlement: Settlement): Settlement {
  const link = intent.recordId === null ? undefined : ws.link(connection.name, intent.recordId)
  if (link && !link.recheck && link.state !== 'gone') ws.saveLink({ ...link, recheck: true })
  ws.markUnplanned(intent.personId)
  return settlement
}

/**
 * Fields in the answer that are somebody else's edit, not heard yet: what we did not write and differs from the shadow; and,
 * where the answer is to a repeated write, what is unlike anything that an app would make of our own value.
 */
function strangeFields(connection: ConnectionRules, link: Link, intent: Intent, returned: JsonObject): string[] {
  return connection.lens.appFields.filter((field) => {
    const got = returned[field]
    if (got === undefined) return false
    const sent = intent.fields[field]
    if (sent !== undefined) return intent.attempts > 1 && !sameJson(got, sent) && !looksRewritten(sent, got)
    return intent.op === 'create' ? !isBlank(got) : !sameJson(got, link.fields[field] ?? null)
  })
}

/**
 * Whether `got` is what an app may have made of `sent` by itself: other case, spacing or punctuation, cut short. For lists,
 * element by element.
 */
export function looksRewritten(sent: Json, got: Json): boolean {
  if (Array.isArray(sent) && Array.isArray(got)) {
    return sent.length === got.length && sent.every((item, index) => looksRewritten(item, got[index] ?? null))
  }
  if (isObject(sent) && isObject(got)) {
    return Object.keys({ ...sent, ...got }).every((key) => looksRewritten(sent[key] ?? null, got[key] ?? null))
  }
  if (typeof sent !== 'string' || typeof got !== 'string') return sameJson(sent, got) || (isBlank(sent) && isBlank(got))
  const bare = (text: string): string => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '')
  return bare(got) === bare(sent) || (bare(got) !== '' && bare(sent).startsWith(bare(got)))
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function pick(returned: JsonObject, sent: JsonObject): JsonObject {
  return Object.fromEntries(Object.keys(sent).map((field) => [field, returned[field] ?? null]))
}

/**
 * What a create has sent, as an update would say it over the answer: an app that adds something of its own to an element of a
 * list (which one comes first) and leaves something out (its label) is not written to once more for that.
 */
function saidOver(lens: Lens, intent: Intent, fields: JsonObject): JsonObject {
  const sent = Object.entries(intent.cells).filter(([cell, { after }]) => after !== null && !isConsentCell(cell))
  const again = lens.put(Object.fromEntries(sent.map(([cell, { after }]) => [cell, after])), fields)
  return Object.fromEntries(Object.entries(intent.fields).map(([field, value]) => [field, again[field] ?? value]))
}

/** What the app made something else of; a field that it kept as sent is no longer a rewrite. */
function rewritesOf(before: Link['rewrites'], sent: JsonObject, got: JsonObject): Link['rewrites'] {
  const rewrites: { [field: string]: { sent: Json; got: Json } } = { ...before }
  for (const [field, value] of Object.entries(sent)) {
    if (sameJson(value, got[field] ?? null)) delete rewrites[field]
    else rewrites[field] = { sent: value, got: got[field] ?? null }
  }
  return rewrites
}

function logRewrites(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  intent: Intent,
  fields: JsonObject,
  recordId: string,
  now_ms: number,
): void {
  const got = connection.lens.get(fields)
  const origin = { personId: intent.personId, recordId, now_ms }
  for (const [cell, { after, stamp, rule }] of Object.entries(intent.cells)) {
    if (isConsentCell(cell) || rules.catalogue.equal(cell, after, got[cell] ?? null)) continue
    ws.log(changeOf(origin, cell, after, got[cell] ?? null, stamp, 'rewritten', rule))
  }
}

/**
 * What a record says about a write whose answer was lost: all of it is there, none of it, or something else altogether.
 */
export function judgeUncertain(link: Link | undefined, intent: Intent, record: AppRecord): Answer {
  const names = Object.keys(intent.fields)
  const holds = (field: string, value: Json | undefined): boolean =>
    sameJson(record.fields[field] ?? null, value ?? null)
  const made = (field: string): boolean =>
    holds(field, intent.fields[field]) || looksRewritten(intent.fields[field] ?? null, record.fields[field] ?? null)
  if (names.every(made)) return { kind: 'written', record }
  if (link && names.every((field) => holds(field, link.fields[field]))) return { kind: 'not-written' }
  // Some of it is there, and nothing of what was there before: somebody has edited the rest since, over what we sent. Taken
  // for an edit, our own part would come back as newer than what it was made of.
  const news = (field: string): boolean => link !== undefined && !holds(field, link.fields[field])
  if (names.some((field) => made(field) && news(field)) && names.every((field) => made(field) || news(field)))
    return { kind: 'written', record }
  return { kind: 'overtaken' }
}
