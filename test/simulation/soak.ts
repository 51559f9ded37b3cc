import { parseArgs } from 'node:util'
import { run, WEATHERS, type WeatherName } from './chaos.ts'
import { runDay } from './company/day.ts'
import { shrink } from './shrink.ts'

/**
 * Runs many seeds outside the tests: `npm run soak -- --seeds 10000 [--from 1]` prints seeds per second and every seed that
 * fails; `npm run soak -- --seed 42 --trace` replays one, with all that happened in it. `--weather` names what goes on besides:
 * storm, pauses, erasures, restores, everything. With `--company` it runs days of the company
 * of the five apps in place of the memory apps.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    weather: { type: 'string', default: 'storm' },
    trace: { type: 'boolean', default: false },
    company: { type: 'boolean', default: false },
  },
})
const from = Number(values.seed ?? values.from)
const count = values.seed === undefined ? Number(values.seeds) : 1
if (!Object.hasOwn(WEATHERS, values.weather)) {
  throw new RangeError(`no weather named ${values.weather}; there are ${Object.keys(WEATHERS).join(', ')}`)
}
const weather = values.weather as WeatherName
const say = (text: string): void => void process.stdout.write(`${text}\n`)

const started_ms = performance.now()
const failed: number[] = []
for (let seed = from; seed < from + count; seed++) {
  const outcome = await (values.company ? runDay(seed) : run(seed, WEATHERS[weather]))
  if (values.trace) say(outcome.trace.join('\n'))
  if (outcome.violations.length === 0) continue
  failed.push(seed)
  if (values.trace) say(outcome.violations.join('\n'))
  else if (!values.company) say(await shrink(seed, weather))
  else
    say(
      [`seed ${seed}`, ...outcome.violations, `replay: npm run soak -- --company --seed ${seed} --trace`].join('\n  '),
    )
}
const seconds = (performance.now() - started_ms) / 1000
say(`${count} seeds, ${failed.length} failed, ${(count / seconds).toPrecision(2)} seeds/s`)
process.exitCode = failed.length > 0 ? 1 : 0
