import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { ConfigError, type Diagnostic } from '../../config/diagnostics.ts'
import { loadConfig } from '../../config/load.ts'
import type { CheckMapping } from '../../config/mapping.ts'
import type { Environment } from '../../config/source.ts'
import type { Config } from '../../config/types.ts'
import type { App } from '../../connectors/app.ts'

function app<Options>(parts: Omit<App<Options>, 'connect' | 'title'>): App {
  const connect = (): never => {
    throw new Error('the config opens no connection')
  }
  return { ...parts, title: parts.name, connect } as unknown as App
}

/** Two apps with the kinds of options that real ones have. */
export const APPS: ReadonlyMap<string, App> = new Map(
  [
    app({
      name: 'dav',
      options: z.strictObject({
        url: z.url(),
        username: z.string(),
        password: z.string().min(1),
        port: z.int().optional(),
        books: z.array(z.string()).optional(),
        strict: z.boolean().default(true),
        limits: z.strictObject({ size: z.int() }).optional(),
      }),
      secrets: ['password'],
      account: ({ url, username }) => `${username}@${url}`,
    }),
    app({
      name: 'folder',
      options: z.strictObject({ path: z.string() }),
      secrets: [],
      account: ({ path }, { baseDir }) => resolve(baseDir, path),
    }),
  ].map((one) => [one.name, one]),
)

export interface Loaded {
  readonly config: Config | undefined
  /** `line:column message` of each error. */
  readonly errors: string[]
  readonly diagnostics: readonly Diagnostic[]
  readonly warnings: readonly Diagnostic[]
  /** Everything that an operator would see. */
  readonly output: string
}

/** Loads a config text from a folder of its own, with other files beside it. */
export async function load(
  text: string | Uint8Array,
  env: Environment = {},
  files: { readonly [name: string]: string } = {},
  checkMapping?: CheckMapping,
): Promise<Loaded> {
  const folder = await mkdtemp(join(tmpdir(), 'kith-config-'))
  try {
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
    const file = join(folder, 'kith.yaml')
    await writeFile(file, text)
    const { config, warnings } = await loadConfig(file, APPS, env, checkMapping)
    return { config, errors: [], diagnostics: [], warnings, output: JSON.stringify(warnings) }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const errors = error.diagnostics.map(({ line, column, message }) => `${line}:${column} ${message}`)
    return { config: undefined, errors, diagnostics: error.diagnostics, warnings: [], output: error.message }
  } finally {
    await rm(folder, { recursive: true })
  }
}
