import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { setCells } from '../../engine/core/act.ts'
import { mergeCell } from '../../engine/core/merge.ts'
import type { Json } from '../../engine/core/json.ts'
import type { Cell, Person } from '../../engine/core/person.ts'
import type { Change, LogEntry, Neighbourhood } from '../../engine/core/ports/store.ts'
import { decideUndo, type UndoReport } from '../../engine/core/undo.ts'
import { Workspace } from '../../engine/core/workspace.ts'
import { memoryRules } from '../support/rules.ts'

const rules = memoryRules([{ name: 'crm' }, { name: 'desk' }])
const FIELDS = ['title', 'note', 'organisation'] as const
const edits = fc.array(
  fc.record({
    by: fc.constantFrom('crm', 'desk', 'operator:ann'),
    field: fc.constantFrom(...FIELDS),
    value: fc.constantFrom<Json>('a', 'b', 'c', null),
  }),
  { minLength: 1, maxLength: 14 },
)
type Edit = { by: string; field: (typeof FIELDS)[number]; value: Json }

/** A person with a history of edits, each made over what stood. */
class History {
  person: Person = { id: 'p', version: 1, state: 'live', cells: {} }
  readonly log: LogEntry[] = []

  constructor(script: readonly Edit[]) {
    // Something that is never undone: nobody is emptied.
    this.#keep(null, [this.#edit('nobody', 'name.given', 'Ada')])
    for (const { by, field, value } of script)
      this.#keep(by.startsWith('operator:') ? 'act' : null, [this.#edit(by, field, value)])
  }

  undo(id: string, meant: (entry: LogEntry) => boolean): UndoReport {
    const hood: Neighbourhood = { people: [this.person], links: [], intents: [], conflicts: [], suspected: new Map() }
    const ws = new Workspace(hood)
    const upTo = this.log.length
    const terms = {
      meant: (entry: LogEntry) => entry.id <= upTo && entry.act !== id && meant(entry),
      meantStamp: () => false,
      barred: new Map<string, string>(),
      undoId: id,
      actor: { at_ms: 1000 + upTo, by: 'grace' },
    }
    const report = decideUndo(ws, rules, ['p'], this.log, terms)
    this.person = ws.person('p') as Person
    this.#keep(id, ws.commit().changes ?? [])
    return report
  }

  get values(): { [cell: string]: Json } {
    return Object.fromEntries(FIELDS.map((field) => [field, this.person.cells[field]?.value ?? null]))
  }

  #edit(by: string, field: string, value: Json): Change | undefined {
    const current = this.person.cells[field]
    const stamp = { at: 10 + this.log.length, by }
    const before = current?.value ?? null
    if (by.startsWith('operator:')) {
      const ws = new Workspace({ people: [this.person], links: [], intents: [], conflicts: [], suspected: new Map() })
      setCells(ws, rules, 'p', { [field]: value }, { at_ms: stamp.at, by: 'ann' })
      this.person = ws.person('p') as Person
      return ws.commit().changes?.[0]
    }
    const terms = {
      policy: { kind: 'latest' as const },
      equal: (a: Json, b: Json) => a === b,
      ownerSpoke: false,
      now_ms: 1,
      window_ms: 1,
    }
    const verdict = mergeCell(current, { cell: field, value, base: before, stamp }, terms)
    if (!('cell' in verdict) || !verdict.cell) return undefined
    const cell: Cell = verdict.cell
    this.person = { ...this.person, cells: { ...this.person.cells, [field]: cell } }
    if (verdict.kind !== 'applied') return undefined
    return {
      personId: 'p',
      cell: field,
      before,
      after: value,
      stamp: cell.stamp,
      recordId: '1',
      kind: 'applied',
      rule: 'edit',
      heard_ms: stamp.at,
    }
  }

  #keep(act: string | null, changes: readonly (Change | undefined)[]): void {
    for (const change of changes) if (change) this.log.push({ ...change, id: this.log.length + 1, act, pass: null })
  }
}

test('an undo gives back what stood before the last unbroken run of what is meant, and touches nothing else (I12)', () => {
  fc.assert(
    fc.property(edits, fc.constantFrom('crm', 'desk', 'operator:ann'), (script, who) => {
      const history = new History(script)
      const before = history.values
      const log = [...history.log]
      const { undone, left } = history.undo('u1', (entry) => entry.stamp.by === who)
      for (const field of FIELDS) {
        const own = log.filter(({ cell }) => cell === field)
        const end = own.findLastIndex(({ stamp }) => stamp.by !== who)
        const over = end === own.length - 1
        const told = left.some(({ cell }) => cell === field)
        // Said by somebody else last, or again: what stands stays, and is named where something of it was meant.
        const stays = own.length === 0 || over || told
        expect(history.values[field]).toBe(stays ? before[field] : (own[end + 1]?.before ?? null))
        expect(told || !(over && own.some(({ stamp }) => stamp.by === who))).toBe(true)
        expect(told && undone.some(({ cell }) => cell === field)).toBe(false)
      }
    }),
    { numRuns: 500 },
  )
})

test('an undo of the undo brings everything back; the same undo carried on does nothing twice', () => {
  fc.assert(
    fc.property(edits, fc.constantFrom('crm', 'desk'), (script, who) => {
      const history = new History(script)
      const before = history.values
      history.undo('u1', (entry) => entry.stamp.by === who)
      const after = history.values
      const entries = history.log.length
      history.undo('u1', (entry) => entry.stamp.by === who)
      expect([history.values, history.log.length]).toEqual([after, entries])
      history.undo('u2', (entry) => entry.act === 'u1')
      expect(history.values).toEqual(before)
      history.undo('u3', (entry) => entry.act === 'u2')
      expect(history.values).toEqual(after)
    }),
    { numRuns: 500 },
  )
})
