import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from '@jest/globals'
import { apps } from '../../connectors/registry.ts'
import { ConfigError } from '../../config/diagnostics.ts'
import { fingerprint } from '../../config/fingerprint.ts'
import { loadConfig } from '../../config/load.ts'
import type { Config } from '../../config/types.ts'

const dir = mkdtempSync(join(tmpdir(), 'kith-config-backup-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

async function load(yaml: string): Promise<Config> {
  const file = join(dir, 'kith.yaml')
  writeFileSync(file, `connections:\n  sheet: { app: csv, path: ./contacts.csv }\n${yaml}`)
  return (await loadConfig(file, apps, {})).config
}

test('no backup is made by itself, unless the config says where; then one a day, and two weeks of them', async () => {
  expect((await load('')).backup).toBeNull()
  const day_ms = 86_400_000
  expect((await load('backup: { folder: ./backups }')).backup).toEqual({
    every_ms: day_ms,
    keep: 14,
    folder: join(dir, 'backups'),
  })
  const other = await load('backup: { every: 6h, keep: 3, folder: /mnt/kith }')
  expect(other.backup).toEqual({ every_ms: day_ms / 4, keep: 3, folder: '/mnt/kith' })
  // It sends nothing anywhere: what was approved stays approved.
  expect(fingerprint(other)).toBe(fingerprint(await load('')))
})

test.each([
  ['backup: {}'],
  ['backup: { folder: "" }'],
  ['backup: { folder: x, keep: 0 }'],
  ['backup: { folder: x, every: 1s }'],
  ['backup: { folder: x, evry: 1d }'],
  ['backup: daily'],
])('%s is refused with its place', async (yaml) => {
  const refused = load(yaml)
  await expect(refused).rejects.toThrow(ConfigError)
  await expect(refused).rejects.toMatchObject({ diagnostics: [{ line: 3 }] })
})
