import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from '@jest/globals'
import { apps } from '../../connectors/registry.ts'
import { ConfigError } from '../../config/diagnostics.ts'
import { loadConfig } from '../../config/load.ts'
import type { ServerConfig } from '../../config/types.ts'

const dir = mkdtempSync(join(tmpdir(), 'kith-config-server-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

async function serverOf(yaml: string, env: { [name: string]: string } = {}): Promise<ServerConfig | null> {
  const file = join(dir, 'kith.yaml')
  writeFileSync(file, `connections:\n  sheet: { app: csv, path: ./contacts.csv }\n${yaml}`)
  return (await loadConfig(file, apps, env)).config.server
}

test('nothing is served, unless the config says so; then for this machine only', async () => {
  expect(await serverOf('')).toBeNull()
  expect(await serverOf('server: {}')).toEqual({ host: '127.0.0.1', port: 5484, publicUrl: null })
})

test('the public address loses the slash at its end, and keeps its path; the port may come from the environment', async () => {
  const written = "server: { host: '::', port: '${PORT}', publicUrl: 'https://kith.example/a/' }"
  expect(await serverOf(written, { PORT: '80' })).toEqual({ host: '::', port: 80, publicUrl: 'https://kith.example/a' })
})

test.each([
  ['server: { port: 70000 }'],
  ['server: { publicUrl: kith.example }'],
  ['server: { publicUrl: "ftp://kith.example" }'],
  ['server: { publicUrl: "https://ada:pass@kith.example" }'],
  ['server: { publicUrl: "https://kith.example/#a" }'],
  ['server: { hots: localhost }'],
  ['server: 5484'],
])('%s is refused with its place', async (yaml) => {
  const refused = serverOf(yaml)
  await expect(refused).rejects.toThrow(ConfigError)
  await expect(refused).rejects.toMatchObject({ diagnostics: [{ line: 3 }] })
})
