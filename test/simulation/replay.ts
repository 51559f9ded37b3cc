import { run, STORM } from './chaos.ts'

/**
 * Runs seeds outside the tests: `node test/simulation/replay.ts 1 200` prints each failing seed of the range; with `trace`
 * behind it, all that happened in them.
 */
const [from = '1', count = '1', trace] = process.argv.slice(2)
const started = performance.now()
let failed = 0
for (let seed = Number(from); seed < Number(from) + Number(count); seed++) {
  const outcome = await run(seed, STORM)
  if (trace !== undefined) process.stdout.write(`${outcome.trace.join('\n')}\n`)
  if (outcome.violations.length === 0) continue
  failed++
  process.stdout.write(`seed ${seed}\n${outcome.violations.map((line) => `  ${line}`).join('\n')}\n`)
}
const rate = Math.round(Number(count) / ((performance.now() - started) / 1000))
process.stdout.write(`${count} seeds, ${failed} failed, ${rate} seeds/s\n`)
