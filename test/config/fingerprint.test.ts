import { describe, expect, test } from '@jest/globals'
import { fingerprint } from '../../config/fingerprint.ts'
import type { Environment } from '../../config/source.ts'
import type { Config } from '../../config/types.ts'
import { load } from './apps.ts'

const BASE = `connections:
  a: { app: dav, url: "https://a.example", username: ada, password: "\${PW}" }
  b: { app: dav, url: "https://b.example", username: ada, password: "\${PW}" }
`

async function print(text: string, env: Environment = { PW: 'one' }): Promise<string> {
  const { config, errors } = await load(text, env)
  expect(errors).toEqual([])
  return fingerprint(config as Config)
}

describe('the fingerprint of a config', () => {
  test.each([
    ['a poll interval', BASE.replace('ada,', 'ada, poll: 7m,')],
    ['a rate', BASE.replace('ada,', 'ada, rate: 5/s,')],
    ['a brake', `${BASE}brakes: { flips: 3 }\n`],
    ['a mode', BASE.replace('ada,', 'ada, mode: observe,')],
    ['approval', `${BASE}approval: always\n`],
    ['a default written out', `${BASE}match: { shared_from: 3 }\n`],
    ['comments', `# hello\n${BASE}`],
    ['the order of connections', BASE.replace(/( {2}a:.*\n)( {2}b:.*\n)/, '$2$1')],
  ])('does not change with %s', async (_, text) => expect(await print(text)).toBe(await print(BASE)))

  test('does not change with a secret', async () => {
    expect(await print(BASE, { PW: 'two' })).toBe(await print(BASE))
  })

  test.each([
    ['an account', BASE.replace('a.example', 'c.example')],
    ['a name', BASE.replace('a:', 'c:')],
    ['a direction', BASE.replace('ada,', 'ada, direction: in,')],
    ['an include filter', BASE.replace('ada,', 'ada, include: { tags: { has: x } },')],
    ['a delete policy', BASE.replace('ada,', 'ada, deletes: propagate,')],
    ['create', BASE.replace('ada,', 'ada, create: false,')],
    ['a mapping', BASE.replace('ada,', 'ada, mapping: { fields: { title: TITLE } },')],
    ['a policy', `${BASE}fields: { title: fill }\n`],
    ['a custom field', `${BASE}custom: { x: text }\n`],
    ['a match rule', `${BASE}match: { rules: [email] }\n`],
    ['the region', `${BASE}region: DE\n`],
  ])('changes with %s', async (_, text) => expect(await print(text)).not.toBe(await print(BASE)))
})
