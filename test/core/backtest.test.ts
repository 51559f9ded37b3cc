import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { replay, type Recorded } from '../../engine/core/backtest.ts'
import { decideApply } from '../../engine/core/apply.ts'
import type { Json } from '../../engine/core/json.ts'
import type { Person } from '../../engine/core/person.ts'
import type { Change, Link, LogEntry, Neighbourhood } from '../../engine/core/ports/store.ts'
import type { ConnectionRules, Policy, Rules } from '../../engine/core/rules.ts'
import { Workspace } from '../../engine/core/workspace.ts'
import { memoryRules } from '../support/rules.ts'

const T0 = 1_780_000_000_000
const APPS = ['crm', 'desk', 'news']

function rulesWith(policy: Policy, apps: Parameters<typeof memoryRules>[0] = APPS.map((name) => ({ name }))): Rules {
  return memoryRules(apps, { title: policy })
}

/** One person with a record everywhere, and edits of the title, each heard before the next is delivered or after it. */
class Story {
  hood: Neighbourhood
  readonly log: LogEntry[] = []
  readonly #rules: Rules
  #now_ms = T0

  constructor(rules: Rules) {
    this.#rules = rules
    const cells = { title: { value: 'CTO', stamp: { at: T0 - 1, by: 'crm' }, rule: 'first' as const } }
    const person: Person = { id: 'p', version: 1, state: 'live', cells }
    const fields = Object.fromEntries(
      (rules.connections.get('crm') as ConnectionRules).lens.appFields.map((name) => [name, null]),
    )
    const links = APPS.map((connection): Link => ({
      connection,
      recordId: `${connection}1`,
      personId: 'p',
      state: 'linked',
      fields: { ...fields, title: 'CTO' },
      rev: '0',
      base_ms: { '*': T0 - 1 },
      rewrites: {},
      keys: [],
      recheck: false,
      version: 1,
    }))
    this.hood = { people: [person], links, intents: [], conflicts: [], suspected: new Map() }
    this.#keep([
      {
        personId: 'p',
        cell: 'title',
        before: null,
        after: 'CTO',
        stamp: cells.title.stamp,
        recordId: 'crm1',
        kind: 'applied',
        rule: 'first',
        heard_ms: T0 - 1,
      },
    ])
  }

  edit(name: string, value: Json): void {
    this.#now_ms += 1000
    const link = this.hood.links.find(({ connection }) => connection === name) as Link
    const ws = new Workspace(this.hood)
    const connection = this.#rules.connections.get(name) as ConnectionRules
    const terms = {
      now_ms: this.#now_ms,
      held: null,
      heldFields: new Map<string, string>(),
      newId: () => 'i',
      deletionsHeld: null,
    }
    const record = { id: link.recordId, rev: String(this.#now_ms), fields: { ...link.fields, title: value } }
    decideApply(ws, this.#rules, connection, [{ kind: 'record', record }], terms)
    this.#keep(ws.commit().changes ?? [])
    const person = ws.person('p') as Person
    this.hood = {
      ...this.hood,
      people: [person],
      links: this.hood.links.map((one) => ws.link(one.connection, one.recordId) as Link),
    }
  }

  /** Every app is brought to what the person says. */
  deliver(): void {
    const title = this.title
    this.hood = {
      ...this.hood,
      links: this.hood.links.map((link) => ({
        ...link,
        fields: { ...link.fields, title },
        base_ms: { ...link.base_ms, title: this.hood.people[0]?.cells['title']?.stamp.at ?? 0 },
      })),
    }
  }

  get title(): Json {
    return this.hood.people[0]?.cells['title']?.value ?? null
  }

  recorded(from_ms = T0): Recorded {
    return { person: this.hood.people[0] as Person, links: this.hood.links, log: this.log, sent: [], from_ms }
  }

  #keep(changes: readonly Change[]): void {
    for (const change of changes) this.log.push({ ...change, id: this.log.length + 1, act: null, pass: 1 })
  }
}

const policies: fc.Arbitrary<Policy> = fc.constantFrom<Policy>(
  { kind: 'latest' },
  { kind: 'fill' },
  { kind: 'manual' },
  { kind: 'owner', connection: 'crm' },
  { kind: 'prefer', order: ['desk', 'crm'] },
)
const steps = fc.array(fc.record({ app: fc.constantFrom(...APPS), delivered: fc.boolean() }), {
  minLength: 1,
  maxLength: 8,
})

function told(policy: Policy, script: readonly { app: string; delivered: boolean }[]): Story {
  const story = new Story(rulesWith(policy))
  for (const [index, { app, delivered }] of script.entries()) {
    story.edit(app, `title ${index}`)
    if (delivered) story.deliver()
  }
  story.deliver()
  return story
}

describe('a backtest', () => {
  test('under the rules that were in force finds no difference, whatever was heard in whatever order', () => {
    fc.assert(
      fc.property(
        policies.filter(({ kind }) => kind !== 'manual'),
        steps,
        (policy, script) => {
          const story = told(policy, script)
          const { fates, values, writes } = replay(rulesWith(policy), story.recorded())
          expect({ fates, values, writes }).toEqual({ fates: [], values: [], writes: [] })
        },
      ),
    )
  })

  test('of edits that each app had in front of it finds what really would have become of them under another policy', () => {
    fc.assert(
      fc.property(policies, fc.array(fc.constantFrom(...APPS), { minLength: 1, maxLength: 8 }), (policy, apps) => {
        const script = apps.map((app) => ({ app, delivered: true }))
        const [was, would] = [told({ kind: 'latest' }, script), told(policy, script)]
        const { values } = replay(rulesWith(policy), was.recorded())
        const expected = was.title === would.title ? [] : [{ recorded: was.title, instead: would.title }]
        expect(values.map(({ recorded, instead }) => ({ recorded, instead }))).toEqual(expected)
      }),
    )
  })

  test('counts as a write only what the app has a place for, and no record where one may be theirs', () => {
    const rules = rulesWith({ kind: 'latest' })
    const story = new Story(rules)
    story.edit('crm', 'CEO')
    const { person, links, ...rest } = story.recorded()
    const family = { value: 'Lovelace', stamp: { at: T0 - 1, by: 'crm' }, rule: 'first' as const }
    const named = { ...person, cells: { ...person.cells, 'name.family': family } }
    const recorded: Recorded = {
      ...rest,
      person: named,
      links: links.filter(({ connection }) => connection !== 'desk'),
    }
    const of = (name: string, found: Recorded, by = rules): object[] =>
      replay(by, found).writes.filter(({ connection }) => connection === name)
    expect(of('news', recorded)).toMatchObject([{ op: 'update', cell: 'title', instead: 'CEO' }])
    // An app that keeps no title, whatever is put there.
    const news = rules.connections.get('news') as ConnectionRules
    const lens = { ...news.lens, put: () => ({}), get: () => ({}) }
    const deaf = { ...rules, connections: new Map([...rules.connections, ['news', { ...news, lens }] as const]) }
    expect(of('news', recorded, deaf)).toEqual([])
    expect(of('desk', recorded)).toMatchObject([{ op: 'create', instead: null }])
    expect(of('desk', { ...recorded, suspected: new Set(['desk']) })).toEqual([])
  })

  test('names a conflict that another preference would have decided otherwise', () => {
    const story = new Story(rulesWith({ kind: 'latest' }))
    story.edit('desk', 'Countess')
    story.edit('crm', 'Programmer')
    story.deliver()
    const { fates, values, writes, changes } = replay(rulesWith({ kind: 'prefer', order: ['desk'] }), story.recorded())
    expect(changes).toBe(2)
    expect(fates).toMatchObject([
      { connection: 'crm', recorded: 'applied', instead: 'lost', rule: 'prefer', value: 'Programmer' },
    ])
    expect(values).toMatchObject([{ recorded: 'Programmer', instead: 'Countess', rule: 'prefer' }])
    // All three say Programmer now; desk said the other thing itself.
    expect(writes.map(({ connection, instead }) => [connection, instead])).toEqual([
      ['crm', 'Countess'],
      ['news', 'Countess'],
    ])
  })

  test('does not listen where the new config does not, and writes nothing to whom it leaves out', () => {
    const story = new Story(rulesWith({ kind: 'latest' }))
    story.edit('desk', 'Countess')
    const update = (connection: string) => ({
      connection,
      op: 'update' as const,
      cells: { title: { before: 'CTO', after: 'Countess', stamp: { at: 1, by: 'desk' }, rule: 'edit' as const } },
    })
    const recorded = { ...story.recorded(), sent: [update('crm'), update('news')] }
    const without = rulesWith({ kind: 'latest' }, [{ name: 'crm' }, { name: 'news' }])
    expect(replay(without, recorded)).toMatchObject({
      fates: [{ connection: 'desk', instead: 'unheard', rule: 'mapping' }],
      values: [{ instead: 'CTO' }],
      // What crm said at first it does not need to be told.
      writes: [
        { personId: 'p', connection: 'crm', op: 'update', cell: 'title', recorded: 'Countess' },
        { connection: 'news', recorded: 'Countess', instead: 'CTO' },
      ],
    })
    const narrow = rulesWith({ kind: 'latest' }, [
      { name: 'crm' },
      { name: 'desk' },
      { name: 'news', rules: { include: { kind: 'field', field: 'tags', tests: [] } } },
    ])
    expect(replay(narrow, recorded)).toMatchObject({
      fates: [],
      values: [],
      writes: [{ connection: 'news', recorded: 'Countess' }],
    })
    const inward = rulesWith({ kind: 'latest' }, [
      { name: 'crm', rules: { direction: 'in' } },
      { name: 'desk' },
      { name: 'news' },
    ])
    expect(replay(inward, recorded).writes).toEqual([
      { personId: 'p', connection: 'crm', op: 'update', cell: 'title', recorded: 'Countess' },
    ])
  })
})
