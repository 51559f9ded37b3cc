import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { resolveConflict } from '../../engine/core/act.ts'
import { decideApply } from '../../engine/core/apply.ts'
import type { Cells } from '../../engine/core/catalogue.ts'
import { hearRecord } from '../../engine/core/hear.ts'
import { sameJson, type Json, type JsonObject } from '../../engine/core/json.ts'
import { planPerson, type PlanTerms } from '../../engine/core/plan.ts'
import type { Change, Conflict, Intent, Link, Neighbourhood } from '../../engine/core/ports/store.ts'
import type { ConnectionRules, Rules } from '../../engine/core/rules.ts'
import { settleIntent } from '../../engine/core/settle.ts'
import { FORMATS, isEmail, meets, mended, type Check } from '../../engine/core/standard-checks.ts'
import { Standard, type StandardRule } from '../../engine/core/standard.ts'
import { Workspace } from '../../engine/core/workspace.ts'
import { readings } from '../../mappings/readings.ts'
import { memoryRules } from '../support/rules.ts'

const READ = readings('DE')
const NOW = 1_780_000_000_000

const format = (name: (typeof FORMATS)[number]): Check => ({ kind: 'format', format: name })
const TITLE: Check = { kind: 'case', letters: 'title' }

describe('a check', () => {
  test.each<[Check, string, boolean, string | undefined]>([
    [format('e164'), '+4930901820', true, '+4930901820'],
    [format('e164'), '030 90 18 20', false, '+4930901820'],
    [format('e164'), '+49 (30) 901820', false, '+4930901820'],
    [format('e164'), 'call Bob', false, undefined],
    [format('e164'), '+49 30 901820 ext. 12', true, undefined],
    [format('phone'), '030 / 90 18 20', true, undefined],
    [format('phone'), '12', false, undefined],
    [format('email'), 'ada@example.org', true, 'ada@example.org'],
    [format('email'), 'Ada King <ada@example.org>', false, 'ada@example.org'],
    [format('email'), ' mailto:ada@example.org; ', false, 'ada@example.org'],
    [format('email'), 'ada@example', false, undefined],
    [format('email'), 'ada@@example.org', false, undefined],
    [format('email'), 'ada..king@example.org', false, undefined],
    [format('email'), 'ünï@bücher.example', true, 'ünï@bücher.example'],
    [format('country'), 'DE', true, 'DE'],
    [format('country'), 'germany', false, 'DE'],
    [format('country'), 'Deutschland', false, 'DE'],
    [format('country'), 'U.S.A.', false, 'US'],
    [format('country'), 'Atlantis', false, undefined],
    [format('url'), 'example.org/ada', false, 'https://example.org/ada'],
    [format('url'), 'https://example.org/ada?x=1', true, 'https://example.org/ada?x=1'],
    [format('url'), 'none', false, undefined],
    [format('date'), '1985-04-12', true, '1985-04-12'],
    [format('date'), '--04-12', true, '--04-12'],
    [format('date'), '12.4.1985', false, '1985-04-12'],
    [format('date'), '03/04/1985', false, undefined],
    [{ kind: 'pattern', source: 'C-\\d+' }, 'C-12', true, undefined],
    [{ kind: 'pattern', source: 'C-\\d+' }, 'xC-12', false, undefined],
    [{ kind: 'allowed', values: ['Gold', 'Silver'] }, 'Gold', true, 'Gold'],
    [{ kind: 'allowed', values: ['Gold', 'Silver'] }, ' GOLD', false, 'Gold'],
    [{ kind: 'allowed', values: ['Gold', 'Silver'] }, 'Bronze', false, undefined],
    [{ kind: 'length', min: 2, max: 4 }, 'Ada', true, 'Ada'],
    [{ kind: 'length', min: 0, max: 2 }, '👩‍🚀🙂a', false, '👩'],
    [{ kind: 'trim' }, '  Ada \u200b  King ', false, 'Ada King'],
    [{ kind: 'trim' }, 'two\nlines', true, 'two\nlines'],
    [TITLE, 'ADA KING', false, 'Ada King'],
    [TITLE, "o'neil-smith", false, "O'neil-Smith"],
    [TITLE, 'van der Berg', true, 'van der Berg'],
    [TITLE, 'McDonald', true, 'McDonald'],
    [{ kind: 'case', letters: 'upper' }, 'de', false, 'DE'],
  ])('%j of %j: met %j, repaired %j', (check, text, met, repaired) => {
    expect(meets(check, text, READ)).toBe(met)
    expect(mended(check, text, READ)).toBe(repaired)
  })

  test('takes the addresses that mail servers take, and no others', () => {
    expect(['a@b.co', "o'neil+x@mail.example.org", 'x_1@sub-domain.example.museum'].every(isEmail)).toBe(true)
    const wrong = ['', '@', 'a@', '@b.co', 'a b@c.de', 'a@b', 'a@-b.de', '.a@b.de', 'a.@b.de', `${'x'.repeat(65)}@b.de`]
    expect(wrong.filter(isEmail)).toEqual([])
  })
})

const rule = (field: string, check: Check, more: Partial<StandardRule> = {}): StandardRule => ({
  id: `${field}.${check.kind}`,
  field,
  part: null,
  check,
  action: 'fix',
  otherwise: 'warn',
  connections: null,
  ...more,
})

const FIXES: readonly StandardRule[] = [
  rule('name.given', { kind: 'trim' }),
  rule('name.given', TITLE),
  rule('name.family', { kind: 'case', letters: 'upper' }),
  rule('title', { kind: 'length', min: 0, max: 5 }),
  rule('title', { kind: 'trim' }),
  rule('note', { kind: 'allowed', values: ['Gold', 'Silver'] }),
  rule('emails', format('email')),
  rule('phones', format('e164')),
]
const base = memoryRules([{ name: 'crm' }, { name: 'phone' }])
const { catalogue } = base
const withStandard = (rules: readonly StandardRule[]): Rules => ({ ...base, standard: new Standard(rules, READ) })

const odd = fc.oneof(
  fc.constantFrom('ß', 'ADA', 'ada', ' ada  king ', 'ŉa', 'ǆ', 'ﬁx', 'gold', '  SILVER', 'ı', 'İ', '0', '-'),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
)
const mail = fc.constantFrom(
  'ada@example.org',
  'ADA@example.org',
  'mailto:ada@example.org',
  'Ada <ada@example.org>',
  'no',
)
const number = fc.constantFrom('030 901820', '+4930901820', '+49 30 90 18 20', '112', 'none', '0171 1234567')

const cells: fc.Arbitrary<Cells> = fc
  .record({ given: odd, family: odd, title: odd, note: odd, mails: fc.array(mail), numbers: fc.array(number) })
  .map(({ given, family, title, note, mails, numbers }) => {
    const all: { [cell: string]: Json } = { 'name.given': given, 'name.family': family, title, note }
    for (const value of mails)
      all[catalogue.elementCell(catalogue.field('emails'), { value })] = { value, label: 'work' }
    for (const value of numbers) all[catalogue.elementCell(catalogue.field('phones'), { value })] = { value }
    return all
  })

describe('repairs at the door', () => {
  test('repairing twice is repairing once, and what is repaired is its own repair', () => {
    const door = new Standard(FIXES, READ).door('crm')
    fc.assert(
      fc.property(cells, (said) => {
        const once = door.repaired(said, catalogue)
        const twice = door.repaired(once.cells, catalogue)
        expect(twice.repairs).toEqual([])
        expect(twice.cells).toBe(once.cells)
        for (const [cell, value] of Object.entries(once.cells)) {
          const field = catalogue.field(cell.split(':')[0] ?? '')
          expect(field.set ? catalogue.elementCell(field, value as never) : cell).toBe(cell)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('a blank is never made of a value, and no element is lost but to its own twin', () => {
    const door = new Standard(FIXES, READ).door('crm')
    fc.assert(
      fc.property(cells, (said) => {
        const after = door.repaired(said, catalogue).cells
        for (const cell of ['name.given', 'name.family', 'title', 'note']) {
          expect(String(after[cell]).trim() === '').toBe(String(said[cell]).trim() === '')
        }
        const kinds = (all: Cells): Set<string> => new Set(Object.keys(all).map((cell) => cell.split(':')[0] ?? ''))
        expect(kinds(after)).toEqual(kinds(said))
      }),
    )
  })
})

/** Two apps and the engine between them, without a store: hears, plans, writes and settles until nothing is to be done. */
class Between {
  readonly rules: Rules
  readonly apps: { readonly [name: string]: { fields: JsonObject; rev: number } }
  readonly log: Change[] = []
  writes = 0
  #hood: Neighbourhood
  readonly #rewrite: (app: string, fields: JsonObject) => JsonObject
  #ids = 0

  constructor(
    rules: Rules,
    apps: { readonly [name: string]: JsonObject },
    rewrite: (app: string, fields: JsonObject) => JsonObject = (_app, fields) => fields,
  ) {
    this.rules = rules
    this.#rewrite = rewrite
    this.apps = Object.fromEntries(Object.entries(apps).map(([name, fields]) => [name, { fields, rev: 1 }]))
    const person = { id: 'p', version: 0, cells: {}, state: 'live' as const }
    this.#hood = { people: [person], links: [], intents: [], conflicts: [], suspected: new Map() }
    for (const [name, { fields }] of Object.entries(this.apps)) {
      const link: Link = {
        connection: name,
        recordId: name,
        personId: 'p',
        state: 'linked',
        fields: {},
        rev: null,
        base_ms: {},
        rewrites: {},
        keys: [],
        recheck: false,
        version: 0,
      }
      this.#decide((ws) => {
        ws.saveLink(link)
        const record = { id: name, rev: '1', fields, modified_ms: NOW - 1000 }
        hearRecord(ws, rules, this.#connection(name), link, record, NOW, true)
      })
    }
  }

  get person(): Cells {
    const [person] = this.#hood.people
    return Object.fromEntries(
      Object.entries(person?.cells ?? {}).flatMap(([cell, { value }]) => (value === null ? [] : [[cell, value]])),
    )
  }

  get conflicts(): readonly Conflict[] {
    return this.#hood.conflicts
  }

  link(name: string): Link {
    return this.#hood.links.find(({ connection }) => connection === name) as Link
  }

  #connection(name: string): ConnectionRules {
    return this.rules.connections.get(name) as ConnectionRules
  }

  #terms(): PlanTerms {
    return { now_ms: NOW, held: null, heldFields: new Map(), newId: () => `i${++this.#ids}` }
  }

  #decide(work: (ws: Workspace) => void): readonly Intent[] {
    const ws = new Workspace(this.#hood)
    work(ws)
    const commit = ws.commit()
    const over = <Item>(
      old: readonly Item[],
      now: readonly Item[] | undefined,
      key: (item: Item) => string,
    ): Item[] => [...new Map([...old, ...(now ?? [])].map((item) => [key(item), item])).values()]
    this.log.push(...(commit.changes ?? []))
    this.#hood = {
      ...this.#hood,
      people: over(this.#hood.people, commit.people, ({ id }) => id),
      links: over(this.#hood.links, commit.links, ({ connection, recordId }) => `${connection} ${recordId}`),
      conflicts: over(this.#hood.conflicts, commit.conflicts, (one) => `${one.cell} ${one.connection}`).filter(
        ({ open }) => open,
      ),
    }
    return commit.intents ?? []
  }

  edit(name: string, fields: JsonObject): void {
    const app = this.apps[name] as { fields: JsonObject; rev: number }
    app.fields = { ...app.fields, ...fields }
    app.rev++
    this.hear(name)
  }

  hear(name: string): void {
    const { fields, rev } = this.apps[name] as { fields: JsonObject; rev: number }
    const record = { id: name, rev: String(rev), fields, modified_ms: NOW }
    this.#decide((ws) =>
      decideApply(ws, this.rules, this.#connection(name), [{ kind: 'record', record }], {
        ...this.#terms(),
        deletionsHeld: null,
      }),
    )
  }

  decide(conflict: Conflict, choice: 'ours' | 'theirs'): void {
    this.#decide((ws) => resolveConflict(ws, this.rules, conflict, choice, { by: 'grace', at_ms: NOW }))
  }

  /** One round: plans, writes, settles, and hears the echoes. @returns how many writes were made */
  round(): number {
    const intents = this.#decide((ws) => planPerson(ws, this.rules, 'p', this.#terms()))
    for (const intent of intents) {
      const app = this.apps[intent.connection] as { fields: JsonObject; rev: number }
      app.fields = this.#rewrite(intent.connection, { ...app.fields, ...intent.fields })
      app.rev++
      const record = { id: intent.connection, rev: String(app.rev), fields: app.fields }
      const sent: Intent = { ...intent, state: 'sending', attempts: 1 }
      this.#decide((ws) =>
        settleIntent(
          ws,
          this.rules,
          this.#connection(intent.connection),
          sent,
          { kind: 'written', record },
          { now_ms: NOW },
        ),
      )
    }
    for (const name of Object.keys(this.apps)) this.hear(name)
    this.writes += intents.length
    return intents.length
  }

  quiet(): number {
    for (let round = 1; round <= 4; round++) if (this.round() === 0) return round
    return Infinity
  }
}

const raw: fc.Arbitrary<JsonObject> = fc.record({
  given: odd,
  family: fc.constantFrom('King', 'KING', 'ß'),
  title: odd,
  note: odd,
  emails: fc.uniqueArray(mail, { maxLength: 2 }).map((list) => list.map((value) => ({ value }))),
  phones: fc.uniqueArray(number, { maxLength: 2 }).map((list) => list.map((value) => ({ value }))),
}) as fc.Arbitrary<JsonObject>

const shout = (_app: string, fields: JsonObject): JsonObject =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, typeof value === 'string' ? value.toUpperCase() : value]),
  )

describe('a repaired value', () => {
  test('goes everywhere, also back, and then nothing is written any more: no ping-pong (I1, I2)', () => {
    fc.assert(
      fc.property(raw, raw, raw, fc.boolean(), (crm, phone, edit, quarrel) => {
        const between = new Between(withStandard(FIXES), { crm, phone }, quarrel ? shout : undefined)
        expect(between.quiet()).toBeLessThanOrEqual(4)
        const before = between.writes
        between.edit('crm', edit)
        expect(between.quiet()).toBeLessThanOrEqual(4)
        expect(between.writes - before).toBeLessThanOrEqual(4)
        // What counts is up to the standard, and every app says it, but for what an app makes of it by itself.
        const door = between.rules.standard?.door('crm')
        expect(door?.repaired(between.person, catalogue).repairs).toEqual([])
      }),
      { numRuns: 150 },
    )
  })

  test('of two connections that are asked for opposite things each keeps still (I1)', () => {
    const rules = withStandard([
      rule('name.given', { kind: 'case', letters: 'upper' }, { connections: ['crm'] }),
      rule('name.given', { kind: 'case', letters: 'lower' }, { connections: ['phone'] }),
    ])
    fc.assert(
      fc.property(raw, raw, odd, (crm, phone, given) => {
        const between = new Between(rules, { crm, phone })
        expect(between.quiet()).toBeLessThanOrEqual(3)
        between.edit('phone', { given })
        expect(between.quiet()).toBeLessThanOrEqual(3)
      }),
    )
  })

  test('leaves what was typed in the log, with the rule (I3)', () => {
    const between = new Between(withStandard(FIXES), {
      crm: { given: 'ada', emails: [{ value: 'mailto:ada@example.org' }] },
      phone: {},
    })
    between.quiet()
    expect(between.apps['phone']?.fields).toMatchObject({ given: 'Ada', emails: [{ value: 'ada@example.org' }] })
    expect(between.apps['crm']?.fields).toMatchObject({ given: 'Ada', emails: [{ value: 'ada@example.org' }] })
    const repaired = between.log.filter(({ kind }) => kind === 'repaired')
    expect(repaired.map(({ before, after, rule: by }) => [before, after, by])).toEqual([
      ['ada', 'Ada', 'standard'],
      [{ value: 'mailto:ada@example.org' }, { value: 'ada@example.org' }, 'standard'],
    ])
  })

  test('is written back also where only its spelling differs, and the label beside it stays', () => {
    const between = new Between(withStandard(FIXES), {
      crm: { phones: [{ value: '030 901820', label: 'work' }] },
      phone: {},
    })
    between.quiet()
    expect(between.apps['crm']?.fields['phones']).toEqual([{ value: '+4930901820', label: 'work' }])
    expect(between.round()).toBe(0)
  })

  test('a new standard is no edit: what is known already is heard as nothing', () => {
    const between = new Between(base, { crm: { given: 'ADA' }, phone: { given: 'ADA' } })
    between.quiet()
    const later = new Standard(FIXES, READ)
    Object.assign(between, { rules: { ...base, standard: later } })
    between.hear('crm')
    expect(between.person['name.given']).toBe('ADA')
    expect(between.log.filter(({ kind }) => kind === 'repaired')).toEqual([])
  })
})

const HOLD = withStandard([
  rule('emails', format('email'), { action: 'fix', otherwise: 'hold' }),
  rule('title', { kind: 'allowed', values: ['Countess', 'Analyst'] }, { action: 'hold', connections: ['phone'] }),
])

describe('a held value', () => {
  const between = (): Between => {
    const made = new Between(HOLD, {
      crm: { given: 'Ada', title: 'Analyst' },
      phone: { given: 'Ada', title: 'Analyst' },
    })
    expect(made.quiet()).toBe(1)
    return made
  }

  test('stays where it was said and goes nowhere else, and an operator is asked (I3)', () => {
    const world = between()
    world.edit('phone', { title: 'Boss', emails: [{ value: 'nobody' }] })
    expect(world.quiet()).toBe(1)
    expect(world.apps['phone']?.fields).toMatchObject({ title: 'Boss', emails: [{ value: 'nobody' }] })
    expect(world.apps['crm']?.fields).toMatchObject({ title: 'Analyst' })
    expect(world.person['title']).toBe('Analyst')
    expect(world.conflicts.map(({ cell, theirs }) => [cell, theirs])).toEqual([
      ['title', 'Boss'],
      ['emails:nobody', { value: 'nobody' }],
    ])
    expect(world.log.filter(({ rule: by, kind }) => by === 'standard' && kind === 'lost')).toHaveLength(2)
    // Asked once, however often it is read.
    world.hear('phone')
    expect(world.conflicts).toHaveLength(2)
  })

  test('let go, it is the value everywhere, and is not held again where it is heard next', () => {
    const world = between()
    world.edit('phone', { title: 'Boss' })
    world.decide(world.conflicts[0] as Conflict, 'theirs')
    world.quiet()
    expect(world.apps['crm']?.fields['title']).toBe('Boss')
    expect(world.conflicts).toEqual([])
    world.edit('phone', { note: 'x' })
    expect(world.conflicts).toEqual([])
  })

  test('refused, the app that said it is corrected', () => {
    const world = between()
    world.edit('phone', { title: 'Boss' })
    world.decide(world.conflicts[0] as Conflict, 'ours')
    world.quiet()
    expect(world.apps['phone']?.fields['title']).toBe('Analyst')
  })

  test('is forgotten when the record says something better, which is an edit like any', () => {
    const prefer = { ...HOLD, policy: () => ({ kind: 'prefer' as const, order: ['crm', 'phone'] }) }
    const world = new Between(prefer, {
      crm: { given: 'Ada', title: 'Analyst' },
      phone: { given: 'Ada', title: 'Analyst' },
    })
    world.edit('phone', { title: 'Boss' })
    world.edit('phone', { title: 'Countess' })
    world.quiet()
    expect(world.conflicts).toEqual([])
    // Although crm is preferred in a conflict: there was none.
    expect(world.apps['crm']?.fields['title']).toBe('Countess')
  })

  test('of the other connection is not asked for the same', () => {
    const world = between()
    world.edit('crm', { title: 'Boss' })
    world.quiet()
    expect(world.apps['phone']?.fields['title']).toBe('Boss')
    expect(world.conflicts).toEqual([])
  })

  test('whatever is held, every value that was typed is live somewhere or in the log (I3)', () => {
    fc.assert(
      fc.property(raw, fc.array(raw, { maxLength: 3 }), (first, edits) => {
        const world = new Between(HOLD, { crm: first, phone: first })
        const typed: Json[] = []
        for (const edit of edits) {
          world.edit('phone', edit)
          typed.push(...['title', 'note'].map((name) => edit[name] ?? ''))
        }
        world.quiet()
        const live = [
          ...Object.values(world.apps).flatMap(({ fields }) => Object.values(fields)),
          ...Object.values(world.person),
        ]
        const told = world.log.flatMap(({ before, after }) => [before, after])
        const same = (a: Json, b: Json): boolean =>
          sameJson(a, b) || String(a).replace(/\s+/g, ' ').trim() === String(b).replace(/\s+/g, ' ').trim()
        for (const value of typed) {
          if (String(value).trim() === '') continue
          expect([...live, ...told].some((one) => same(one, value))).toBe(true)
        }
      }),
    )
  })
})

describe('somebody new who lacks what is required', () => {
  const required = (connections: string[] | null): Standard =>
    new Standard([rule('emails', { kind: 'required' }, { action: 'hold', connections })], READ)

  test.each<[string[] | null, string[], Cells, number]>([
    [null, ['crm'], {}, 1],
    [null, ['crm'], { 'emails:a@b.co': { value: 'a@b.co' } }, 0],
    [['phone'], ['phone'], {}, 1],
    [['phone'], ['phone', 'crm'], {}, 0],
    [['phone'], [], {}, 0],
    [null, [], {}, 1],
  ])('for %j, known in %j, saying %j: %i rules unmet', (connections, origins, said, unmet) => {
    expect(required(connections).lacking(said, origins)).toHaveLength(unmet)
  })

  test('a part of an address is looked for in every address', () => {
    const standard = new Standard([rule('addresses', { kind: 'required' }, { action: 'hold', part: 'country' })], READ)
    expect(standard.lacking({ 'addresses:x': { value: { locality: 'Berlin' } } }, ['crm'])).toHaveLength(1)
    expect(standard.lacking({ 'addresses:x': { value: { country: 'DE' } } }, ['crm'])).toHaveLength(0)
  })

  test('waits as a write that is held with its reason, and goes on by itself as soon as it is there', () => {
    const rules: Rules = { ...base, standard: required(null) }
    const plan = (person: Cells): Intent | undefined => {
      const stamped = Object.fromEntries(
        Object.entries(person).map(([cell, value]) => [
          cell,
          { value, stamp: { at: 1, by: 'crm' }, rule: 'first' as const },
        ]),
      )
      const link = { connection: 'crm', recordId: 'c', personId: 'p', state: 'linked' as const, fields: {}, rev: null }
      const ws = new Workspace({
        people: [{ id: 'p', version: 1, cells: stamped, state: 'live' }],
        links: [{ ...link, base_ms: {}, rewrites: {}, keys: [], recheck: false, version: 1 }],
        intents: [],
        conflicts: [],
        suspected: new Map(),
      })
      planPerson(ws, rules, 'p', { now_ms: NOW, held: 'approval', heldFields: new Map(), newId: () => 'i' })
      return ws.openIntent('p', 'phone')
    }
    expect(plan({ 'name.given': 'Ada' })).toMatchObject({
      op: 'create',
      state: 'held',
      held: 'standard: E-mail is missing',
    })
    expect(plan({ 'name.given': 'Ada', 'emails:a@b.co': { value: 'a@b.co' } })).toMatchObject({ held: 'approval' })
  })
})
