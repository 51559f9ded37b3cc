import { MemoryApp } from '../connectors/memory/app.ts'
import { memoryApps } from '../connectors/memory/index.ts'
import { hookRoutes } from '../server/hooks.ts'
import { RefusalLog } from '../server/refusals.ts'
import { startServer, type RunningServer } from '../server/server.ts'
import { HookDesk } from '../workers/hooks.ts'
import { HOLLOW_MAPPING } from './hollow-app.ts'
import { signature, writes } from './hooked-app.ts'
import { openHouse, QUIET_LOG, type House } from './house.ts'
import { percentile } from './measure.ts'
import { memoryFields } from './people.ts'
import { openRedis } from './redis.ts'
import type { Figure, Finding } from './report.ts'

/**
 * (f) Hook received to value written in the other apps: three apps hold the same people; one of them is edited and announces it
 * by signed hooks over HTTP on loopback, at a steady rate and no regular interval. Counted from the moment the hook is sent to the
 * moment the later of the two others holds the value. Nothing polls meanwhile.
 */
export interface HooksOptions {
  readonly people: number
  readonly seconds: number
  readonly hooksPerSecond: number
}

const GOALS = { p50_ms: 30, p99_ms: 150 }
const WARM_S = 3
const LATE_MS = 30_000
const SECRET = 'bench'
const OTHERS = ['right', 'third']

export async function hooks(options: HooksOptions): Promise<Finding> {
  const figures = await on('Postgres', options, undefined)
  const redis = await openRedis()
  if (redis) {
    try {
      figures.push(...(await on('Redis', options, redis.url)))
    } finally {
      await redis.close()
    }
  }
  return {
    title: `(f) hook received to value written in two other apps (${options.hooksPerSecond} hooks/s for ${options.seconds} s)`,
    figures,
  }
}

async function on(queue: string, options: HooksOptions, redisUrl: string | undefined): Promise<Figure[]> {
  const { people, hooksPerSecond } = options
  const left = new MemoryApp({ name: 'left', now: Date.now })
  memoryApps.set('left', left)
  for (const name of OTHERS) memoryApps.set(name, new MemoryApp({ name, now: Date.now }))
  const ids = Array.from({ length: people }, (_, n) => left.add(memoryFields(n)))
  const mapping = { ...HOLLOW_MAPPING, app: 'hooked' }
  const names = ['left', ...OTHERS]
  const connections = Object.fromEntries(names.map((name) => [name, { app: 'hooked', name, secret: SECRET, mapping }]))
  const house = await openHouse({ connections, redisUrl })
  let server: RunningServer | undefined
  try {
    for (const name of names) await house.daemon.queues.wakePull(name)
    await house.quiet()
    await house.quiet()
    server = await serve(house)
    const run = (from: number, seconds: number): Promise<Taken[]> =>
      send(`${(server as RunningServer).url}/hooks/left`, { left, ids, from, seconds, hooksPerSecond })
    await run(0, WARM_S)
    const taken = await run(WARM_S * hooksPerSecond, options.seconds)
    const figure = (what: string, pick: (each: Taken) => number, share: number, most?: number): Figure => ({
      what: `queue on ${queue}: ${what}`,
      value: percentile(taken.map(pick), share),
      unit: 'ms',
      ...(most === undefined ? {} : { goal: { most } }),
    })
    return [
      figure('hook to written, p50', ({ written_ms }) => written_ms, 0.5, GOALS.p50_ms),
      figure('hook to written, p99', ({ written_ms }) => written_ms, 0.99, GOALS.p99_ms),
      figure('hook to its answer, p50', ({ answered_ms }) => answered_ms, 0.5),
      figure('hook to its answer, p99', ({ answered_ms }) => answered_ms, 0.99),
    ]
  } finally {
    writes.told = undefined
    await server?.close()
    await house.close()
    memoryApps.clear()
  }
}

async function serve(house: House): Promise<RunningServer> {
  const desk = HookDesk.of(house.household, QUIET_LOG)
  desk.attach(house.daemon)
  const routes = hookRoutes({
    desk,
    publicUrl: () => 'http://127.0.0.1',
    refusals: new RefusalLog(QUIET_LOG),
    told: () => undefined,
  })
  return startServer({ host: '127.0.0.1', port: 0 }, [routes])
}

interface Taken {
  readonly answered_ms: number
  readonly written_ms: number
}

async function send(
  url: string,
  run: { left: MemoryApp; ids: readonly string[]; from: number; seconds: number; hooksPerSecond: number },
): Promise<Taken[]> {
  const { left, ids, from, seconds, hooksPerSecond } = run
  const waiting = new Map<string, { apps: Set<string>; done: (at_ms: number) => void }>()
  writes.told = (app, title) => {
    const entry = waiting.get(title)
    if (!entry?.apps.delete(app) || entry.apps.size > 0) return
    waiting.delete(title)
    entry.done(performance.now())
  }
  const one = async (n: number): Promise<Taken> => {
    const id = ids[(n * 7) % ids.length] ?? ''
    const title = `Hook ${n}`
    left.edit(id, { title })
    const body = Buffer.from(JSON.stringify({ event: title, records: [id] }))
    const written = new Promise<number>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('an edit did not arrive')), LATE_MS)
      const done = (at_ms: number): void => {
        clearTimeout(late)
        resolve(at_ms)
      }
      waiting.set(title, { apps: new Set(OTHERS), done })
    })
    const start = performance.now()
    const headers = { 'x-signature': signature(SECRET, body).toString('base64') }
    const answer = await fetch(url, { method: 'POST', headers, body })
    await answer.arrayBuffer()
    const answered_ms = performance.now() - start
    if (answer.status !== 204) throw new Error(`a hook was answered ${answer.status}`)
    return { answered_ms, written_ms: (await written) - start }
  }
  const sent: Promise<Taken>[] = []
  const begin = performance.now()
  let due_ms = 0
  for (let n = 0; n < seconds * hooksPerSecond; n++) {
    // As they come from many people: in no step with each other.
    due_ms += (-Math.log(1 - Math.random()) * 1000) / hooksPerSecond
    const wait_ms = begin + due_ms - performance.now()
    if (wait_ms > 0) await new Promise((resolve) => setTimeout(resolve, wait_ms))
    sent.push(one(from + n))
  }
  return Promise.all(sent)
}
