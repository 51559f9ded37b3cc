import { run, WEATHERS, type Weather, type WeatherName } from './chaos.ts'

/**
 * Leaves out of a failing run what it does not need to fail, and says how to see it again.
 * @returns what failed, under the mildest weather in which it still does, and the command that replays it
 */
export async function shrink(seed: number, name: WeatherName = 'storm'): Promise<string> {
  let weather: Weather = WEATHERS[name]
  for (const without of [
    'restores',
    'erasures',
    'undos',
    'pauses',
    'crashes',
    'queueLoss',
    'faults',
    'operators',
    'humans',
  ] as const) {
    const milder = { ...weather, [without]: false }
    if ((await run(seed, milder)).violations.length > 0) weather = milder
  }
  for (const steps of [20, 40, 80, 160]) {
    const shorter = { ...weather, steps }
    if ((await run(seed, shorter)).violations.length === 0) continue
    weather = shorter
    break
  }
  const { violations } = await run(seed, weather)
  const needs = Object.entries(weather).map(([part, value]) => `${part}=${value}`)
  return [
    `seed ${seed} (${needs.join(', ')})`,
    ...violations,
    `replay: npm run soak -- --weather ${name} --seed ${seed} --trace`,
  ].join('\n  ')
}
