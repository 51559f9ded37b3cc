import { describe, expect, test } from '@jest/globals'
import type { JsonObject } from '../../engine/core/json.ts'
import type { Intent, Link } from '../../engine/core/ports/store.ts'
import { judgeUncertain } from '../../engine/core/settle.ts'

const BEFORE = { title: 'Analyst', note: null, given: 'Ada' }

const link: Link = {
  connection: 'sheet',
  recordId: 'r1',
  personId: 'p1',
  state: 'linked',
  fields: BEFORE,
  rev: '1',
  base_ms: {},
  rewrites: {},
  keys: [],
  recheck: false,
  version: 1,
}

const intent: Intent = {
  id: 'i1',
  connection: 'sheet',
  personId: 'p1',
  op: 'update',
  recordId: 'r1',
  rev: '1',
  archive: false,
  fields: { title: 'Countess', note: 'ours' },
  cells: {},
  state: 'sending',
  released: false,
  attempts: 2,
  notBefore_ms: 0,
  planned_ms: 0,
  urgent: false,
}

describe('what a record says about a write whose answer was lost', () => {
  test.each<[string, JsonObject, string]>([
    ['all of it is there: it was carried out', { title: 'Countess', note: 'ours' }, 'written'],
    ['all of it, and an edit of another field', { title: 'Countess', note: 'ours', given: 'Augusta' }, 'written'],
    ['all as before: it never happened', {}, 'not-written'],
    ['all as before but for another field: it never happened', { given: 'Augusta' }, 'not-written'],
    // Our own note must not come back as somebody's edit, newer than what it was made of.
    ['a part of it, the rest edited since: it was carried out', { title: 'Poet', note: 'ours' }, 'written'],
    ['a part of it, the rest as before: nobody can tell', { note: 'ours' }, 'overtaken'],
    ['none of it, and all edited: nobody can tell', { title: 'Poet', note: 'theirs' }, 'overtaken'],
  ])('%s', (_what, now, kind) => {
    const record = { id: 'r1', rev: '2', fields: { ...BEFORE, ...now } }
    expect(judgeUncertain(link, intent, record).kind).toBe(kind)
  })
})
