import type { Act } from './act.ts'
import { consentKeysOf } from './consent.ts'
import type { Cells } from './catalogue.ts'
import { mapped } from './diff.ts'
import { saidBy, withoutFailure } from './hear.ts'
import { compareNames, keysOf, nameWords } from './identity.ts'
import { sameJson, type JsonObject } from './json.ts'
import { blankLink } from './link.ts'
import { valuesOf, type Person } from './person.ts'
import type { AppRecord } from './ports/connector.ts'
import type { Link } from './ports/store.ts'
import type { ConnectionRules, Rules } from './rules.ts'
import type { Workspace } from './workspace.ts'

/**
 * Somebody has asked to be forgotten. From the first moment their keys are barred; then every app is asked to delete what it
 * has of them; and when all have answered, what Kith has of them goes too. What stays are hashes under a key of the store's
 * own: enough to know them again, and nothing to know them by.
 */
export interface Erasure {
  readonly id: string
  readonly opened_ms: number
  readonly by: string
  readonly why: string
  /** Who is erased: the person, and everybody who was merged into them. Ids only. */
  readonly people: readonly string[]
  /** `open`: not every app has answered. `done`: they have, and the store is purged. `lifted`: the bar was a mistake. */
  readonly state: 'open' | 'done' | 'lifted'
  /** An earlier erasure, whose records had come back. */
  readonly of?: string
  /** Connections that are not waited for, and who said why. */
  readonly waived: { readonly [connection: string]: Waiver }
  readonly certificate?: Certificate
  readonly lifted?: Waiver
}

export type Waiver = Pick<Act, 'at_ms' | 'by' | 'why'>

/** What was done, app by app. Ids and hashes only: it may lie anywhere. */
export interface Certificate {
  readonly erasure: string
  readonly opened: string
  readonly closed: string
  readonly by: string
  readonly records: readonly CertifiedRecord[]
  /** Keyed hashes of what the person is barred by. */
  readonly barred: readonly string[]
  /** What Kith itself had, and has no more. */
  readonly purged: { readonly [what: string]: number }
  /** When the bar was lifted, if it was: in the file only, so that no restore of an older backup bars them again. */
  readonly lifted?: string
}

/**
 * What became of one record.
 *
 * - `erased`  by the app's own call for it: not to be taken back
 * - `deleted` as a record is deleted there; the app may keep it in a bin for a while
 * - `gone`    it was not there any more
 * - `waived`  an operator has said that it is not waited for
 */
export interface CertifiedRecord {
  readonly connection: string
  /** The keyed hash of the record's id. */
  readonly record: string
  readonly outcome: 'erased' | 'deleted' | 'gone' | 'waived'
  readonly at: string
}

/** The reason of a `gone` link whose app has answered the erasure. */
export const ERASED = 'erased'

/**
 * What a person is barred by. An address or number that others have too bars only whoever has it with this name; somebody
 * without any is known by the records they had.
 *
 * @param shared keys that somebody has who is not erased
 */
export function barredKeys(people: readonly Person[], links: readonly Link[], shared: ReadonlySet<string>): string[] {
  const names = people.map((person) => valuesOf(person))
  const keys = keysOfPeople(people, links).flatMap((key) =>
    shared.has(key) ? names.flatMap((cells) => namedKey(key, cells) ?? []) : [key],
  )
  return [...new Set([...keys, ...links.map(recordKey)])].sort()
}

/** Every address, number and external id that they have or had. */
export function keysOfPeople(people: readonly Person[], links: readonly Link[]): string[] {
  const held = links.flatMap((link) => link.keys)
  const told = people.flatMap(consentKeysOf).filter((key) => !key.startsWith('phone:') || digits(key) >= 6)
  return [...new Set([...held, ...told])].sort()
}

function digits(text: string): number {
  return text.replace(/\D/g, '').length
}

/** A key together with the name it comes with; null where there is no name. */
export function namedKey(key: string, cells: Cells): string | null {
  const words = nameWords(cells)
  return words.length === 0 ? null : `${key}\n${words.toSorted().join(' ')}`
}

export function recordKey({ connection, recordId }: Pick<Link, 'connection' | 'recordId'>): string {
  return `record:${connection}/${recordId}`
}

/** All that has to be looked up to tell whether a record is of somebody who was erased. */
export function keysToLookUp(link: Pick<Link, 'connection' | 'recordId' | 'keys'>, cells: Cells): string[] {
  return [...namedOrNot(link.keys, cells), recordKey(link)]
}

/** Keys as they are, and together with the name that they come with. */
export function namedOrNot(keys: readonly string[], cells: Cells): string[] {
  return [...keys, ...keys.flatMap((key) => namedKey(key, cells) ?? [])]
}

/**
 * The erasure that a record that nobody has yet falls under; undefined where it may go on. It does where every address and
 * external id it has is barred; a number counts where there is nothing else. A record that has been known as an erased
 * person's, or that was theirs, stays so as long as it has any barred key.
 */
export function erasureOf(link: Link, cells: Cells, barred: ReadonlyMap<string, string>): string | undefined {
  if (barred.size === 0) return undefined
  const hit = (key: string): string | undefined => barred.get(key) ?? barred.get(namedKey(key, cells) ?? key)
  const hits = link.keys.flatMap((key) => hit(key) ?? [])
  const theirs = barred.get(recordKey(link))
  const before = theirs !== undefined || link.reason?.startsWith(EXCLUDED) === true
  if (link.keys.length === 0) return theirs
  if (before) return hits[0]
  return isKnownAsErased(link.keys, cells, barred) ? hits[0] : undefined
}

/** Whether there are keys, and every one that counts is barred: each address and external id, or, without one, each number. */
export function isKnownAsErased(
  keys: readonly string[],
  cells: Cells,
  barred: Pick<ReadonlyMap<string, string>, 'has'>,
): boolean {
  const strong = keys.filter((key) => !key.startsWith('phone:'))
  const decisive = strong.length > 0 ? strong : keys
  return decisive.length > 0 && decisive.every((key) => barred.has(key) || barred.has(namedKey(key, cells) ?? key))
}

/** The erasure that a record falls under which is nobody's, as it was heard last; undefined where it may go on. */
export function excluderOf(
  rules: Rules,
  connection: ConnectionRules,
  record: AppRecord,
  link: Link | undefined,
  barred: ReadonlyMap<string, string>,
): string | undefined {
  const cells = saidBy(rules, connection, mapped(connection.lens, record.fields))
  return erasureOf({ ...bareLink(connection.name, record, link), keys: keysOf(cells, rules.catalogue) }, cells, barred)
}

/**
 * A record that was somebody's says nothing by now but what an erased person is known by, under another name: a human has merged
 * it into theirs, or written them into it. It takes no part any more; whoever it was of has no record there.
 *
 * Under the same name it is theirs still: what humans write of others in somebody's record is not taken away.
 */
export function excludeTurned(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  link: Link,
  record: AppRecord,
  barred: ReadonlyMap<string, string>,
): boolean {
  const person = ws.person(link.personId ?? '')
  if (!person || person.state === 'erased') return false
  const erasure = excluderOf(rules, connection, record, link, barred)
  if (erasure === undefined) return false
  const likeness = compareNames(saidBy(rules, connection, mapped(connection.lens, record.fields)), valuesOf(person))
  if (likeness === 'same' || likeness === 'near' || likeness === 'alike') return false
  for (const conflict of ws.conflictsOf(person.id, connection.name)) ws.saveConflict({ ...conflict, open: false })
  ws.withdraw(person.id, connection.name)
  ws.saveLink(excluded(bareLink(connection.name, record, link), erasure))
  ws.touch(person.id)
  return true
}

/** A record with nothing of what it says. */
export function bareLink(connection: string, record: Pick<AppRecord, 'id' | 'rev'>, before: Link | undefined): Link {
  return {
    ...blankLink(connection, record.id, 'staged'),
    rev: record.rev,
    version: before?.version ?? 0,
    ...(before?.reason === undefined ? {} : { reason: before.reason }),
  }
}

const EXCLUDED = 'erased: '

/** The reason of a link that is excluded, which names the erasure. */
export function excludedBy(erasure: string): string {
  return `${EXCLUDED}${erasure}`
}

/** The erasure that a link is excluded by. */
export function excluder(link: Pick<Link, 'reason'>): string | undefined {
  return link.reason?.startsWith(EXCLUDED) ? link.reason.slice(EXCLUDED.length) : undefined
}

/** A record of an erased person: known to be there, nothing of it kept. */
export function excluded(link: Link, erasure: string): Link {
  const { candidates: _candidates, failure: _failure, modified_ms: _modified, fieldTimes_ms: _times, ...rest } = link
  return {
    ...rest,
    personId: null,
    state: 'erased',
    fields: {},
    keys: [],
    base_ms: {},
    rewrites: {},
    recheck: false,
    reason: excludedBy(erasure),
  }
}

/**
 * Marks people as to be erased: nothing that is heard or decided from now on makes them live again, and every record of theirs is
 * to be deleted.
 *
 * @returns everybody who is erased: besides the people those who had to be made for a record
 */
export function beginErasure(ws: Workspace, people: readonly Person[], newId: () => string): string[] {
  const carriers: string[] = []
  for (const person of people) {
    ws.savePerson({ ...person, state: 'erased' })
    const taken = new Set<string>()
    for (const link of ws.linksOf(person.id)) {
      for (const conflict of ws.conflictsOf(person.id, link.connection)) ws.saveConflict({ ...conflict, open: false })
      if (link.state === 'gone') continue
      // At most one linked record of a person in a connection: any other is carried by somebody who is nobody else.
      if (taken.has(link.connection)) carriers.push(carry(ws, link, newId()))
      else ws.saveLink({ ...withoutFailure(link), state: 'linked', recheck: false })
      taken.add(link.connection)
    }
  }
  return [...people.map(({ id }) => id), ...carriers]
}

/**
 * Makes a record that is nobody's a record to be erased: of a person without any values, made for it alone.
 * @returns the id of that person
 */
export function carry(ws: Workspace, link: Link, id: string): string {
  ws.savePerson({ id, version: 0, cells: {}, state: 'erased' } satisfies Person)
  ws.saveLink({ ...withoutFailure(link), personId: id, state: 'linked', recheck: false })
  return id
}

/**
 * A record of somebody who is being erased is heard of: nothing of it becomes theirs, but the shadow is as it should be when it is
 * deleted. If it is there again, it goes again.
 */
export function sightErased(ws: Workspace, link: Link, rev: string | null, fields: JsonObject): void {
  const personId = link.personId as string
  const rival = ws
    .linksOf(personId)
    .some((one) => one.connection === link.connection && one.recordId !== link.recordId && one.state === 'linked')
  const state = rival ? 'missing' : 'linked'
  const same = link.state === state && link.rev === rev && !link.recheck && !link.failure
  if (same && sameJson(link.fields, fields)) return
  ws.saveLink({ ...withoutFailure(link), state, rev, fields, recheck: false })
  ws.touch(personId)
}

/** The record of somebody who is being erased that its app has not answered for yet; undefined where all is answered. */
export function toErase(
  ws: Workspace,
  personId: string,
  connection: Pick<ConnectionRules, 'name' | 'canErase'>,
): Link | undefined {
  const open = ws
    .linksOf(personId)
    .filter((link) => link.connection === connection.name && isToErase(link, connection.canErase))
  return open.find((link) => link.state !== 'gone') ?? open[0]
}

/** What was deleted before still lies in the app's bin, where the app has one: there it is erased too. */
export function isToErase(link: Pick<Link, 'state' | 'reason'>, canErase: boolean): boolean {
  return link.state === 'gone' ? canErase && link.reason !== ERASED : true
}
