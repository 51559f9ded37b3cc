import { CLEAN_UP_GROUPS, WHOLE, type CleanUpPart, type CleanUpWay } from '../../engine/core/clean-up.ts'
import { cancelPause, previewCleanUp, resolveCleanUp } from '../../workers/clean-up.ts'
import { beginPause, settlePause } from '../../workers/pause.ts'
import type { Runtime } from '../../workers/runtime.ts'
import type { Random } from './random.ts'
import type { World } from './world.ts'

const WAYS: readonly CleanUpWay[] = ['release', 'drop', 'revert']
const FIELDS = ['title', 'note', 'emails', 'tags', 'given', 'organisation']

/** Operators who pause connections, wait for what is under way, and decide about clean-ups, by random numbers of their own. */
export class Pausing {
  readonly #world: World
  readonly #random: Random

  constructor(world: World, random: Random) {
    this.#world = world
    this.#random = random
  }

  due(): boolean {
    return this.#random.chance(0.04)
  }

  async something(): Promise<void> {
    const world = this.#world
    const random = this.#random
    const name = random.pick([...world.apps.keys()])
    const state = (await world.store.connections()).find((one) => one.name === name)
    if (!state?.scanned) return
    if (!state.pause) {
      return world.operate(`pause ${name}`, async (runtime) => {
        await beginPause(runtime, name, { by: 'sim', why: 'clean-up', until_ms: null })
      })
    }
    if (state.pause.since_ms === null) {
      if (random.chance(0.1)) {
        return world.operate(`give up the pause of ${name}`, async (runtime) => {
          await cancelPause(runtime, name, 'sim', 'changed my mind')
        })
      }
      return world.operate(`wait for ${name}`, async (runtime) => void (await settlePause(runtime, name)))
    }
    // Time for humans to clean up.
    if (random.chance(0.5)) return
    const way = random.pick(WAYS)
    const part = random.chance(0.5) ? WHOLE : this.#part()
    world.operate(`resume ${name} ${way} ${[...part.groups].join()} ${[...(part.fields ?? [])].join()}`, (runtime) =>
      resume(world, runtime, name, way, part),
    )
  }

  /** In fair weather every pause comes to its end, each clean-up in one of the ways. For the world to go on with. */
  async finish(): Promise<void> {
    const world = this.#world
    for (const { name, pause } of await world.store.connections()) {
      if (!pause) continue
      const way = this.#random.pick(WAYS)
      world.operate(`resume ${name} ${way}`, async (runtime) => {
        if ((await settlePause(runtime, name)) === 0) await resume(world, runtime, name, way, WHOLE)
      })
    }
  }

  #part(): CleanUpPart {
    const random = this.#random
    if (random.chance(0.3)) return { ...WHOLE, fields: new Set([random.pick(FIELDS)]) }
    return { ...WHOLE, groups: new Set(CLEAN_UP_GROUPS.filter(() => random.chance(0.5))) }
  }
}

async function resume(world: World, runtime: Runtime, name: string, way: CleanUpWay, part: CleanUpPart): Promise<void> {
  const { seen } = await previewCleanUp(runtime, name, way, part)
  if (way === 'revert') {
    // What came with the clean-up may go away with it.
    for await (const { recordId } of world.store.kept(name)) world.approved.add(`${name} ${recordId}`)
  }
  const { decided, left, ended } = await resolveCleanUp(runtime, name, { way, part, by: 'sim', why: 'drawn', seen })
  world.note(`resumed ${name}: ${decided} decided, ${left} left${ended ? ', ended' : ''}`)
}
