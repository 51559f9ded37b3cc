import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'

const root = join(import.meta.dirname, '..', '..')
const spec = readFileSync(join(root, 'docs', 'SPEC.md'), 'utf8')

/** The lines of the form: - `test/some.test.ts`: "a name"; "another name". Parts of names will do. */
const guards = [...spec.matchAll(/^- `(test\/[^`]+)`:((?:.|\n(?!\n|- |#))+)/gm)].flatMap(([, file = '', names = '']) =>
  [...names.replace(/\s+/g, ' ').matchAll(/"([^"]+)"/g)].map(([, name = '']) => ({ file, name })),
)

test('every test that docs/SPEC.md names as a guard is there', () => {
  expect(guards.length).toBeGreaterThan(40)
  const missing = guards.filter(({ file, name }) => {
    const path = join(root, file)
    return !existsSync(path) || !readFileSync(path, 'utf8').includes(name)
  })
  expect(missing).toEqual([])
})

test('every file that docs/SPEC.md names is there', () => {
  const named = [...spec.matchAll(/`((?:engine|workers|config|mappings|connectors|cli|test)\/[\w./-]+)`/g)]
  const missing = named.map(([, path = '']) => path).filter((path) => !existsSync(join(root, path)))
  expect(missing).toEqual([])
})
