import { rm } from 'node:fs/promises'
import { hasRadicale, startRadicale, type Radicale } from '../test/support/radicale.ts'
import { BareClient } from './bare-client.ts'
import { Child, KITH_FLAGS } from './child.ts'
import { startCountingProxy, type CountingProxy } from './counting-proxy.ts'
import { scratchFolder, type Cost } from './house.ts'
import { familyCpu_ms, median } from './measure.ts'
import { card, cards, uid } from './people.ts'
import type { Figure, Finding, Table } from './report.ts'
import { hasVdirsyncer, Vdirsyncer } from './vdirsyncer.ts'

/**
 * (b) Two address books on Radicale, one full and one empty: the first sync, a pass without changes, and one with 1% changed
 * on each side; by Kith, by vdirsyncer, and (the first sync's requests) by a client that thinks nothing. Each has books of
 * its own on the same server, one after the other; all of them go through a proxy that counts.
 */
export interface BooksOptions {
  readonly size: number
  readonly runs: number
  /** Both books hold the same cards from the start: the first sync only has to find out. */
  readonly paired: boolean
}

/** What one step took: the tool's processor time, the server's, and what went over the wire. */
interface Step {
  readonly wall_ms: number
  readonly cpu_ms: number
  readonly postgresCpu_ms: number
  readonly serverCpu_ms: number
  readonly requests: number
  readonly bytes: number
}

type Steps = { readonly first: Step; readonly quiet: Step; readonly changed: Step }

export async function books(options: BooksOptions): Promise<Finding> {
  if (!hasRadicale) return { title: '(b) skipped: there is no radicale on this machine', figures: [] }
  const runs: { bare: Step; kith: Steps; vdirsyncer: Steps | null }[] = []
  for (let run = 0; run < options.runs; run++) {
    const radicale = await startRadicale()
    const proxy = await startCountingProxy(new URL(radicale.url))
    const scene = new Scene(radicale, proxy, options)
    try {
      const bare = await scene.bare()
      const kith = await scene.kith()
      runs.push({ bare, kith, vdirsyncer: hasVdirsyncer ? await scene.vdirsyncer() : null })
    } finally {
      await proxy.close()
      await radicale.close()
    }
  }
  return finding(options, runs)
}

class Scene {
  readonly #radicale: Radicale
  readonly #proxy: CountingProxy
  readonly #size: number
  readonly #paired: boolean

  constructor(radicale: Radicale, proxy: CountingProxy, { size, paired }: BooksOptions) {
    this.#radicale = radicale
    this.#proxy = proxy
    this.#size = size
    this.#paired = paired
  }

  async bare(): Promise<Step> {
    const { left, right } = await this.#books('bare')
    const child = Child.start('./bare-child.ts')
    try {
      const { username, password } = this.#radicale
      const about = {
        account: { username, password },
        from: left,
        to: right,
        cards: cards(this.#paired ? 0 : this.#size),
      }
      return await this.#step('bare: first sync', () => child.ask<Cost>('firstSync', about))
    } finally {
      await child.end()
    }
  }

  async kith(): Promise<Steps> {
    const { left, right } = await this.#books('kith')
    const child = Child.start('./kith-child.ts', KITH_FLAGS)
    const { username, password } = this.#radicale
    const book = (url: string) => ({ app: 'carddav', url, username, password })
    try {
      await child.ask('open', { left: book(left), right: book(right) })
      return await this.#steps('kith', left, right, () => child.ask<Cost>('quiet'))
    } finally {
      await child.ask('close')
      await child.end()
    }
  }

  async vdirsyncer(): Promise<Steps> {
    const { left, right } = await this.#books('vdirsyncer')
    const folder = await scratchFolder()
    try {
      const tool = new Vdirsyncer(folder, left, right, this.#radicale)
      await tool.discover()
      return await this.#steps('vdirsyncer', left, right, async () => {
        const { wall_ms, cpu_ms } = await tool.sync()
        return { wall_ms, kithCpu_ms: cpu_ms, postgresCpu_ms: 0 }
      })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  async #steps(tool: string, left: string, right: string, sync: () => Promise<Cost>): Promise<Steps> {
    const first = await this.#step(`${tool}: first sync`, sync)
    await this.#agree(left, right)
    // The pass right after a first sync hears the echo of all that was written; the one after it is quiet.
    await sync()
    const quiet = await this.#step(`${tool}: no change`, sync)
    await this.#edit(left, right)
    const changed = await this.#step(`${tool}: 1% changed on each side`, sync)
    await this.#agree(left, right)
    return { first, quiet, changed }
  }

  /** One hundredth of the cards on each side gets another title; no card on both. */
  async #edit(left: string, right: string): Promise<void> {
    const client = new BareClient(this.#radicale)
    const count = Math.ceil(this.#size / 100)
    const edited = (from: number, paths: readonly string[]): { [file: string]: string } =>
      Object.fromEntries(
        Array.from({ length: count }, (_, index) => [paths[from + index] ?? '', card(from + index, 'Edited')]),
      )
    await client.putAll(
      left,
      edited(
        0,
        Array.from({ length: count }, (_, n) => `${uid(n)}.vcf`),
      ),
      'any',
    )
    // The other side's cards have addresses of the tool's choosing; which person is in which does not matter here.
    const paths = (await client.list(right)).sort()
    for (const path of paths.slice(-count)) {
      const text = await client.read(new URL(path, right).href)
      await client.putAll(right, { [path]: text.replace(/^TITLE:.*$/m, 'TITLE:Edited there') }, 'any')
    }
    client.close()
  }

  async #agree(left: string, right: string): Promise<void> {
    const client = new BareClient(this.#radicale)
    const counts = [(await client.list(left)).length, (await client.list(right)).length]
    client.close()
    if (counts.some((count) => count !== this.#size)) {
      throw new Error(`the books hold ${counts.join(' and ')} cards after a sync of ${this.#size}`)
    }
  }

  /** A full book and an empty one, known to the server: its first look at a book that was put on its disk is not counted. */
  async #books(name: string): Promise<{ left: string; right: string }> {
    const left = this.#radicale.addBook(`${name}-left`, cards(this.#size))
    const right = this.#radicale.addBook(`${name}-right`, cards(this.#paired ? this.#size : 0))
    const client = new BareClient(this.#radicale)
    for (const book of [left, right]) await client.readAll(book, await client.list(book))
    client.close()
    return { left: this.#proxy.through(left), right: this.#proxy.through(right) }
  }

  /** Says what each step cost as it ends: a long run that is broken off has still told what it found. */
  async #step(what: string, work: () => Promise<Cost>): Promise<Step> {
    const traffic = this.#proxy.counts()
    const server_ms = familyCpu_ms(this.#radicale.pid)
    const cost = await work()
    const after = this.#proxy.counts()
    const step = {
      wall_ms: cost.wall_ms,
      cpu_ms: cost.kithCpu_ms,
      postgresCpu_ms: cost.postgresCpu_ms,
      serverCpu_ms: familyCpu_ms(this.#radicale.pid) - server_ms,
      requests: after.requests - traffic.requests,
      bytes: after.bytes - traffic.bytes,
    }
    process.stderr.write(
      `${what}: ${JSON.stringify(step, (_, value: unknown) => (typeof value === 'number' ? Math.round(value) : value))}\n`,
    )
    return step
  }
}

function finding(
  { size, paired }: BooksOptions,
  runs: readonly { bare: Step; kith: Steps; vdirsyncer: Steps | null }[],
): Finding {
  const changes = 2 * Math.ceil(size / 100)
  const over = runs.map(({ bare, kith }) => (100 * (kith.first.wall_ms - bare.wall_ms)) / bare.wall_ms)
  const cpu = runs.map(({ kith }) => (kith.first.cpu_ms + kith.first.postgresCpu_ms) / size)
  const first = paired ? 'first sync (the same cards on both sides)' : 'first sync'
  const quiet = runs.map(({ kith }) => kith.quiet.requests / 2)
  const figures: Figure[] = [
    { what: `${first}: wall over the bare requests`, value: median(over), unit: '%', goal: { most: 5 }, runs: over },
    {
      what: `${first}: Kith's CPU and Postgres'`,
      value: median(cpu),
      unit: 'ms a contact',
      goal: { most: 1 },
      runs: cpu,
    },
    { what: 'no change: requests a book', value: median(quiet), unit: '', goal: { most: 1 }, runs: quiet },
    {
      what: 'no change: bytes a book',
      value: median(runs.map(({ kith }) => kith.quiet.bytes / 2)),
      unit: 'bytes',
    },
  ]
  const middle = (pick: (run: (typeof runs)[number]) => Step | undefined): Step | undefined => {
    const steps = runs.flatMap((run) => pick(run) ?? [])
    if (steps.length === 0) return undefined
    const of = (key: keyof Step): number => median(steps.map((step) => step[key]))
    return {
      wall_ms: of('wall_ms'),
      cpu_ms: of('cpu_ms'),
      postgresCpu_ms: of('postgresCpu_ms'),
      serverCpu_ms: of('serverCpu_ms'),
      requests: of('requests'),
      bytes: of('bytes'),
    }
  }
  const row = (what: string, step: Step | undefined): (string | number)[][] =>
    step
      ? [
          [
            what,
            step.wall_ms / 1000,
            step.cpu_ms / 1000,
            step.postgresCpu_ms / 1000,
            step.serverCpu_ms / 1000,
            step.requests,
            step.bytes / 1000,
          ],
        ]
      : []
  const table: Table = {
    title: `Two books of ${size} cards, ${changes} of them changed (medians of ${runs.length})`,
    headings: ['', 'wall s', 'CPU s', "Postgres' CPU s", "server's CPU s", 'requests', 'kB'],
    rows: [
      ...row(
        'first sync: bare requests',
        middle((run) => run.bare),
      ),
      ...row(
        'first sync: Kith',
        middle((run) => run.kith.first),
      ),
      ...row(
        'first sync: vdirsyncer',
        middle((run) => run.vdirsyncer?.first),
      ),
      ...row(
        'no change: Kith',
        middle((run) => run.kith.quiet),
      ),
      ...row(
        'no change: vdirsyncer',
        middle((run) => run.vdirsyncer?.quiet),
      ),
      ...row(
        '1% changed on each side: Kith',
        middle((run) => run.kith.changed),
      ),
      ...row(
        '1% changed on each side: vdirsyncer',
        middle((run) => run.vdirsyncer?.changed),
      ),
    ],
  }
  return { title: `(b) two address books of ${size} cards on Radicale`, figures, tables: [table] }
}
