import { afterEach, describe, expect, test } from '@jest/globals'
import type { Quirks } from '../../connectors/memory/quirks.ts'
import { ActRefusedError } from '../../workers/acts.ts'
import { mergeTwo, previewMerge } from '../../workers/merge.ts'
import { decideItem } from '../../workers/review.ts'
import { reviewItems, type ReviewItem, type ReviewKind } from '../../workers/review-items.ts'
import type { Runtime } from '../../workers/runtime.ts'
import { TestHousehold } from '../support/household.ts'
import { Crm } from '../support/places.ts'

let home: TestHousehold
let crm: Crm
let desk: Crm
afterEach(async () => {
  await home.close()
  for (const place of [crm, desk]) place.close()
})

async function two(quirks: Partial<Quirks> = {}, more: object = {}): Promise<void> {
  crm = new Crm('crm', [], quirks)
  desk = new Crm('desk')
  home = await TestHousehold.make(TestHousehold.folder(), [crm, desk], { approval: 'auto', ...more })
}

const runtime = async (): Promise<Runtime> => (await home.daemon()).runtime
const by = { by: 'ada', why: 'a test' }

async function waiting(kind?: ReviewKind): Promise<ReviewItem[]> {
  const items: ReviewItem[] = []
  for await (const item of reviewItems(await runtime(), kind === undefined ? {} : { kind })) items.push(item)
  return items
}

async function only(kind: ReviewKind): Promise<ReviewItem> {
  const items = await waiting(kind)
  expect(items).toHaveLength(1)
  return items[0] as ReviewItem
}

async function personOf(email: string): Promise<string> {
  const [person] = await (await runtime()).store.searchPeople(email, 1)
  return person?.id ?? ''
}

const ADA = { given: 'Ada', family: 'Lovelace', emails: [{ value: 'ada@example.org' }] }

/** Ada twice in the CRM, and the second record knows a number that nobody else knows. */
async function twice(quirks: Partial<Quirks> = {}): Promise<[string, string]> {
  await two(quirks)
  const first = crm.app.add({ ...ADA, title: 'CTO' })
  const second = crm.app.add({ ...ADA, phones: [{ value: '+49 30 123456' }], note: 'met in 1833' })
  desk.app.add(ADA)
  await home.syncApproved()
  return [first, second]
}

describe('a second record of the same person', () => {
  test.each(['winner', 'new'] as const)(
    'is folded into them, and merged in the app once that is approved (I5): %s',
    async (mergeInto) => {
      const [first, second] = await twice({ mergeInto })
      const item = await only('second')
      expect(item).toMatchObject({ connection: 'crm', choices: ['merge', 'new', 'apart'] })
      const stays = item.recordId === second ? first : second
      await decideItem(await runtime(), item, { choose: 'merge', ...by })
      await home.sync()
      // Nothing went away yet, and its values are everywhere.
      expect(crm.app.peek(item.recordId as string)).toBeDefined()
      expect(desk.app.peek([...desk.app.all()][0]?.id ?? '')?.fields).toMatchObject({
        title: 'CTO',
        note: 'met in 1833',
      })
      const ending = await only('ending')
      expect(ending.intent).toMatchObject({ op: 'merge', recordId: item.recordId, into: stays, state: 'held' })
      await decideItem(await runtime(), ending, { choose: 'approve', ...by })
      await home.sync()
      await home.sync()
      expect([...crm.app.all()]).toHaveLength(1)
      expect([...crm.app.all()][0]?.fields).toMatchObject({ title: 'CTO', note: 'met in 1833' })
      expect(await waiting()).toEqual([])
      expect(await home.countedSync()).toEqual({ crm: 0, desk: 0 })
      const { store } = await runtime()
      expect((await store.acts({ limit: 10 })).map(({ kind, by: who }) => [kind, who])).toEqual([
        ['approve', 'ada'],
        ['merge', 'ada'],
      ])
    },
  )

  test('whose merge was not answered is found out about by reading it', async () => {
    await twice()
    await decideItem(await runtime(), await only('second'), { choose: 'merge', ...by })
    await home.sync()
    crm.app.faults.next({ kind: 'lost' })
    await decideItem(await runtime(), await only('ending'), { choose: 'approve', ...by })
    await home.syncUntil(() => [...crm.app.all()].length === 1)
    await home.sync()
    expect(await home.intents()).toEqual([])
    expect(await home.countedSync()).toEqual({ crm: 0, desk: 0 })
  })

  test('that somebody works on before it is gone stays, and is asked about again', async () => {
    await twice()
    const { recordId = '' } = await only('second')
    await decideItem(await runtime(), await only('second'), { choose: 'merge', ...by })
    await home.sync()
    crm.app.edit(recordId, { organisation: 'Engines' })
    // Approved before the edit was heard: the last look sees it.
    await decideItem(await runtime(), await only('ending'), { choose: 'approve', ...by })
    await home.sync()
    await home.sync()
    expect(crm.app.peek(recordId)?.fields).toMatchObject({ organisation: 'Engines' })
    expect(await only('second')).toMatchObject({ recordId })
  })

  test('told apart is a person of its own, and never taken for the other again', async () => {
    await twice()
    const item = await only('second')
    await decideItem(await runtime(), item, { choose: 'apart', ...by })
    await home.sync()
    await home.sync()
    expect(await waiting()).toEqual([])
    crm.app.edit(item.recordId as string, { title: 'Countess' })
    await home.sync()
    expect(await waiting()).toEqual([])
    await expect(decideItem(await runtime(), item, { choose: 'merge', ...by })).rejects.toThrow(ActRefusedError)
  })
})

describe('two people who are one', () => {
  async function alike(): Promise<[string, string]> {
    await two()
    crm.app.add({ ...ADA, title: 'CTO', organisation: 'Engines' })
    crm.app.add({ given: 'Ada', family: 'Lovelase', emails: [{ value: 'ada@home.example' }], organisation: 'Engines' })
    await home.syncApproved()
    return [await personOf('ada@example.org'), await personOf('ada@home.example')]
  }

  test('are offered with the evidence; told apart, never again', async () => {
    const [a, b] = await alike()
    const item = await only('duplicate')
    expect(item.people.map(({ id }) => id).sort()).toEqual([a, b].sort())
    expect(item.people[0]?.score).toBeGreaterThanOrEqual(60)
    expect(item.people[0]?.evidence?.map(({ text }) => text)).toEqual([
      'the same part before the @',
      'names that differ by a letter or an ending',
      'the same organisation',
    ])
    await decideItem(await runtime(), item, { choose: 'apart', ...by })
    expect(await waiting()).toEqual([])
  })

  test('are merged as the preview says, in each app, with what the operator wants kept', async () => {
    const [winner, loser] = await alike()
    const wish = { winner, loser, keep: { title: 'Countess' } }
    const preview = await previewMerge(await runtime(), wish)
    expect(preview.cells.find(({ cell }) => cell === 'title')).toMatchObject({ stands: 'Countess', why: 'kept' })
    expect(preview.records.map(({ connection, what }) => [connection, what])).toEqual([
      ['crm', 'merge'],
      ['desk', 'merge'],
    ])
    expect(preview.writes.map(({ connection, op }) => `${connection} ${op}`).sort()).toEqual([
      'crm merge',
      'crm update',
      'desk merge',
      'desk update',
    ])
    expect(await home.intents()).toEqual([])
    await mergeTwo(await runtime(), wish, by)
    await home.sync()
    for (const item of await waiting('ending')) await decideItem(await runtime(), item, { choose: 'approve', ...by })
    await home.sync()
    for (const place of [crm, desk]) {
      const records = [...place.app.all()]
      expect(records).toHaveLength(1)
      expect(records[0]?.fields).toMatchObject({ title: 'Countess', organisation: 'Engines' })
      expect(records[0]?.fields['emails']).toHaveLength(2)
    }
    await expect(mergeTwo(await runtime(), wish, by)).rejects.toThrow(/merged already/)
    expect(await home.countedSync()).toEqual({ crm: 0, desk: 0 })
  })
})

describe('a conflict under manual', () => {
  test.each([
    ['ours', undefined, 'CTO'],
    ['theirs', undefined, 'Chair'],
    ['value', 'Countess', 'Countess'],
  ])('is decided: %s', async (choose, value, stands) => {
    await two({}, { fields: { title: 'manual' } })
    crm.app.add({ ...ADA, title: 'CTO' })
    await home.syncApproved()
    desk.app.edit([...desk.app.all()][0]?.id ?? '', { title: 'Chair' })
    crm.app.edit([...crm.app.all()][0]?.id ?? '', { title: 'Boss' })
    await home.sync()
    const item = await only('conflict')
    const expected = choose === 'value' ? stands : choose === 'ours' ? item.ours : item.theirs
    await decideItem(await runtime(), item, { choose, ...by, ...(value === undefined ? {} : { value }) })
    await home.sync()
    for (const place of [crm, desk]) expect([...place.app.all()][0]?.fields['title']).toBe(expected)
    expect(await waiting()).toEqual([])
  })
})
