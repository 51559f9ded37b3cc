import type { Cells } from './catalogue.ts'
import type { Failure } from './failure.ts'
import { isSomebody } from './identity.ts'
import { matches } from './include.ts'
import { isBlank } from './json.ts'
import { DUPLICATE, LEFT_OUT, SECOND_RECORD } from './people.ts'
import { valuesOf, type Person } from './person.ts'
import { outstanding } from './plan.ts'
import type { Conflict, Intent, Link } from './ports/store.ts'
import type { ConnectionRules, Rules } from './rules.ts'
import { STANDARD_HOLD } from './standard.ts'

/**
 * How a record stands, or the place where a person has no record.
 *
 * - `in-sync`    it says what the person says, as far as the rules let it
 * - `waiting`    Kith goes on with it by itself
 * - `excluded`   the rules leave it alone
 * - `held`       an operator lets it go
 * - `parked`     the app refused a write
 * - `ambiguous`  whose it is, an operator says
 * - `unreadable` the app holds something that cannot be read
 */
export type HealthState = 'in-sync' | 'waiting' | 'excluded' | 'held' | 'parked' | 'ambiguous' | 'unreadable'

export const HEALTH_STATES: readonly HealthState[] = [
  'in-sync',
  'waiting',
  'excluded',
  'held',
  'parked',
  'ambiguous',
  'unreadable',
]

/** Every cause there is, with the state that it belongs to. */
export const CAUSES = {
  agrees: 'in-sync',
  sending: 'waiting',
  pending: 'waiting',
  retry: 'waiting',
  app: 'waiting',
  matching: 'waiting',
  reading: 'waiting',
  planning: 'waiting',
  erasing: 'waiting',
  approval: 'held',
  observe: 'held',
  brake: 'held',
  standard: 'held',
  conflict: 'held',
  duplicate: 'held',
  deletions: 'held',
  refused: 'parked',
  match: 'ambiguous',
  second: 'ambiguous',
  broken: 'unreadable',
  paused: 'excluded',
  erased: 'excluded',
  deleted: 'excluded',
  merged: 'excluded',
  direction: 'excluded',
  create: 'excluded',
  unlinked: 'excluded',
  suspected: 'excluded',
  include: 'excluded',
  requires: 'excluded',
  nobody: 'excluded',
  dropped: 'excluded',
} as const satisfies { readonly [cause: string]: HealthState }

export type HealthCause = keyof typeof CAUSES

export interface Health {
  readonly state: HealthState
  readonly cause: HealthCause
  /** One sentence; no personal value. */
  readonly why: string
  /** The command that moves it on; null where nothing has to be done. */
  readonly command: string | null
}

/** What the store knows of a record, or of a person's place in a connection: enough to say most of it. */
export interface Facts {
  /** null: the person has no record there. */
  readonly link: (Pick<Link, 'state' | 'reason' | 'recheck'> & { readonly broken: boolean }) | null
  /** The open write of the person there. */
  readonly intent: (Pick<Intent, 'state' | 'attempts'> & { readonly held: string | null }) | null
  /** A write is under way. */
  readonly sending: boolean
  readonly person: Person['state'] | null
  /** The person's plan is to be made anew. */
  readonly unplanned: boolean
  /** An operator is asked about a value of this record. */
  readonly conflict: boolean
  readonly connection: {
    readonly mode: 'observe' | 'live' | 'paused'
    /** In an operator's pause. */
    readonly paused: boolean
    readonly failing: boolean
  }
}

/**
 * The cause, as far as facts tell it; `rest` where nothing is under way, so that the rules say the last word. The store counts by
 * the very same order (`healthCounts`).
 */
export function causeOf(facts: Facts): HealthCause | 'rest' {
  const { link, intent, connection } = facts
  if (link?.state === 'erased') return 'erased'
  if (link && link.state !== 'gone' && (link.broken || link.state === 'unreadable')) return 'broken'
  if (link?.state === 'ambiguous') return link.reason?.startsWith(SECOND_RECORD) ? 'second' : 'match'
  if (intent?.state === 'parked') return 'refused'
  if (facts.person === 'erased') return 'erasing'
  if (connection.paused || connection.mode === 'paused') return 'paused'
  if (link?.state === 'missing') return 'deletions'
  if (facts.sending) return 'sending'
  if (intent?.state === 'held') return heldFor(intent.held)
  if (intent) return pendingFor(facts, intent.attempts)
  if (link?.state === 'staged') return 'matching'
  if (link?.state === 'second') return 'duplicate'
  if (link && link.state !== 'gone' && link.recheck) return 'reading'
  if (facts.unplanned) return 'planning'
  if (facts.conflict) return 'conflict'
  return 'rest'
}

/** A cause as it is counted without looking at anybody's values: `absent` is a person at rest who has no record there. */
export type CountedCause = HealthCause | 'absent'

/** What {@link causeOf} says, where the rules are not asked: a record at rest agrees, or is left alone by them. */
export function countedCause(facts: Facts): CountedCause {
  const cause = causeOf(facts)
  if (cause !== 'rest') return cause
  if (facts.person === null) return 'matching'
  if (facts.person !== 'live') return facts.person === 'merged' ? 'merged' : 'deleted'
  return facts.link && facts.link.state !== 'gone' ? 'agrees' : 'absent'
}

function heldFor(held: string | null): HealthCause {
  if (held === null || held === 'approval') return 'approval'
  if (held === DUPLICATE) return 'duplicate'
  return held.startsWith(STANDARD_HOLD) ? 'standard' : held === 'observe' ? 'observe' : 'brake'
}

function pendingFor({ connection }: Facts, attempts: number): HealthCause {
  if (connection.mode === 'observe') return 'observe'
  if (connection.failing) return 'app'
  return attempts > 0 ? 'retry' : 'pending'
}

/** A record, or the place of a person in a connection, with all that decides about it. */
export interface Place {
  readonly connection: {
    readonly name: string
    readonly mode: 'observe' | 'live' | 'paused'
    readonly paused: boolean
    readonly failure: Failure | null
    /** null: what its account holds is not known yet. */
    readonly rules: ConnectionRules | null
  }
  readonly link: Link | null
  readonly person: Person | null
  readonly intent: Intent | null
  readonly sending: boolean
  readonly unplanned: boolean
  /** The open ones about this record. */
  readonly conflicts: readonly Conflict[]
  /** A record that waits for a decision there may be this person. */
  readonly suspected: boolean
}

/** How it stands: exactly one state, with its cause and what to do. */
export function healthOf(place: Place, rules: Rules): Health {
  const { link, intent, person, connection } = place
  const cause = causeOf({
    link: link && { state: link.state, recheck: link.recheck, broken: link.failure !== undefined, ...reasonOf(link) },
    intent: intent && { state: intent.state, attempts: intent.attempts, held: intent.held ?? null },
    sending: place.sending,
    person: person?.state ?? null,
    unplanned: place.unplanned,
    conflict: place.conflicts.length > 0,
    connection: { mode: connection.mode, paused: connection.paused, failing: connection.failure !== null },
  })
  return told(cause === 'rest' ? atRest(place) : refined(cause, place, rules), place, rules)
}

function reasonOf({ reason }: Link): { reason?: string } {
  return reason === undefined ? {} : { reason }
}

/** A value that the standard holds waits as a conflict does. */
function refined(cause: HealthCause, place: Place, rules: Rules): HealthCause {
  if (cause !== 'conflict' || !rules.standard) return cause
  const door = rules.standard.door(place.connection.name)
  return place.conflicts.every(({ cell, theirs }) => door.holds(cell, theirs)) ? 'standard' : cause
}

/** Nothing is under way: what the rules say. */
function atRest({ link, person, connection, suspected }: Place): HealthCause {
  const { rules } = connection
  if (!person) return 'matching'
  if (person.state === 'merged') return 'merged'
  if (person.state !== 'live') return 'deleted'
  if (!rules) return 'app'
  const cells = valuesOf(person)
  const belongs = !rules.include || matches(rules.include, cells)
  if (link && link.state !== 'gone') return linkedAtRest(rules, link, cells, belongs)
  if (rules.direction === 'in') return 'direction'
  const again = rules.deletes === 'ignore' && link?.reason !== LEFT_OUT
  if (link && !again) return 'unlinked'
  if (!rules.create) return 'create'
  if (suspected) return 'suspected'
  if (!belongs) return 'include'
  const fields = rules.lens.put(cells, null)
  if (rules.requires.some((field) => isBlank(fields[field]))) return 'requires'
  return isSomebody(rules.lens.get(fields)) ? 'dropped' : 'nobody'
}

function linkedAtRest(rules: ConnectionRules, link: Link, cells: Cells, belongs: boolean): HealthCause {
  if (Object.keys(outstanding(rules.lens, cells, link.fields, link.rewrites)).length === 0) return 'agrees'
  if (rules.direction === 'in') return 'direction'
  return belongs ? 'dropped' : 'include'
}

function told(cause: HealthCause, place: Place, rules: Rules): Health {
  const { name } = place.connection
  const { why, command } = words(cause, place, rules, name)
  return { state: CAUSES[cause], cause, why, command }
}

/** What to say of each cause, and the command that moves it on. */
function words(
  cause: HealthCause,
  { link, intent, connection, conflicts, person }: Place,
  rules: Rules,
  name: string,
): Pick<Health, 'why' | 'command'> {
  const review = 'kith review'
  const titleOf = (field: string): string => rules.catalogue.field(field).title
  const about = person ? `kith why ${person.id}` : review
  const say = (why: string, command: string | null = null): Pick<Health, 'why' | 'command'> => ({ why, command })
  switch (cause) {
    case 'agrees':
      return say('it says what the person says')
    case 'sending':
      return say('a write is under way')
    case 'pending':
      return say('a write is about to be sent', 'kith sync')
    case 'retry':
      return say(`a write is tried again: ${intent?.failure?.message ?? 'it failed before'}`)
    case 'app':
      return say(connection.failure?.message ?? `${name} has not answered yet`, 'kith check')
    case 'matching':
      return say('it is not matched yet', 'kith sync')
    case 'reading':
      return say('it is to be read again', 'kith sync')
    case 'planning':
      return say('it is to be planned', 'kith sync')
    case 'erasing':
      return say('the person is being erased', 'kith forget')
    case 'approval':
      return say('a write waits for approval', 'kith approve')
    case 'observe':
      return say(`${name} is only observed: every write is held`, `set mode: live for ${name} in kith.yaml`)
    case 'brake':
      return say(intent?.held ?? 'a brake holds a write', `kith approve ${name}`)
    case 'standard':
      return intent?.held !== undefined
        ? say(intent.held, review)
        : say(
            `standard: ${listed(conflicts.map(({ cell }) => titleOf(fieldName(cell))))} held as it was said there`,
            review,
          )
    case 'conflict':
      return say(`two values of ${listed(conflicts.map(({ cell }) => titleOf(fieldName(cell))))}`, review)
    case 'duplicate':
      return say('a second record of the same person, to go away', review)
    case 'deletions':
      return say(link?.reason ?? 'a brake: its deletion is not believed', `kith approve ${name}`)
    case 'refused':
      return say(intent?.failure?.message ?? 'the app refused a write', 'kith parked')
    case 'match':
    case 'second':
      return say(link?.reason ?? 'it may be one of several people', review)
    case 'broken':
      return say(link?.failure?.message ?? 'it cannot be read', 'kith parked')
    case 'paused':
      return say(`${name} is paused`, `kith resume ${name}`)
    case 'erased':
      return say('of somebody who was erased', 'kith forget')
    case 'deleted':
      return say('the person was deleted, and the record stays', about)
    case 'merged':
      return say('the person was merged into another', about)
    case 'direction':
      return say(`${name} is only read`, `set direction: both for ${name} in kith.yaml`)
    case 'create':
      return say(`nobody is created in ${name}`, `set create: true for ${name} in kith.yaml, where the app can`)
    case 'unlinked':
      return say('the record was deleted there, and the person lives on elsewhere', about)
    case 'suspected':
      return say('a record there may be this person', review)
    case 'include':
      return say(`does not pass include of ${name}`, `change include of ${name} in kith.yaml`)
    case 'requires':
      return say(`lacks what ${name} requires: ${(connection.rules?.requires ?? []).join(', ')}`, about)
    case 'nobody':
      return say('no name, organisation, address or number that could be created there', about)
    case 'dropped':
      return say('the write was given up; it is planned again at the next change', about)
  }
}

function fieldName(cell: string): string {
  return cell.split(':')[0] ?? cell
}

function listed(names: readonly string[]): string {
  return [...new Set(names)].join(', ')
}
