import { existsSync, watch } from 'node:fs'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MemoryApp } from '../connectors/memory/app.ts'
import { memoryApps } from '../connectors/memory/index.ts'
import { openHouse, scratchFolder } from './house.ts'
import { percentile } from './measure.ts'
import { card, cards, memoryFields, uid } from './people.ts'
import { openRedis } from './redis.ts'
import type { Figure, Finding } from './report.ts'

/**
 * (e) Edit to written elsewhere, the change announced by the app: from a person's edit to the moment the other app holds it.
 * One edit at a time in a household at rest, at no regular interval. The daemon polls once a minute meanwhile.
 */
export interface AnnouncedOptions {
  readonly people: number
  readonly edits: number
}

const GOALS = { p50_ms: 30, p99_ms: 150 }
const PAUSE_MS = { least: 20, most: 80 }
const LATE_MS = 20_000

export async function announced(options: AnnouncedOptions): Promise<Finding> {
  const figures: Figure[] = []
  figures.push(...(await between(options, undefined)))
  const redis = await openRedis()
  if (redis) {
    try {
      figures.push(...(await between(options, redis.url)))
    } finally {
      await redis.close()
    }
  }
  return {
    title: `(e) edit to written elsewhere, announced (${options.edits} edits among ${options.people} people)`,
    figures,
  }
}

async function between(options: AnnouncedOptions, redisUrl: string | undefined): Promise<Figure[]> {
  const queue = redisUrl === undefined ? 'Postgres' : 'Redis'
  const scene = await Scene.open(options.people, redisUrl)
  try {
    const figures: Figure[] = []
    for (const [name, edit] of [
      ['memory app to memory app', scene.memoryToMemory],
      ['file saved to memory app', scene.fileToMemory],
      ['memory app to file', scene.memoryToFile],
    ] as const) {
      // The first ones warm the caches up.
      for (let index = 0; index < 20; index++) await edit(index)
      const times: number[] = []
      for (let index = 0; index < options.edits; index++) times.push(await edit(index + 20))
      const what = `queue on ${queue}: ${name}`
      figures.push(
        { what: `${what}, p50`, value: percentile(times, 0.5), unit: 'ms', goal: { most: GOALS.p50_ms } },
        { what: `${what}, p99`, value: percentile(times, 0.99), unit: 'ms', goal: { most: GOALS.p99_ms } },
      )
    }
    return figures
  } finally {
    await scene.close()
  }
}

class Scene {
  readonly #apps: { readonly left: MemoryApp; readonly right: MemoryApp }
  readonly #phone: string
  readonly #people: number
  readonly #close: () => Promise<void>
  readonly #recordIds: readonly string[]

  /** Three apps that hold the same people: two memory apps and a folder of cards. */
  static async open(people: number, redisUrl: string | undefined): Promise<Scene> {
    const apps = {
      left: new MemoryApp({ name: 'left', now: Date.now }),
      right: new MemoryApp({ name: 'right', now: Date.now }),
    }
    memoryApps.set('left', apps.left).set('right', apps.right)
    const ids = Array.from({ length: people }, (_, n) => apps.left.add(memoryFields(n)))
    const folder = await scratchFolder()
    const phone = join(folder, 'phone')
    await mkdir(phone)
    for (const [file, text] of Object.entries(cards(people))) await writeFile(join(phone, file), text)
    const house = await openHouse({
      connections: {
        left: { app: 'memory', name: 'left' },
        right: { app: 'memory', name: 'right' },
        phone: { app: 'vdir', path: phone },
      },
      redisUrl,
      leads: true,
    })
    await house.quiet()
    await house.quiet()
    const files = (await readdir(phone)).length
    if (files !== people) throw new Error(`${files} cards for ${people} people`)
    const close = async (): Promise<void> => {
      await house.close()
      memoryApps.clear()
      await rm(folder, { recursive: true, force: true })
    }
    return new Scene(apps, phone, ids, close)
  }

  private constructor(
    apps: { readonly left: MemoryApp; readonly right: MemoryApp },
    phone: string,
    recordIds: readonly string[],
    close: () => Promise<void>,
  ) {
    this.#apps = apps
    this.#phone = phone
    this.#people = recordIds.length
    this.#recordIds = recordIds
    this.#close = close
  }

  readonly memoryToMemory = async (index: number): Promise<number> => {
    await pause()
    const written = this.#written()
    const start = performance.now()
    this.#apps.left.edit(this.#recordIds[this.#person(index)] ?? '', { title: `Edit ${index}` })
    return (await written) - start
  }

  readonly fileToMemory = async (index: number): Promise<number> => {
    await pause()
    const n = this.#person(index)
    // As programs save: beside the file, then over it.
    const beside = join(this.#phone, `.${uid(n)}.tmp`)
    await writeFile(beside, card(n, `Save ${index}`))
    const written = this.#written()
    const start = performance.now()
    await rename(beside, join(this.#phone, `${uid(n)}.vcf`))
    return (await written) - start
  }

  readonly memoryToFile = async (index: number): Promise<number> => {
    await pause()
    const n = this.#person(index)
    const file = `${uid(n)}.vcf`
    if (!existsSync(join(this.#phone, file))) throw new Error(`no card for person ${n}`)
    const changed = new Promise<number>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('an edit did not arrive')), LATE_MS)
      const watcher = watch(this.#phone, (_event, name) => {
        if (name !== file) return
        watcher.close()
        clearTimeout(late)
        resolve(performance.now())
      })
    })
    const start = performance.now()
    this.#apps.left.edit(this.#recordIds[n] ?? '', { title: `File ${index}` })
    return (await changed) - start
  }

  close(): Promise<void> {
    return this.#close()
  }

  #person(index: number): number {
    return (index * 7) % this.#people
  }

  /** When the right app has next carried out a write. */
  #written(): Promise<number> {
    const { right } = this.#apps
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('an edit did not arrive')), LATE_MS)
      right.onCall = ({ method }, when) => {
        if (method !== 'write' || when !== 'after') return
        right.onCall = undefined
        clearTimeout(late)
        resolve(performance.now())
      }
    })
  }
}

function pause(): Promise<void> {
  const ms = PAUSE_MS.least + Math.random() * (PAUSE_MS.most - PAUSE_MS.least)
  return new Promise((resolve) => setTimeout(resolve, ms))
}
