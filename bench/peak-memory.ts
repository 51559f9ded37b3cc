import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { JsonObject } from '../engine/core/json.ts'
import { Child, KITH_FLAGS } from './child.ts'
import { scratchFolder, type Cost } from './house.ts'
import { SHEET_HEADINGS, sheetRow } from './people.ts'
import { HOLLOW_MAPPING } from './hollow-app.ts'
import type { Figure, Finding } from './report.ts'

/**
 * (d) Peak memory of the Kith process (VmHWM, everything it ever held at once) over a first sync of so many people, once out of
 * an app that holds nothing itself, and once out of a sheet, which its connector reads whole.
 */
export interface PeakMemoryOptions {
  readonly sizes: readonly number[]
}

const GOAL_MIB = 300

export async function peakMemory({ sizes }: PeakMemoryOptions): Promise<Finding> {
  const figures: Figure[] = []
  const peaks: number[] = []
  for (const people of sizes) {
    const from = { app: 'hollow', name: 'from', people, mapping: HOLLOW_MAPPING }
    const { peak_mib, cost } = await firstSync(people, from)
    peaks.push(peak_mib)
    const rate = (people * 1000) / cost.wall_ms
    figures.push(
      { what: `${people} people: engine`, value: peak_mib, unit: 'MiB', goal: { most: GOAL_MIB } },
      { what: `${people} people: first sync`, value: rate, unit: 'contacts/s' },
    )
    const folder = await scratchFolder()
    try {
      const path = join(folder, 'people.csv')
      const rows = Array.from({ length: people }, (_, n) => sheetRow(n))
      await writeFile(path, [SHEET_HEADINGS, ...rows, ''].join('\n'))
      const sheet = await firstSync(people, { app: 'csv', path, direction: 'in' })
      figures.push({ what: `${people} people: out of a sheet`, value: sheet.peak_mib, unit: 'MiB' })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
  const [small, large] = [peaks[0] ?? 0, peaks.at(-1) ?? 0]
  if (peaks.length > 1) {
    const what = `engine: peak at ${sizes.at(-1)} over that at ${sizes[0]}`
    figures.push({ what, value: large / small, unit: 'times', goal: { most: 1.15 } })
  }
  return { title: '(d) peak memory of the Kith process over a first sync', figures }
}

async function firstSync(people: number, from: JsonObject): Promise<{ peak_mib: number; cost: Cost }> {
  const child = Child.start('./kith-child.ts', KITH_FLAGS)
  try {
    await child.ask('open', { from, to: { app: 'hollow', name: 'to', people: 0, mapping: HOLLOW_MAPPING } })
    const cost = await child.ask<Cost>('quiet')
    const written = await child.ask<number>('linked', 'to')
    if (written !== people) throw new Error(`${written} of ${people} people arrived`)
    return { peak_mib: await child.ask<number>('peak_mib'), cost }
  } finally {
    await child.ask('close')
    await child.end()
  }
}
