import { parseArgs } from 'node:util'
import { run } from './chaos.ts'
import { shrink } from './shrink.ts'

/**
 * Runs many seeds outside the tests: `npm run soak -- --seeds 10000 [--from 1]` prints seeds per second and every seed that
 * fails; `npm run soak -- --seed 42 --trace` replays one, with all that happened in it.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
})
const from = Number(values.seed ?? values.from)
const count = values.seed === undefined ? Number(values.seeds) : 1
const say = (text: string): void => void process.stdout.write(`${text}\n`)

const started_ms = performance.now()
const failed: number[] = []
for (let seed = from; seed < from + count; seed++) {
  const outcome = await run(seed)
  if (values.trace) say(outcome.trace.join('\n'))
  if (outcome.violations.length === 0) continue
  failed.push(seed)
  say(values.trace ? outcome.violations.join('\n') : await shrink(seed))
}
const seconds = (performance.now() - started_ms) / 1000
say(`${count} seeds, ${failed.length} failed, ${Math.round(count / seconds)} seeds/s`)
process.exitCode = failed.length > 0 ? 1 : 0
