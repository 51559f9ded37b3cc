import { fieldOf, PERSON_RECORD, PERSON_STATE, type Cells, type CellKey } from './catalogue.ts'
import { isConsentCell } from './consent.ts'
import { isSomebody } from './identity.ts'
import { matches } from './include.ts'
import type { Json } from './json.ts'
import { mergeCell, type Verdict } from './merge.ts'
import { valuesOf, type Cell, type Person, type Rule } from './person.ts'
import type { Intent, Link, LogEntry } from './ports/store.ts'
import type { ConnectionRules, Rules } from './rules.ts'

/**
 * What would have become of recorded changes under other rules. The log holds what was heard, from where and when, and what
 * became of it; not what each app said before. So a change that was no conflict then is none here, and one that was is one.
 * Deletions, merges, matches and consent are not replayed; nor is what was never mapped, for nobody has read it.
 */
export interface Recorded {
  readonly person: Person
  readonly links: readonly Link[]
  /** All that the log has of them, oldest first. */
  readonly log: readonly LogEntry[]
  /** What was sent since {@link from_ms}, oldest first, and what is still to be sent. */
  readonly sent: readonly Pick<Intent, 'connection' | 'op' | 'cells'>[]
  readonly from_ms: number
  /** Connections where a record that waits for a decision may be theirs: nobody is created there. */
  readonly suspected?: ReadonlySet<string>
}

/** What became of one heard value: as recorded, or in the replay. `unheard`: it would not have been listened to. */
export type Fate = 'applied' | 'lost' | 'refused' | 'conflict' | 'unheard'

/** One change that would have ended otherwise. */
export interface FateDifference {
  readonly personId: string
  readonly cell: CellKey
  readonly connection: string
  readonly value: Json
  readonly heard_ms: number
  readonly recorded: Fate
  readonly instead: Fate
  /** By which rule. */
  readonly rule: Rule | 'manual' | 'mapping' | 'direction' | 'blank'
}

/** A value that another one would stand for now. */
export interface ValueDifference {
  readonly personId: string
  readonly cell: CellKey
  readonly recorded: Json
  readonly instead: Json
  readonly rule: FateDifference['rule']
}

/** A write that would not have been made (`instead` undefined), or only then (`recorded` undefined), or with another value. */
export interface WriteDifference {
  readonly personId: string
  readonly connection: string
  readonly op: 'create' | 'update'
  /** null for a create. */
  readonly cell: CellKey | null
  readonly recorded?: Json
  readonly instead?: Json
}

export interface Backtest {
  readonly changes: number
  /** Entries of the log that are not replayed. */
  readonly unjudged: number
  readonly fates: readonly FateDifference[]
  readonly values: readonly ValueDifference[]
  readonly writes: readonly WriteDifference[]
}

/** One cell as it goes through the replay: as it was recorded, and as it would be. */
interface Track {
  recorded: Cell | undefined
  replayed: Cell | undefined
  /** What the replayed value took the place of. */
  before: Json
  /** Whether something was said of it in the time that is replayed. */
  heard: boolean
  why: FateDifference['rule']
  /** Every value that stood in the replay, and whose word it was. */
  readonly stood: Cell[]
  /** Connections whose own word would not have stood: they are corrected. */
  readonly corrected: Set<string>
}

/** Replays what was recorded of one person under the given rules. Pure: the same record always gives the same differences. */
export function replay(rules: Rules, recorded: Recorded): Backtest {
  const { person, log, from_ms } = recorded
  const tracks = new Map<CellKey, Track>()
  const fates: FateDifference[] = []
  let [changes, unjudged] = [0, 0]
  for (const [index, entry] of log.entries()) {
    if (entry.cell === PERSON_STATE || entry.cell === PERSON_RECORD || isConsentCell(entry.cell)) {
      if (entry.heard_ms >= from_ms) unjudged++
      continue
    }
    if (entry.kind === 'rewritten' || tookPlace(log[index - 1], entry)) continue
    const track = trackOf(tracks, entry)
    const current: Cell = { value: entry.after, stamp: entry.stamp, rule: entry.rule }
    if (entry.heard_ms < from_ms) {
      if (entry.kind !== 'applied') continue
      track.recorded = track.replayed = current
      track.before = entry.before
      track.stood.splice(0, Infinity, current)
      continue
    }
    changes++
    track.heard = true
    if (entry.kind === 'applied') track.recorded = current
    const conflict = wasConflict(entry, tookPlace(entry, log[index + 1]))
    const { fate, rule, cell } = judge(rules, tracks, track, entry, conflict)
    if (cell) {
      track.before = track.replayed?.value ?? null
      track.replayed = cell
      track.stood.push(cell)
    } else if (fate === 'lost' || fate === 'refused') track.corrected.add(entry.stamp.by)
    const was = entry.kind as Fate
    if (fate === was) continue
    track.why = rule
    const { personId, cell: key, stamp, after, heard_ms } = entry
    fates.push({
      personId,
      cell: key,
      connection: stamp.by,
      value: after,
      heard_ms,
      recorded: was,
      instead: fate,
      rule,
    })
  }
  const values = [...tracks].flatMap(([cell, track]): ValueDifference[] => {
    const [was, instead] = [track.recorded?.value ?? null, track.replayed?.value ?? null]
    const same = !rules.catalogue.has(fieldOf(cell)) || rules.catalogue.equal(cell, was, instead)
    return same ? [] : [{ personId: person.id, cell, recorded: was, instead, rule: track.why }]
  })
  return { changes, unjudged, fates, values, writes: writesOf(rules, recorded, tracks) }
}

function trackOf(tracks: Map<CellKey, Track>, { cell, before }: LogEntry): Track {
  const known = tracks.get(cell)
  if (known) return known
  // Older than the log: what stood there then, by whose word nobody knows any more.
  const stood: Cell | undefined =
    before === null ? undefined : { value: before, stamp: { at: 0, by: '' }, rule: 'same' }
  const corrected = new Set<string>()
  const track: Track = {
    recorded: stood,
    replayed: stood,
    before: null,
    heard: false,
    why: 'same',
    stood: [],
    corrected,
  }
  tracks.set(cell, track)
  return track
}

/** Whether an entry only keeps the value whose place the one before it took: nothing that was heard. */
function tookPlace(entry: LogEntry | undefined, next: LogEntry | undefined): boolean {
  return (
    entry?.kind === 'applied' &&
    next?.kind === 'lost' &&
    next.cell === entry.cell &&
    next.heard_ms === entry.heard_ms &&
    next.recordId === entry.recordId &&
    JSON.stringify(next.before) === JSON.stringify(entry.after) &&
    JSON.stringify(next.after) === JSON.stringify(entry.before)
  )
}

/** Whether the person had moved away from what the change was made over, as far as the log can tell. */
function wasConflict({ kind, rule, before }: LogEntry, lost: boolean): boolean {
  if (kind === 'lost' || lost) return true
  return kind === 'applied' && before !== null && rule !== 'edit' && rule !== 'first'
}

function judge(
  rules: Rules,
  tracks: ReadonlyMap<CellKey, Track>,
  track: Track,
  entry: LogEntry,
  conflict: boolean,
): { fate: Fate; rule: FateDifference['rule']; cell?: Cell } {
  const { stamp, after, cell: key, heard_ms, rule } = entry
  const heardCell: Cell = { value: after, stamp, rule }
  // What an operator decided stands under any rules.
  if (stamp.by.startsWith('operator:')) {
    return entry.kind === 'applied' ? { fate: 'applied', rule, cell: heardCell } : { fate: entry.kind as Fate, rule }
  }
  const connection = rules.connections.get(stamp.by)
  const field = fieldOf(key)
  const mapped = rules.catalogue.has(field) ? connection?.lens.fields.get(field) : undefined
  if (!connection || !mapped) return { fate: 'unheard', rule: 'mapping' }
  if (mapped.direction === 'out' || connection.direction === 'out') {
    return { fate: entry.kind === 'refused' ? 'refused' : 'unheard', rule: 'direction' }
  }
  const blank = entry.kind === 'refused' && after === null && rule === 'edit'
  if (blank && mapped.blank !== 'erase') return { fate: 'refused', rule: 'blank' }
  const policy = rules.policy(field)
  const current = track.replayed
  const stands = current?.value ?? null
  const equal = (a: Json, b: Json): boolean => rules.catalogue.equal(key, a, b)
  const base = conflict
    ? otherThan(stands, track.before, equal)
    : rule === 'first' && stands === null
      ? undefined
      : stands
  const verdict = mergeCell(
    current,
    { cell: key, value: after, base, stamp },
    {
      policy,
      equal,
      ownerSpoke:
        policy.kind === 'owner' &&
        [...tracks].some(([cell, { replayed }]) => {
          const by = replayed?.stamp.by ?? ''
          return fieldOf(cell) === field && (by === policy.connection || by.startsWith('operator:'))
        }),
      now_ms: heard_ms,
      window_ms: connection.brakes.window_ms,
    },
  )
  return fateOf(verdict, entry)
}

function fateOf(verdict: Verdict, entry: LogEntry): { fate: Fate; rule: FateDifference['rule']; cell?: Cell } {
  switch (verdict.kind) {
    case 'agreed':
      // It says what stands already: neither more nor less than was recorded, where it was applied or told.
      return { fate: entry.kind as Fate, rule: entry.rule, ...(verdict.cell ? { cell: verdict.cell } : {}) }
    case 'applied':
      return { fate: 'applied', rule: verdict.cell.rule, cell: verdict.cell }
    case 'lost':
    case 'refused':
      return { fate: verdict.kind, rule: verdict.rule }
    case 'conflict':
      return { fate: 'conflict', rule: 'manual' }
  }
}

/** Something that a change in a conflict may have been made over: the value before, if that is not what stands. */
function otherThan(stands: Json, before: Json, equal: (a: Json, b: Json) => boolean): Json | undefined {
  if (!equal(before, stands)) return before
  return stands === null ? undefined : null
}

/** Which writes there would have been, and which not, as far as records are known and what they say. */
function writesOf(rules: Rules, recorded: Recorded, tracks: ReadonlyMap<CellKey, Track>): WriteDifference[] {
  const { person, links, sent } = recorded
  const found: WriteDifference[] = []
  const cells: Cells = replayedValues(person, tracks)
  const names = new Set([...rules.connections.keys(), ...sent.map(({ connection }) => connection)])
  for (const name of names) {
    const connection = rules.connections.get(name)
    const own = sent.filter((intent) => intent.connection === name)
    const created = own.some(({ op }) => op === 'create')
    const link = links.find((one) => one.connection === name && one.state !== 'gone')
    const belongs = connection !== undefined && receives(connection, cells)
    const mayCreate = person.state === 'live' && recorded.suspected?.has(name) !== true
    const creates = belongs && connection.create && mayCreate
    const what = { personId: person.id, connection: name, op: 'create' as const, cell: null }
    if (created && !creates) found.push({ ...what, recorded: null })
    const somebody = connection !== undefined && isSomebody(connection.lens.get(connection.lens.put(cells, null)))
    const changed = [...tracks.values()].some(({ heard }) => heard)
    if (!created && !link && creates && changed && somebody) found.push({ ...what, instead: null })
    if (created || !link) continue
    found.push(...updatesOf(rules, person.id, name, belongs ? connection : undefined, link, own, tracks, cells))
  }
  return found
}

function updatesOf(
  rules: Rules,
  personId: string,
  name: string,
  connection: ConnectionRules | undefined,
  link: Link,
  sent: Recorded['sent'],
  tracks: ReadonlyMap<CellKey, Track>,
  cells: Cells,
): WriteDifference[] {
  const was = new Map<CellKey, Json[]>()
  for (const { op, cells: planned } of sent) {
    if (op !== 'update') continue
    for (const [cell, { after }] of Object.entries(planned)) was.set(cell, [...(was.get(cell) ?? []), after])
  }
  const present = connection?.lens.get(link.fields) ?? {}
  // As the app has places for it: a second number may have none, a birthday no year.
  const shown = connection?.lens.get({ ...link.fields, ...connection.lens.put(cells, link.fields) }) ?? {}
  const found: WriteDifference[] = []
  for (const cell of new Set([...was.keys(), ...tracks.keys()])) {
    const track = tracks.get(cell)
    // What was sent of older changes, or of fields that follow from others, is no matter of the rules of these days.
    if (!track?.heard || isConsentCell(cell)) continue
    const field = connection?.lens.fields.get(fieldOf(cell))
    const value = track.replayed?.value ?? null
    const routed = field !== undefined && field.direction !== 'in'
    const says = (one: Cell | undefined): boolean => one?.stamp.by === name && !track.corrected.has(name)
    const what = { personId, connection: name, op: 'update' as const, cell }
    const equal = (a: Json, b: Json): boolean => rules.catalogue.equal(cell, a, b)
    const differs = (sentValue: Json): boolean => !equal(sentValue, value) && !equal(sentValue, shown[cell] ?? null)
    const sentValues = was.get(cell) ?? []
    const last = sentValues.at(-1)
    if (last === undefined) {
      const writes = routed && !says(track.replayed)
      if (writes && !equal(present[cell] ?? null, shown[cell] ?? null)) found.push({ ...what, instead: value })
      continue
    }
    // A write is accounted for where its value would have stood at some time, by somebody else's word.
    const stood = track.stood.filter((one) => !says(one))
    const strange = sentValues.findLast((sentValue) => !routed || !stood.some((one) => equal(one.value, sentValue)))
    if (strange === undefined) {
      if (!says(track.replayed) && differs(last)) found.push({ ...what, recorded: last, instead: value })
    } else if (!routed || says(track.replayed)) found.push({ ...what, recorded: strange })
    else if (differs(last)) found.push({ ...what, recorded: last, instead: value })
  }
  return found
}

function receives({ direction, include }: ConnectionRules, cells: Cells): boolean {
  return direction !== 'in' && (include === null || matches(include, cells))
}

function replayedValues(person: Person, tracks: ReadonlyMap<CellKey, Track>): Cells {
  const values: { [cell: CellKey]: Json } = { ...valuesOf(person) }
  for (const [cell, { replayed }] of tracks) {
    if (replayed === undefined || replayed.value === null) delete values[cell]
    else values[cell] = replayed.value
  }
  return values
}
