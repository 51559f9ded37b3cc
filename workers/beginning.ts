import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { apps as registry } from '../connectors/registry.ts'
import { jsonSchema } from '../config/json-schema.ts'
import { starter, type StarterConnection } from '../config/starter.ts'

export type { StarterConnection } from '../config/starter.ts'

/** An app that a first config can name. */
export interface KnownApp {
  readonly name: string
  readonly title: string
  /** Options that are secrets. */
  readonly secrets: readonly string[]
}

export function knownApps(): KnownApp[] {
  return [...registry.values()].map(({ name, title, secrets }) => ({ name, title, secrets }))
}

/**
 * Writes a first kith.yaml, and the schema by which editors complete it into `.kith` beside it.
 * @throws the file system's error; EEXIST where the file is there and `force` is not set
 */
export async function begin(file: string, connections: readonly StarterConnection[], force: boolean): Promise<void> {
  const folder = join(dirname(file), '.kith')
  await writeFile(file, starter(connections), { flag: force ? 'w' : 'wx' })
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'kith.schema.json'), `${JSON.stringify(jsonSchema(registry), null, 2)}\n`)
  // Data, passwords and logs of a household do not belong into a repository.
  await writeFile(join(folder, '.gitignore'), '*\n')
}
