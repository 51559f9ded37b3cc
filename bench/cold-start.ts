import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { watch } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { KITH_FLAGS } from './child.ts'
import { scratchFolder, writeConfig } from './house.ts'
import { median } from './measure.ts'
import { SHEET_HEADINGS, sheetRow } from './people.ts'
import type { Finding } from './report.ts'

/**
 * (c) Cold start to first record: from the start of the process `kith sync --approve` on a folder where Kith never was, with a
 * sheet of people and an empty folder of cards, to the first card in that folder; and until the command has ended. Node
 * starts, the database is made, the schema, the first plan, the first write.
 */
export interface ColdStartOptions {
  readonly people: number
  readonly runs: number
}

const KITH = fileURLToPath(new URL('../cli/kith.ts', import.meta.url))

export async function coldStart({ people, runs }: ColdStartOptions): Promise<Finding> {
  const firsts: number[] = []
  const ends: number[] = []
  for (let run = 0; run < runs; run++) {
    const { first_ms, end_ms } = await coldRun(people)
    firsts.push(first_ms / 1000)
    ends.push(end_ms / 1000)
  }
  return {
    title: `(c) cold start to first record (a sheet of ${people} people, an empty folder of cards)`,
    figures: [
      { what: 'process start to first record', value: median(firsts), unit: 's', goal: { most: 4 }, runs: firsts },
      { what: `process start to its end, ${people} records written`, value: median(ends), unit: 's', runs: ends },
    ],
  }
}

async function coldRun(people: number): Promise<{ first_ms: number; end_ms: number }> {
  const folder = await scratchFolder()
  const phone = join(folder, 'phone')
  await mkdir(phone)
  const rows = Array.from({ length: people }, (_, n) => sheetRow(n))
  await writeFile(join(folder, 'people.csv'), [SHEET_HEADINGS, ...rows, ''].join('\n'))
  const config = await writeConfig(folder, {
    sheet: { app: 'csv', path: './people.csv' },
    phone: { app: 'vdir', path: './phone' },
  })
  let first_ms: number | undefined
  const watcher = watch(phone, (_event, name) => {
    if (name?.endsWith('.vcf')) first_ms ??= performance.now() - start
  })
  const { DATABASE_URL: _outside, REDIS_URL: _redis, KITH_DATA: _data, ...env } = process.env
  const start = performance.now()
  try {
    const flags = [...KITH_FLAGS, KITH, '--config', config, 'sync', '--approve']
    const child = spawn(process.execPath, flags, { env, stdio: ['ignore', 'ignore', 'inherit'] })
    const [code] = (await once(child, 'exit')) as [number | null]
    const end_ms = performance.now() - start
    if (code !== 0 || first_ms === undefined) throw new Error(`kith sync ended with ${code}, first record: ${first_ms}`)
    return { first_ms, end_ms }
  } finally {
    watcher.close()
    await rm(folder, { recursive: true, force: true })
  }
}
