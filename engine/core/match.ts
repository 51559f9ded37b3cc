import { personSubject, recordSubject, type Apartness } from './apart.ts'
import type { Cells } from './catalogue.ts'
import { erasureOf, excluded } from './erasure.ts'
import { hearRecord, saidBy, withoutFailure } from './hear.ts'
import { areApart, keysOf, matchRecord, type Candidate, type KeyEvidence } from './identity.ts'
import { standing } from './people.ts'
import { valuesOf, type Person } from './person.ts'
import type { AppRecord } from './ports/connector.ts'
import type { Intent, KeyHolder, Link } from './ports/store.ts'
import type { Rules } from './rules.ts'
import type { Workspace } from './workspace.ts'

export interface MatchTerms {
  readonly now_ms: number
  readonly newId: () => string
  /** Connections with creates under way: a record there that nobody matches may be one of ours, and waits. */
  readonly creating: ReadonlySet<string>
  /** Who is known to be different: such a person is no candidate by an address or a number. */
  readonly apart: Apartness
  /** Keys of people who were erased: a record of theirs is matched with nobody, and is nobody's. */
  readonly barred: ReadonlyMap<string, string>
}

/**
 * Decides who staged records are, one after the other in the order given: links each to the person it is, makes a new person
 * of it, or leaves it to an operator. People that gain a record are marked for planning, so that nothing is planned before
 * everybody is matched. Deletes nothing, merges no two people.
 *
 * @param holders everybody who holds one of the records' keys
 */
export function decideMatch(
  ws: Workspace,
  rules: Rules,
  staged: readonly Link[],
  holders: readonly KeyHolder[],
  terms: MatchTerms,
): void {
  const directory = new Directory(holders)
  for (const link of staged) {
    const connection = rules.connections.get(link.connection)
    if (!connection) continue
    const cells = saidBy(rules, connection, link.fields)
    const erasure = erasureOf(link, cells, terms.barred)
    if (erasure !== undefined) {
      ws.saveLink(excluded(link, erasure))
      continue
    }
    const evidence = link.keys.map((key) => judge(ws, rules, directory.evidence(key, link), link, terms.apart))
    const match = matchRecord(cells, evidence, candidatesFor(ws, evidence, link), rules.match)
    // The record may be the very one that we are creating: once that is known, it is matched again.
    if (match.kind === 'linked' && ws.sending(match.personId, link.connection)?.op === 'create') continue
    // Or the one that we have created without hearing of it: the create is repeated, and what we wrote is no news.
    if (match.kind === 'linked' && isMadeBy(ws.openIntent(match.personId, link.connection), link.recordId)) continue
    if (match.kind === 'ambiguous') {
      ws.saveLink({ ...link, state: 'ambiguous', candidates: match.candidates, reason: match.reason })
      directory.place(link, null)
      continue
    }
    if (match.kind === 'new' && terms.creating.has(link.connection)) continue
    const personId = match.kind === 'linked' ? match.personId : terms.newId()
    const record = recordOf(link)
    if (match.kind === 'new') {
      // A new person is all that the record says: what a first reading would merge cell by cell.
      ws.savePerson({ id: personId, version: 0, cells: {}, state: 'live' } satisfies Person)
    }
    // Whoever was deleted and is there again lives: a new record is never deleted for the old one's sake.
    revive(ws, personId)
    const linked: Link = { ...withoutFailure(link), personId, state: 'linked' }
    ws.saveLink(linked)
    hearRecord(ws, rules, connection, linked, record, terms.now_ms, true)
    // It was heard as it is known, and is to be read again still: it may be gone.
    if (link.recheck) ws.saveLink({ ...(ws.link(link.connection, link.recordId) as Link), recheck: true })
    ws.withdraw(personId, link.connection)
    ws.markUnplanned(personId)
    directory.place(link, personId)
  }
}

/** The holders of a key as they are by now, without those that an operator has told apart from the record. */
function judge(ws: Workspace, rules: Rules, evidence: KeyEvidence, link: Link, apart: Apartness): KeyEvidence {
  const strong = evidence.key.startsWith('externalId:')
  const record = recordSubject(link.connection, link.recordId)
  const people = evidence.people
    .map((id) => standing(ws, id))
    // Whoever is being erased is nobody to be found any more.
    .flatMap((person) => (person && person.state !== 'erased' ? person : []))
    .filter(
      (person) =>
        strong ||
        (!apart.has(record, personSubject(person.id)) &&
          !areApart(rules.match, link.keys, keysOf(valuesOf(person), rules.catalogue))),
    )
  return { ...evidence, people: [...new Set(people.map(({ id }) => id))].sort() }
}

/** A deleted person who is added again begins anew: where they were deleted, they are created again. */
export function revive(ws: Workspace, personId: string): void {
  const person = ws.person(personId)
  if (!person || person.state === 'live') return
  ws.savePerson({ ...person, state: 'live' })
  for (const link of ws.linksOf(personId)) if (link.state === 'gone') ws.saveLink({ ...link, personId: null })
}

/** Whether a create that is to be repeated may have made this record: where Kith chooses ids, they begin with the create's own. */
function isMadeBy(open: Intent | undefined, recordId: string): boolean {
  if (open?.op !== 'create' || open.attempts === 0 || open.state === 'parked') return false
  return recordId === open.id || recordId.startsWith(`${open.id}.`)
}

/** A staged link's shadow is the record as it was last heard. */
export function recordOf(link: Link): AppRecord {
  return {
    id: link.recordId,
    rev: link.rev,
    fields: link.fields,
    ...(link.modified_ms === undefined ? {} : { modified_ms: link.modified_ms }),
    ...(link.fieldTimes_ms === undefined ? {} : { fieldTimes_ms: link.fieldTimes_ms }),
  }
}

function candidatesFor(ws: Workspace, evidence: readonly KeyEvidence[], link: Link): Map<string, Candidate> {
  const candidates = new Map<string, Candidate>()
  for (const personId of new Set(evidence.flatMap((item) => item.people))) {
    const person = ws.person(personId)
    const cells: Cells = person ? valuesOf(person) : {}
    const rival = ws.linkIn(personId, link.connection)
    candidates.set(personId, { personId, cells, here: rival !== undefined && rival.state !== 'gone' })
  }
  return candidates
}

/** Who holds which key: as loaded, and as the decisions of this round have changed it. */
class Directory {
  readonly #holders = new Map<string, Map<string, KeyHolder>>()

  constructor(holders: readonly KeyHolder[]) {
    for (const holder of holders) this.#put(holder)
  }

  evidence(key: string, link: Link): KeyEvidence {
    const holders = [...(this.#holders.get(key)?.values() ?? [])]
    const others = holders.filter((item) => item.connection !== link.connection || item.recordId !== link.recordId)
    const people = new Set(others.map((item) => item.personId).filter((id) => id !== null))
    const perConnection = new Map<string, number>([[link.connection, 1]])
    for (const { connection } of others) perConnection.set(connection, (perConnection.get(connection) ?? 0) + 1)
    return { key, people: [...people].sort(), carriers: Math.max(...perConnection.values()) }
  }

  place(link: Link, personId: string | null): void {
    const state = personId === null ? 'ambiguous' : 'linked'
    const { connection, recordId } = link
    for (const key of link.keys) this.#put({ key, connection, recordId, personId, state })
  }

  #put(holder: KeyHolder): void {
    const holders = this.#holders.get(holder.key) ?? new Map<string, KeyHolder>()
    holders.set(`${holder.connection}\n${holder.recordId}`, holder)
    this.#holders.set(holder.key, holders)
  }
}
