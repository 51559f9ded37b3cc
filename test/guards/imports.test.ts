import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import { breaches, breachesIn, sources } from './imports.ts'

const PROJECT = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

test('every import in the project keeps the import rule', () => {
  expect(sources(PROJECT, 'engine').length).toBeGreaterThan(5)
  expect(breaches(PROJECT)).toEqual([])
})

/** File, import, and whether the linter's patterns see it too. */
const FORBIDDEN: [file: string, text: string, linted: boolean][] = [
  ['engine/core/x.ts', "import { readFile } from 'node:fs'", true],
  ['engine/core/x.ts', "import type { z } from 'zod'", true],
  ['engine/core/x.ts', "export { x } from '../store/x.ts'", true],
  ['engine/core/ports/x.ts', "import type { App } from '../../../connectors/app.ts'", true],
  ['engine/core/x.ts', "const x = await import('zod')", false],
  ['engine/core/x.ts', 'const x = await import(name)', false],
  ['engine/core/x.ts', "import {\n  a,\n  b,\n} from 'zod'", true],
  ['engine/core/x.ts', "let y: import('zod').ZodType", false],
  ['engine/store/x.ts', "import { x } from '../../mappings/x.ts'", true],
  ['engine/store/embedded/x.ts', "import { x } from '../../../config/limits.ts'", true],
  ['mappings/x.ts', "import '../connectors/app.ts'", true],
  ['mappings/x.ts', "import { x } from '../engine/store/x.ts'", true],
  ['connectors/csv/x.ts', "import { x } from '../../mappings/schema.ts'", true],
  ['connectors/csv/x.ts', "import { x } from '../../engine/store/x.ts'", true],
  ['connectors/csv/x.ts', "import { x } from './../../workers/x.ts'", false],
  ['connectors/csv/index.ts', "import { x } from '../carddav/simulator.ts'", false],
  ['connectors/csv/index.ts', "import { x } from '../simulator-server.ts'", false],
  ['connectors/carddav/simulator.ts', "import { x } from './index.ts'", false],
  ['config/x.ts', "import { x } from '../connectors/registry.ts'", false],
  ['config/x.ts', "import { x } from '../workers/x.ts'", false],
  ['workers/x.ts', "import { x } from '../server/x.ts'", false],
  ['workers/x.ts', "import { x } from '../connectors/carddav/simulator.ts'", true],
  ['server/x.ts', "import { x } from '../connectors/registry.ts'", false],
  ['cli/x.ts', "import { x } from '../engine/store/x.ts'", false],
  ['cli/x.ts', "import { x } from '../connectors/carddav/simulator.ts'", true],
  ['plugins/x.ts', 'const x = 1', false],
]

const ALLOWED: [file: string, text: string][] = [
  ['engine/core/ports/x.ts', "import type { Json } from '../json.ts'"],
  ['engine/core/x.ts', "// import { x } from 'zod'\n/* import 'zod' */\n/** as `import('zod')` */\nconst x = 'import'"],
  ['engine/store/x.ts', "import pg from 'pg'\nimport type { Store } from '../core/ports/store.ts'"],
  ['mappings/x.ts', "import { z } from 'zod'\nimport type { Lens } from '../engine/core/ports/lens.ts'"],
  ['connectors/csv/x.ts', "import { x } from '../app.ts'\nimport { y } from '../../engine/core/json.ts'"],
  ['connectors/carddav/simulator.ts', "import { x } from './wire.ts'"],
  ['connectors/carddav/simulator.ts', "import { x } from '../simulator-server.ts'"],
  ['config/x.ts', "import { x } from '../mappings/schema.ts'\nimport type { App } from '../connectors/app.ts'"],
  ['workers/x.ts', "import { x } from '../engine/store/x.ts'\nimport { y } from '../connectors/registry.ts'"],
  ['cli/demo/x.ts', "import { x } from '../../connectors/carddav/simulator.ts'"],
  ['test/x.ts', "import { x } from '../connectors/carddav/simulator.ts'"],
]

describe('the import rule bites', () => {
  test.each(FORBIDDEN)('in %s: %s', (file, text) => {
    expect(breachesIn(file, `const before = 1\n${text}\n`)).toHaveLength(1)
  })

  test.each(ALLOWED)('and lets be, in %s: %s', (file, text) => expect(breachesIn(file, text)).toEqual([]))

  test('a breach names its line', () => {
    expect(breachesIn('mappings/x.ts', "\n\nimport {\n  x,\n} from '../config/x.ts'\n")).toEqual([
      {
        file: 'mappings/x.ts',
        line: 5,
        imports: '../config/x.ts',
        because: 'a mapping stands on the core alone',
      },
    ])
  })

  test('the linter reports what its patterns can see, and nothing that is allowed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kith-lint-'))
    try {
      const linted = FORBIDDEN.filter(([, , seen]) => seen)
      const put = async (name: string, text: string) => {
        await mkdir(dirname(join(folder, name)), { recursive: true })
        await writeFile(join(folder, name), `${text}\n`)
      }
      await writeFile(join(folder, '.oxlintrc.json'), await readFile(join(PROJECT, '.oxlintrc.json'), 'utf8'))
      const numbered = (file: string, index: number, kind: string) => file.replace(/x\.ts$/, `${kind}${index}.ts`)
      for (const [index, [file, text]] of linted.entries()) await put(numbered(file, index, 'bad'), text)
      for (const [index, [file, text]] of ALLOWED.entries()) await put(numbered(file, index, 'good'), text)
      await put('engine/core/clock.ts', 'export const now = () => Date.now()')
      await put('engine/core/dice.ts', 'export const roll = () => Math.random()')

      const found = await restrictedIn(folder)
      const expected = linted.map(([file], index) => numbered(file, index, 'bad'))
      expect(found).toEqual([...expected, 'engine/core/clock.ts', 'engine/core/dice.ts'].sort())
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

/** The files in which the linter finds something restricted. */
async function restrictedIn(folder: string): Promise<string[]> {
  const oxlint = join(PROJECT, 'node_modules', '.bin', 'oxlint')
  const { stdout } = await promisify(execFile)(oxlint, ['--format=json'], { cwd: folder }).catch(
    (error: { stdout: string }) => error,
  )
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { code: string; filename: string }[] }
  const restricted = diagnostics.filter(({ code }) => /no-restricted-/.test(code))
  return [...new Set(restricted.map(({ filename }) => filename))].sort()
}
