import { describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { amend, asYaml } from '../../config/amend.ts'

const FILE = `# my config
connections:
  crm:   # the CRM
    app: csv   # a sheet
    deletes: propagate # careful
  phone:
    app: vdir

fields:
  title: manual # ask me
  note: { owner: crm }   # crm knows

# the end
`

describe('a rule that is put into kith.yaml', () => {
  test.each([
    [
      ['fields', 'title'],
      { prefer: ['crm'] },
      ['-   title: manual # ask me', '+   title: { prefer: [ crm ] } # ask me'],
    ],
    [['fields', 'note'], 'latest', ['-   note: { owner: crm }   # crm knows', '+   note: latest   # crm knows']],
    [['fields', 'name.family'], 'latest', ['+   name.family: latest']],
    [['match', 'shared_from'], 2, ['+ match:', '+   shared_from: 2']],
    [
      ['connections', 'crm', 'deletes'],
      'unlink',
      ['-     deletes: propagate # careful', '+     deletes: unlink # careful'],
    ],
    [['connections', 'phone', 'deletes'], 'unlink', ['+     deletes: unlink']],
  ])('%j changes that place alone, and keeps every comment', (path, value, changed) => {
    const { text, diff } = amend(FILE, { path, value })
    expect(diff.filter((line) => !line.startsWith(' '))).toEqual(changed)
    for (const comment of FILE.match(/#.*/g) ?? []) expect(text).toContain(comment)
    expect(path.reduce<unknown>((at, key) => (at as { [key: string]: unknown })[key], parse(text))).toEqual(value)
    const kept = text.split('\n').filter((line) => FILE.split('\n').includes(line))
    expect(kept.length).toBeGreaterThanOrEqual(FILE.split('\n').length - 1)
  })

  test('says nothing where the file says so already', () => {
    expect(amend(FILE, { path: ['fields', 'title'], value: 'manual' })).toEqual({ text: FILE, diff: [] })
  })

  test.each([
    ['connections: { a: { app: csv } }\n', { connections: { a: { app: 'csv' } }, fields: { title: 'latest' } }],
    ['connections: {}\nfields:\n', { connections: {}, fields: { title: 'latest' } }],
    ['{"connections": {}, "fields": {"note": "fill"}}', { connections: {}, fields: { note: 'fill', title: 'latest' } }],
  ])('goes into a file of another form, too: %j', (file, expected) => {
    expect(parse(amend(file, { path: ['fields', 'title'], value: 'latest' }).text)).toEqual(expected)
  })

  test.each(['connections: [', 'fields: 3\n'])('does not touch what it cannot read: %j', (file) => {
    expect(() => amend(file, { path: ['fields', 'title'], value: 'latest' })).toThrow(RangeError)
  })

  test('is shown by itself for people who write it in by hand', () => {
    expect(asYaml({ path: ['fields', 'title'], value: { prefer: ['crm'] } })).toBe(
      'fields:\n  title:\n    prefer:\n      - crm',
    )
  })
})
