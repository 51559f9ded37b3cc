import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { diffRecord, mapped } from '../../engine/core/diff.ts'
import { hearRecord } from '../../engine/core/hear.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type { Lens } from '../../engine/core/ports/lens.ts'
import type { Link } from '../../engine/core/ports/store.ts'
import { Workspace } from '../../engine/core/workspace.ts'
import { compile } from '../mappings/support.ts'
import { catalogue } from '../mappings/support.ts'
import { memoryRules } from '../support/rules.ts'

const OURS = ['name.given', 'name.family', 'title', 'organisation', 'note', 'birthday', 'tags', 'emails'] as const
const THEIRS = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H'] as const

/** Lines of a mapping, each of its kind: another app field, another transform, another direction, blanks that count or do not. */
const line = (field: string): fc.Arbitrary<JsonObject> =>
  fc.record({
    app: fc.constantFrom(...THEIRS),
    transform: fc.constantFrom<Json>(
      ...(field === 'tags' || field === 'emails'
        ? [{ split: ';' }, { split: ',' }, 'list']
        : field === 'birthday'
          ? ['date', { date: 'DD/MM/YYYY' }, { date: 'MM/DD/YYYY' }]
          : ['text', 'upper', 'lower', { truncate: 5 }, { map: { x: 'y' } }]),
    ),
    direction: fc.constantFrom('both', 'in', 'out'),
    blank: fc.constantFrom('keep', 'erase'),
  })

/** Any mapping of some of our fields, each to a field of the app of its own. */
const lenses: fc.Arbitrary<Lens> = fc
  .record(Object.fromEntries(OURS.map((field) => [field, fc.option(line(field))])))
  .map((lines) => {
    const taken = new Set<Json>()
    const fields = Object.entries(lines).filter(([, value]) => {
      const app = value?.['app']
      if (app === undefined || app === null || taken.has(app)) return false
      taken.add(app)
      return true
    })
    return compile({ fields: Object.fromEntries(fields) }, ...THEIRS).lens
  })

const values = fc.constantFrom<Json>(
  null,
  '',
  'x',
  'Ada',
  'a@example.org;b@example.org',
  'one, two',
  '1985-04-03',
  '03/04/1985',
  'Long text',
)
const records: fc.Arbitrary<JsonObject> = fc.record(Object.fromEntries(THEIRS.map((name) => [name, values])))

function linkOf(lens: Lens, fields: JsonObject): Link {
  return {
    connection: 'crm',
    recordId: '1',
    personId: 'p',
    state: 'linked',
    fields: mapped(lens, fields),
    rev: '1',
    base_ms: { '*': 5 },
    rewrites: {},
    keys: [],
    recheck: false,
    version: 1,
  }
}

describe('editing the YAML never looks like a user’s edit', () => {
  test('a record that nobody has touched says nothing new under any other mapping, but for the first reading of app fields never read', () => {
    fc.assert(
      fc.property(lenses, lenses, records, (before, after, record) => {
        const { heard, blanks } = diffRecord(after, catalogue, linkOf(before, record), { fields: record }, 'crm', 100)
        expect(blanks).toEqual([])
        for (const item of heard) {
          expect(item.base).toBeUndefined()
          const read = (after.sources.get(item.cell.split(':')[0] ?? '') ?? []).every((name) =>
            before.appFields.includes(name),
          )
          expect(read).toBe(false)
        }
      }),
      { numRuns: 400 },
    )
  })

  test('what a user edits meanwhile is heard as that and nothing else, whatever became of the mapping', () => {
    fc.assert(
      fc.property(lenses, lenses, records, fc.constantFrom(...THEIRS), (before, after, record, edited) => {
        const now = { ...record, [edited]: 'edited by hand' }
        const { heard } = diffRecord(after, catalogue, linkOf(before, record), { fields: now }, 'crm', 100)
        for (const item of heard.filter(({ base }) => base !== undefined)) {
          expect(after.sources.get(item.cell.split(':')[0] ?? '')).toContain(edited)
        }
      }),
      { numRuns: 400 },
    )
  })

  test('what is read for the first time fills, and takes the place of nothing that stands by a later word', () => {
    fc.assert(
      fc.property(lenses, lenses, records, (before, after, record) => {
        const rules = memoryRules([{ name: 'crm' }])
        const connection = {
          ...(rules.connections.get('crm') as NonNullable<ReturnType<typeof rules.connections.get>>),
          lens: after,
        }
        const value = (cell: string): Json => (cell === 'emails' || cell === 'tags' ? null : 'said since by somebody')
        const cells = Object.fromEntries(
          OURS.filter((cell) => value(cell) !== null).map((cell) => [
            cell,
            { value: value(cell), stamp: { at: 90, by: 'desk' }, rule: 'edit' as const },
          ]),
        )
        const person = { id: 'p', version: 1, state: 'live' as const, cells }
        const link = linkOf(before, record)
        const ws = new Workspace({ people: [person], links: [link], intents: [], conflicts: [], suspected: new Map() })
        hearRecord(ws, rules, connection, link, { id: '1', rev: '2', fields: record, modified_ms: 50 }, 100)
        for (const [cell, { value: stood }] of Object.entries(cells))
          expect(ws.person('p')?.cells[cell]?.value).toBe(stood)
      }),
      { numRuns: 200 },
    )
  })
})
