import { PERSON_RECORD, PERSON_STATE } from './catalogue.ts'
import { mapped, sameFields } from './diff.ts'
import { excludeTurned, sightErased } from './erasure.ts'
import { hearRecord, saidBy, withoutFailure } from './hear.ts'
import { hearConsents } from './hear-consent.ts'
import { keysOf } from './identity.ts'
import { blankLink } from './link.ts'
import { absorbPerson } from './people.ts'
import { planPerson, type PlanTerms } from './plan.ts'
import type { AppRecord, Sighting } from './ports/connector.ts'
import type { Link } from './ports/store.ts'
import type { ConnectionRules, Rules } from './rules.ts'
import { changeOf, type Workspace } from './workspace.ts'

/** A sighting whose data is at hand. */
export type Known = Exclude<Sighting, { kind: 'hint' }>

export interface ApplyTerms extends PlanTerms {
  /** The brake's sentence when deletions heard now are not to be believed, or null. */
  readonly deletionsHeld: string | null
  /** A create is under way in the connection: a record that nobody knows and that is gone already may be of its making. */
  readonly creating?: boolean
  /** Which keys of the records at hand are barred by erasures: see keysToLookUp in erasure.ts. Without it none is. */
  readonly barred?: ReadonlyMap<string, string>
}

/**
 * Decides what a chunk of sightings means: linked records are merged into their people and the people planned anew; records
 * not known yet are staged for matching; deletions, merges and unreadable records are followed. Pure: the same workspace and
 * sightings always give the same decision, and deciding twice decides nothing new.
 */
export function decideApply(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  sightings: readonly Known[],
  terms: ApplyTerms,
): void {
  for (const sighting of sightings) {
    switch (sighting.kind) {
      case 'record':
        sightRecord(ws, rules, connection, sighting.record, terms)
        break
      case 'gone':
        sightDeletion(ws, connection, sighting.id, terms)
        break
      case 'merged':
        sightMerge(ws, connection, sighting.id, sighting.into, terms)
        break
      case 'broken':
        sightBroken(ws, connection, sighting)
        break
    }
  }
  for (const personId of ws.touchedPeople) planPerson(ws, rules, personId, terms)
}

const NONE: ReadonlyMap<string, string> = new Map()

function sightRecord(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  record: AppRecord,
  { now_ms, barred = NONE }: ApplyTerms,
): void {
  const link = ws.link(connection.name, record.id)
  if (link?.state === 'gone' && !link.recheck) {
    // Back again; or a page that was read before it went. That is not believed before the record itself was asked for.
    ws.saveLink({ ...link, recheck: true })
    return
  }
  if (!link || link.personId === null) return stage(ws, rules, connection, link, record, now_ms)
  if (ws.person(link.personId)?.state === 'erased') {
    const fields = mapped(connection.lens, record.fields)
    hearConsents(ws, connection, link, record, fields, now_ms)
    return sightErased(ws, link, record.rev, fields)
  }
  if (link.state === 'second' && !ws.sending(link.personId, connection.name)) {
    return sightSecond(ws, rules, connection, link, record, now_ms)
  }
  if (ws.sending(link.personId, connection.name)) {
    // What is heard while our own write is under way may be its echo, or half of it: it is read again afterwards.
    if (!link.recheck) ws.saveLink({ ...link, recheck: true })
    return
  }
  if (record.modified_ms !== undefined && record.modified_ms < (link.modified_ms ?? 0) && link.rev !== record.rev) {
    // An old copy, most likely: it is read once more. What that says counts, for a clock may have been set back.
    const { modified_ms: _modified_ms, ...rest } = link
    ws.saveLink({ ...rest, recheck: true })
    return
  }
  const fields = mapped(connection.lens, record.fields)
  if (barred.size > 0 && excludeTurned(ws, rules, connection, link, record, barred))
    return hearConsents(ws, connection, undefined, record, fields, now_ms)
  if (link.state === 'gone' || link.state === 'missing') {
    const person = ws.person(link.personId)
    if (person && person.state !== 'live' && person.state !== 'merged') ws.savePerson({ ...person, state: 'live' })
    else ws.touch(link.personId)
    // It comes back to somebody who has another record there by now: two, and an operator decides.
    const rival = ws.linkIn(link.personId, connection.name)
    if (rival && rival.recordId !== link.recordId && rival.state === 'linked') {
      return stage(ws, rules, connection, { ...link, personId: null, state: 'staged' }, record, now_ms)
    }
  }
  hearConsents(ws, connection, link, record, fields, now_ms)
  hearRecord(ws, rules, connection, link, record, now_ms)
}

/**
 * A second record that waits to go away. Somebody has worked on it since the operator looked: nobody's work is thrown away
 * with it, so it is matched anew, and the operator asked again.
 */
function sightSecond(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  link: Link,
  record: AppRecord,
  now_ms: number,
): void {
  const personId = link.personId as string
  const fields = mapped(connection.lens, record.fields)
  if (!sameFields(connection.lens, link.fields, fields)) {
    ws.withdraw(personId, connection.name)
    return stage(ws, rules, connection, { ...link, personId: null, state: 'staged' }, record, now_ms)
  }
  hearConsents(ws, connection, link, record, fields, now_ms)
  if (link.rev === record.rev && !link.recheck && !link.failure) return
  const { failure: _failure, ...clean } = link
  ws.saveLink({ ...clean, rev: record.rev, recheck: false })
  ws.touch(personId)
}

/** A record that belongs to nobody yet waits to be matched; one that an operator is asked about waits on, unless it changed. */
function stage(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  link: Link | undefined,
  record: AppRecord,
  now_ms: number,
): void {
  const fields = mapped(connection.lens, record.fields)
  hearConsents(ws, connection, link, record, fields, now_ms)
  const keys = keysOf(saidBy(rules, connection, fields), rules.catalogue)
  if (link?.state === 'ambiguous' && sameFields(connection.lens, link.fields, fields)) {
    if (link.rev !== record.rev || link.recheck) ws.saveLink({ ...link, rev: record.rev, recheck: false })
    return
  }
  const clean = link && withoutFailure(link)
  ws.saveLink({
    connection: connection.name,
    recordId: record.id,
    personId: null,
    base_ms: {},
    rewrites: {},
    version: 0,
    ...clean,
    // Known as an erased person's: it is looked at more strictly when it is matched.
    ...(link?.state === 'erased' && link.reason !== undefined ? { reason: link.reason } : {}),
    state: 'staged',
    fields,
    keys,
    rev: record.rev,
    recheck: false,
    ...(record.modified_ms === undefined ? {} : { modified_ms: record.modified_ms }),
    ...(record.fieldTimes_ms === undefined ? {} : { fieldTimes_ms: record.fieldTimes_ms }),
  })
}

function sightDeletion(ws: Workspace, connection: ConnectionRules, id: string, terms: ApplyTerms): void {
  const link = ws.link(connection.name, id)
  if (!link) return rememberEnd(ws, connection, id, terms)
  if (link.state === 'gone') {
    if (link.recheck) ws.saveLink({ ...link, recheck: false })
    return
  }
  if (link.personId === null) {
    ws.saveLink({ ...withoutFailure(link), state: 'gone', keys: [] })
    return
  }
  if (link.state === 'second') {
    // One record less of somebody who has another one there: that means nothing elsewhere.
    ws.saveLink({ ...withoutFailure(link), state: 'gone', personId: null, keys: [], recheck: false })
    ws.withdraw(link.personId, connection.name)
    return
  }
  if (ws.sending(link.personId, connection.name)?.op === 'delete') {
    // The echo of our own delete, its answer not in yet: no sign that anybody else wants the person gone.
    ws.saveLink({ ...withoutFailure(link), state: 'gone', keys: [], recheck: false })
    return
  }
  if (terms.deletionsHeld !== null) {
    if (link.state !== 'missing' || link.recheck) {
      ws.saveLink({ ...link, state: 'missing', reason: terms.deletionsHeld, recheck: false })
    }
    return
  }
  believeDeletion(ws, connection, link, terms.now_ms)
}

/**
 * A record that nobody knows is gone. If it is the very one that Kith is creating, the feed says so once, and the answer to the
 * create comes after: that is to find the record ended, and to ask the app once more (settle.ts).
 */
function rememberEnd(ws: Workspace, connection: ConnectionRules, id: string, { creating }: ApplyTerms): void {
  if (creating) ws.saveLink(blankLink(connection.name, id, 'gone'))
}

/** The record is gone: the delete policy of its connection says what that means for the person elsewhere. */
export function believeDeletion(ws: Workspace, connection: ConnectionRules, link: Link, now_ms: number): void {
  const personId = link.personId as string
  ws.saveLink({ ...withoutFailure(link), state: 'gone', keys: [], recheck: false })
  ws.tally(connection.name, 'gone', now_ms)
  for (const conflict of ws.conflictsOf(personId, connection.name)) ws.saveConflict({ ...conflict, open: false })
  const person = ws.person(personId)
  if (!person) return
  // The echo of a delete that we sent ourselves, or that another app's deletion is about to cause.
  const already = person.state !== 'live'
  const state = already
    ? person.state
    : connection.deletes === 'propagate'
      ? 'deleted'
      : connection.deletes === 'archive'
        ? 'archived'
        : person.state
  ws.savePerson({ ...person, state })
  if (already) return
  const origin = { personId, recordId: link.recordId, now_ms }
  const stamp = { at: now_ms, by: connection.name }
  const record = { connection: connection.name, record: link.recordId }
  if (state !== person.state) ws.log(changeOf(origin, PERSON_STATE, person.state, state, stamp, 'applied', 'edit'))
  else if (connection.deletes === 'unlink')
    ws.log(changeOf(origin, PERSON_RECORD, record, null, stamp, 'applied', 'edit'))
}

/** One record was merged into another inside the app: whoever was linked to the loser is linked to the winner. */
function sightMerge(ws: Workspace, connection: ConnectionRules, id: string, into: string, terms: ApplyTerms): void {
  const { now_ms } = terms
  const loser = ws.link(connection.name, id)
  if (id === into) return
  if (!loser) return rememberEnd(ws, connection, id, terms)
  if (loser.state === 'gone') {
    if (loser.recheck) ws.saveLink({ ...loser, recheck: false })
    return
  }
  const winner = ws.link(connection.name, into)
  const isErased = (link: Link | undefined): boolean => ws.person(link?.personId ?? '')?.state === 'erased'
  if (isErased(loser) || isErased(winner)) return sightErasedMerge(ws, connection, loser, winner, into)
  ws.saveLink({
    ...withoutFailure(loser),
    state: 'gone',
    personId: null,
    keys: [],
    recheck: false,
    reason: `merged into ${into}`,
  })
  if (loser.personId === null) return
  if (loser.state === 'second') {
    // What it went into is another record of the same person, or becomes one by a sighting of its own.
    ws.withdraw(loser.personId, connection.name)
    if (winner && winner.state === 'linked') ws.saveLink({ ...winner, recheck: true })
    return
  }
  if (winner?.state === 'second') {
    // A human has merged the two the other way round: the second record is the one that stands.
    if (winner.personId !== null) ws.withdraw(winner.personId, connection.name)
    const { candidates: _candidates, reason: _reason, ...rest } = winner
    ws.saveLink({ ...rest, state: 'linked', personId: loser.personId, recheck: true })
    ws.touch(loser.personId)
    return
  }
  if (!winner || winner.personId === null) {
    // The winner is new to us: it takes over the loser's person and shadow, and what it says otherwise is heard as edits.
    ws.saveLink({
      ...withoutFailure(loser),
      recordId: into,
      rev: null,
      version: winner?.version ?? 0,
      state: 'linked',
      recheck: true,
    })
    ws.touch(loser.personId)
    return
  }
  if (winner.personId !== loser.personId) {
    absorbPerson(ws, loser.personId, winner.personId, { at: now_ms, by: connection.name })
  }
  ws.saveLink({ ...(ws.link(connection.name, into) as Link), recheck: true })
}

/**
 * Records were merged in an app while one of the two is being erased. What the human has put together is not taken for the
 * erased person's: the record that stands is looked at for itself, and goes on only if it is another's.
 */
function sightErasedMerge(
  ws: Workspace,
  connection: ConnectionRules,
  loser: Link,
  winner: Link | undefined,
  into: string,
): void {
  const personId = ws.person(loser.personId ?? '')?.state === 'erased' ? loser.personId : null
  const end = { state: 'gone', personId, keys: [], recheck: false, reason: `merged into ${into}` } as const
  if (loser.personId !== null) {
    ws.withdraw(loser.personId, connection.name)
    ws.touch(loser.personId)
  }
  ws.saveLink({ ...withoutFailure(loser), ...end })
  if (winner) ws.saveLink({ ...winner, recheck: true })
  else ws.saveLink(unreadLink(connection.name, into))
}

/** A record that is known by its id only, and is read next. */
function unreadLink(connection: string, recordId: string): Link {
  return { ...blankLink(connection, recordId, 'unreadable'), recheck: true }
}

function sightBroken(ws: Workspace, connection: ConnectionRules, sighting: Extract<Known, { kind: 'broken' }>): void {
  const link = ws.link(connection.name, sighting.id)
  const { rev, failure } = sighting
  if (!link) {
    ws.saveLink({
      connection: connection.name,
      recordId: sighting.id,
      personId: null,
      state: 'unreadable',
      fields: {},
      rev,
      base_ms: {},
      rewrites: {},
      keys: [],
      failure,
      recheck: false,
      version: 0,
    })
    return
  }
  const state = link.state === 'second' ? 'second' : link.personId !== null ? 'linked' : 'unreadable'
  const told = link.rev === rev && link.state === state && link.failure?.message === failure.message
  if (told && !link.recheck) return
  ws.saveLink({ ...link, state, rev, failure, recheck: false })
  if (link.personId !== null) ws.touch(link.personId)
}
