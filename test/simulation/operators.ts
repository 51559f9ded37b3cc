import { personSubject, recordSubject } from '../../engine/core/apart.ts'
import { ActRefusedError } from '../../workers/acts.ts'
import { mergeTwo } from '../../workers/merge.ts'
import { decideItem } from '../../workers/review.ts'
import { reviewItems, type ReviewItem } from '../../workers/review-items.ts'
import type { World } from './world.ts'

/** How far down the list an operator looks. */
const SEEN_MAX = 12

/** What an operator does at a random moment of a storm: decides something of the work list, or says that two people are one. */
export async function operate(world: World): Promise<void> {
  if (world.random.chance(0.25)) return mergeSomebody(world)
  await decideSomething(world)
}

/** In fair weather nothing is left that only an operator can decide about values. */
export async function decideConflicts(world: World): Promise<void> {
  for (const item of await seen(world, 'conflict')) await decide(world, item, world.random.pick(['ours', 'theirs']))
}

async function decideSomething(world: World): Promise<void> {
  const items = await seen(world)
  if (items.length === 0) return
  const item = world.random.pick(items)
  // A conflict is settled by one of the two values: a third one would be nobody's.
  await decide(world, item, world.random.pick(item.choices.filter((choice) => choice !== 'value')))
}

async function seen(world: World, kind?: ReviewItem['kind']): Promise<ReviewItem[]> {
  const items: ReviewItem[] = []
  for await (const item of reviewItems(world.runtimeWithoutGates(), kind === undefined ? {} : { kind })) {
    if (items.push(item) >= SEEN_MAX) break
  }
  return items
}

async function decide(world: World, item: ReviewItem, choose: string): Promise<void> {
  const person = item.people.length > 0 ? { person: world.random.pick(item.people).id } : {}
  const asked = `operator: ${item.kind} ${item.connection ?? ''} ${item.recordId ?? ''} ${choose}`
  // Known as approved before it can have been sent.
  if (choose === 'approve' && item.intent && item.intent.op !== 'create' && item.intent.op !== 'update') {
    const { connection, recordId, into } = item.intent
    for (const id of [recordId, into]) if (id) world.approved.add(`${connection} ${id}`)
  }
  if (choose === 'new' || choose === 'merge' || choose === 'link') world.merges++
  await attempt(world, asked, async () => {
    await decideItem(world.runtimeWithoutGates(), item, { choose, ...person, by: 'sim', why: 'drawn' })
  })
}

async function mergeSomebody(world: World): Promise<void> {
  const people = await world.store.searchPeople('', 100)
  if (people.length < 2) return
  const winner = world.random.pick(people).id
  const loser = world.random.pick(people).id
  if (winner === loser) return
  world.merges++
  await attempt(world, `operator: merges ${loser} into ${winner}`, async () => {
    await mergeTwo(world.runtimeWithoutGates(), { winner, loser, keep: {} }, { by: 'sim', why: 'drawn' })
  })
}

async function attempt(world: World, line: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
    world.note(line)
  } catch (error) {
    if (!(error instanceof ActRefusedError)) throw error
    world.note(`${line}: refused, ${error.message}`)
  }
}

/** Nobody is offered as somebody whom an operator has told apart from them; human merges in an app are news. */
export async function offeredAgain(world: World): Promise<string[]> {
  if (world.humanMerges > 0) return []
  const found: string[] = []
  for await (const item of reviewItems(world.runtimeWithoutGates())) {
    const [a, b] = item.people.map(({ id }) => personSubject(id))
    const subject =
      item.kind === 'duplicate'
        ? b
        : (item.kind === 'match' || item.kind === 'second') && item.connection && item.recordId
          ? recordSubject(item.connection, item.recordId)
          : undefined
    if (a === undefined || subject === undefined) continue
    const told = await world.store.apart([subject])
    if (told.some((pair) => pair.a === a || pair.b === a)) found.push(`${item.kind} ${item.id} was told apart before`)
  }
  return found
}
