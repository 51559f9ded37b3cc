import type { CellKey } from './catalogue.ts'
import type { Consent } from './consent.ts'
import { sameJson, type Json } from './json.ts'
import type { Cell, Person, Rule } from './person.ts'
import { apart } from './apart.ts'
import type { Apart, Change, Commit, Conflict, Intent, Link, Neighbourhood, Tally } from './ports/store.ts'
import type { Stamp } from './stamp.ts'

const linkKey = (connection: string, recordId: string): string => `${connection}\n${recordId}`
const pairKey = (personId: string, connection: string): string => `${personId}\n${connection}`

/**
 * The part of the world that one decision is about, while it is being decided: what was loaded, overlaid by what has been
 * decided so far. In the end it is turned into one {@link Commit} that holds only what differs from what was loaded.
 */
export class Workspace {
  readonly #people = new Map<string, Person>()
  readonly #links = new Map<string, Link>()
  readonly #linksOf = new Map<string, Set<string>>()
  readonly #open = new Map<string, Intent>()
  readonly #sending = new Map<string, Intent>()
  readonly #conflicts = new Map<string, Conflict>()
  readonly #suspected: ReadonlyMap<string, ReadonlySet<string>>

  readonly #changedPeople = new Set<string>()
  readonly #touched = new Set<string>()
  readonly #changedLinks = new Set<string>()
  readonly #changedConflicts = new Map<string, Conflict>()
  readonly #changes: Change[] = []
  readonly #intents = new Map<string, Intent>()
  readonly #withdrawn = new Map<string, { personId: string; connection: string }>()
  readonly #tallies = new Map<string, Tally>()
  readonly #unplanned = new Set<string>()
  readonly #reliedOn = new Set<string>()
  readonly #consents = new Map<string, Consent>()
  readonly #consentsSeen = new Map<string, number>()
  readonly #changedConsents = new Set<string>()
  readonly #apart = new Map<string, Apart>()

  /** @param consents what the ledger says of every address in question; see consentKeys in consents.ts */
  constructor(hood: Neighbourhood, consents: readonly Consent[] = []) {
    for (const consent of consents) this.#consents.set(consent.key, consent)
    for (const person of hood.people) this.#people.set(person.id, person)
    for (const link of hood.links) this.#keepLink(link)
    for (const intent of hood.intents) {
      const side = intent.state === 'sending' ? this.#sending : this.#open
      side.set(pairKey(intent.personId, intent.connection), intent)
    }
    for (const conflict of hood.conflicts) {
      if (conflict.open) this.#conflicts.set(conflictKey(conflict), conflict)
    }
    this.#suspected = hood.suspected
  }

  person(id: string): Person | undefined {
    return this.#people.get(id)
  }

  link(connection: string, recordId: string): Link | undefined {
    return this.#links.get(linkKey(connection, recordId))
  }

  /** Every link of a person, gone ones included. */
  linksOf(personId: string): Link[] {
    return [...(this.#linksOf.get(personId) ?? [])].map((key) => this.#links.get(key) as Link)
  }

  /** The person's link in one connection: a living one before one that is gone. */
  linkIn(personId: string, connection: string): Link | undefined {
    const links = this.linksOf(personId).filter((link) => link.connection === connection)
    const second = (link: Link): boolean => link.state === 'second'
    return links.find((link) => link.state !== 'gone' && !second(link)) ?? links.find((link) => !second(link))
  }

  openIntent(personId: string, connection: string): Intent | undefined {
    return this.#open.get(pairKey(personId, connection))
  }

  /** The write of this person that is under way in a connection, its answer not known yet. */
  sending(personId: string, connection: string): Intent | undefined {
    return this.#sending.get(pairKey(personId, connection))
  }

  conflict(personId: string, connection: string, cell: CellKey): Conflict | undefined {
    return this.#conflicts.get(conflictKey({ personId, connection, cell }))
  }

  conflictsOf(personId: string, connection: string): Conflict[] {
    return [...this.#conflicts.values()].filter((item) => item.personId === personId && item.connection === connection)
  }

  /** Whether a record not yet told apart may be this person in that connection. */
  suspected(personId: string, connection: string): boolean {
    return this.#suspected.get(personId)?.has(connection) ?? false
  }

  /** What is known of an address. What was looked at must still hold when this is committed. */
  consent(key: string): Consent | undefined {
    const consent = this.#consents.get(key)
    if (!this.#consentsSeen.has(key)) this.#consentsSeen.set(key, consent?.version ?? 0)
    return consent
  }

  saveConsent(consent: Consent): void {
    this.consent(consent.key)
    this.#consents.set(consent.key, consent)
    this.#changedConsents.add(consent.key)
  }

  /** Whoever is erased stays so, whatever else becomes of them. */
  savePerson(person: Person): void {
    const erased = this.#people.get(person.id)?.state === 'erased' && person.state !== 'erased'
    this.#people.set(person.id, erased ? { ...person, state: 'erased' } : person)
    this.#changedPeople.add(person.id)
    this.#touched.add(person.id)
  }

  /** The person is to be planned anew although none of its own values changed. */
  touch(personId: string): void {
    this.#touched.add(personId)
  }

  saveLink(link: Link): void {
    this.#keepLink(link)
    this.#changedLinks.add(linkKey(link.connection, link.recordId))
  }

  saveConflict(conflict: Conflict): void {
    const key = conflictKey(conflict)
    if (conflict.open) this.#conflicts.set(key, conflict)
    else this.#conflicts.delete(key)
    this.#changedConflicts.set(key, conflict)
  }

  /** These two are different, for good. */
  keepApart(one: string, other: string): void {
    const pair = apart(one, other)
    this.#apart.set(`${pair.a}\n${pair.b}`, pair)
  }

  log(change: Change): void {
    this.#changes.push(change)
  }

  /** Opens an intent, in the place of the one that was open. One that says the same as before is left as it stands. */
  intend(intent: Intent): void {
    const key = pairKey(intent.personId, intent.connection)
    const open = this.#open.get(key)
    if (open && sameIntent(open, intent)) return
    this.#open.set(key, intent)
    this.#intents.set(key, intent)
    this.#withdrawn.delete(key)
  }

  /** Takes back an open intent, if there is one. */
  withdraw(personId: string, connection: string): void {
    const key = pairKey(personId, connection)
    if (!this.#open.delete(key)) return
    this.#intents.delete(key)
    this.#withdrawn.set(key, { personId, connection })
  }

  tally(connection: string, what: string, at_ms: number): void {
    const key = `${connection}\n${what}`
    const count = (this.#tallies.get(key)?.count ?? 0) + 1
    this.#tallies.set(key, { connection, what, count, at_ms })
  }

  /** The decision rests on the person as it is, although it is not changed. */
  rely(personId: string): void {
    this.#reliedOn.add(personId)
  }

  /** The person's plan is to be made later, in a step of its own. */
  markUnplanned(personId: string): void {
    this.#unplanned.add(personId)
  }

  /** Whether the person is written by this decision. */
  isChanged(personId: string): boolean {
    return this.#changedPeople.has(personId)
  }

  /** People that were changed or touched: those whose plan may differ now. */
  get touchedPeople(): string[] {
    return [...this.#touched]
  }

  /** What was decided, as facts that become true together. */
  commit(): Commit {
    return {
      people: [...this.#changedPeople].map((id) => this.#people.get(id) as Person),
      links: [...this.#changedLinks].map((key) => this.#links.get(key) as Link),
      changes: this.#changes,
      conflicts: [...this.#changedConflicts.values()],
      intents: [...this.#intents.values()],
      withdrawn: [...this.#withdrawn.values()],
      unplanned: [...this.#unplanned],
      seen: this.#seen(),
      tallies: [...this.#tallies.values()],
      apart: [...this.#apart.values()],
      consents: [...this.#changedConsents].map((key) => this.#consents.get(key) as Consent),
      consentsSeen: [...this.#consentsSeen].map(([key, version]) => ({ key, version })),
    }
  }

  /** Whoever is planned without being changed: the plan holds only for the person that was looked at. */
  #seen(): { id: string; version: number }[] {
    const planned = new Set([...this.#intents.values(), ...this.#withdrawn.values()].map((item) => item.personId))
    return [...new Set([...planned, ...this.#reliedOn])]
      .filter((id) => !this.#changedPeople.has(id))
      .flatMap((id) => this.#people.get(id) ?? [])
      .map(({ id, version }) => ({ id, version }))
  }

  #keepLink(link: Link): void {
    const key = linkKey(link.connection, link.recordId)
    const old = this.#links.get(key)
    if (old?.personId && old.personId !== link.personId) this.#linksOf.get(old.personId)?.delete(key)
    this.#links.set(key, link)
    if (link.personId === null) return
    const keys = this.#linksOf.get(link.personId) ?? new Set()
    keys.add(key)
    this.#linksOf.set(link.personId, keys)
  }
}

function conflictKey(conflict: Pick<Conflict, 'personId' | 'connection' | 'cell'>): string {
  return `${conflict.personId}\n${conflict.connection}\n${conflict.cell}`
}

/** Whether two intents would do the same to the app: the newer one then changes nothing, least of all a parked one's rest. */
function sameIntent(a: Intent, b: Intent): boolean {
  const hold = a.state === 'parked' || (a.held ?? '') === (b.held ?? '') || a.released
  return (
    a.op === b.op &&
    a.recordId === b.recordId &&
    a.into === b.into &&
    a.archive === b.archive &&
    a.erase === b.erase &&
    hold &&
    sameJson(a.fields as Json, b.fields as Json) &&
    (a.rev === b.rev || a.state === 'parked')
  )
}

/** What a change-log entry needs besides the value. */
export interface ChangeOrigin {
  readonly personId: string
  readonly recordId: string | null
  readonly now_ms: number
}

export function changeOf(
  origin: ChangeOrigin,
  cell: CellKey,
  before: Json,
  after: Json,
  stamp: Stamp,
  kind: Change['kind'],
  rule: Rule,
): Change {
  return {
    personId: origin.personId,
    cell,
    before,
    after,
    stamp,
    recordId: origin.recordId,
    kind,
    rule,
    heard_ms: origin.now_ms,
  }
}

export function withCell(person: Person, key: CellKey, cell: Cell): Person {
  return { ...person, cells: { ...person.cells, [key]: cell } }
}
