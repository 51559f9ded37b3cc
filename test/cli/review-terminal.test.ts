import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { freshDatabase, type FreshDatabase } from '../support/postgres.ts'
import { Folder, type Running } from './kith.ts'

jest.setTimeout(120_000)

/** A terminal is made by util-linux's `script`, which every Linux has. */
const HAS_TERMINAL = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0
const suite = HAS_TERMINAL ? describe : describe.skip

const [DOWN, ENTER, CTRL_C] = ['\u001b[B', '\r', '\u0003']

// The database of all tests: starting one for each command would take most of the time.
let database: FreshDatabase
let folder: Folder
beforeEach(async () => {
  database = await freshDatabase()
  folder = new Folder({ KITH_OPERATOR: 'ada', TERM: 'xterm', DATABASE_URL: database.url })
  const rows = (titles: readonly string[]): string =>
    [
      'First Name,Last Name,E-mail,Job Title',
      ...titles.map((title, n) => `Given${n},Family${n},p${n}@example.org,${title}`),
    ].join('\n')
  folder.write('a.csv', `${rows(['one', 'two', 'three'])}\n`)
  folder.write('b.csv', `${rows(['uno', 'due', 'tre'])}\n`)
  folder.write(
    'kith.yaml',
    'connections:\n  a: { app: csv, path: ./a.csv }\n  b: { app: csv, path: ./b.csv }\nfields: { title: manual }\n',
  )
  await folder.kith('sync', '--approve')
})
afterEach(async () => {
  folder.remove()
  await database.drop()
})

/** Goes through the questions as a human would: each key is pressed once its question is on the screen. */
async function answer(
  terminal: Running,
  ...steps: readonly (readonly [question: string, keys: string])[]
): Promise<void> {
  let asked = 0
  for (const [question, keys] of steps) {
    await asks(terminal, question, asked)
    asked = questions(terminal).length
    terminal.input(keys)
  }
}

/** Resolves once a question was asked that is not among the first ones. */
function asks(terminal: Running, question: string, after: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      if (
        questions(terminal)
          .slice(after)
          .some((one) => one.startsWith(question))
      )
        resolve()
      else setTimeout(look, 20)
    }
    look()
    void terminal.ended.then(({ code, out }) => reject(new Error(`ended with ${code} before "${question}": ${out}`)))
  })
}

/** Every question that was ever on the screen; one that has its answer is drawn with another sign. */
function questions(terminal: Running): string[] {
  const plain = stripVTControlCharacters(terminal.out)
  return plain
    .split('◆')
    .slice(1)
    .map((text) => text.trimStart())
}

async function waiting(): Promise<number> {
  return (JSON.parse((await folder.kith('review', '--list', '--json')).out) as { total: number }).total
}

suite('kith review on a terminal', () => {
  test('asks one by one: another value, left for later, and enough for now', async () => {
    expect(await waiting()).toBe(3)
    const terminal = folder.terminal('review')
    await answer(
      terminal,
      ['What is right?', `${DOWN}${DOWN}${ENTER}`],
      ['The value', `Chair${ENTER}`],
      ['Why?', `asked her${ENTER}`],
      ['What is right?', `${DOWN}${DOWN}${DOWN}${ENTER}`],
      ['What is right?', `${DOWN}${DOWN}${DOWN}${DOWN}${ENTER}`],
    )
    const { code, out } = await terminal.ended
    expect([code, out]).toEqual([0, expect.stringContaining('Decided: 1 item.')])
    expect(await waiting()).toBe(1)
    const acts = await folder.kith('acts')
    expect(acts.out).toContain('"asked her"')
    await folder.kith('sync')
    for (const file of ['a.csv', 'b.csv']) expect(readFileSync(join(folder.path, file), 'utf8')).toContain('Chair')
  })

  test('Ctrl-C decides nothing more, and leaves the terminal as it was', async () => {
    const terminal = folder.terminal('review')
    await answer(terminal, ['What is right?', ENTER], ['Why?', CTRL_C])
    const { out } = await terminal.ended
    expect(out).toContain('Nothing was decided.')
    // The cursor is shown again.
    expect(out.lastIndexOf('\u001b[?25h')).toBeGreaterThan(out.lastIndexOf('\u001b[?25l'))
    expect(await waiting()).toBe(3)
  })
})
