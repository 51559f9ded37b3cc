import { describe, expect, test } from '@jest/globals'
import { load } from './apps.ts'

const dav = (rest: string) => `connections:\n  crm: { app: dav, url: "https://crm.example", username: ada, ${rest} }\n`
const options = async (...args: Parameters<typeof load>) => {
  const { config, errors } = await load(...args)
  expect(errors).toEqual([])
  return config?.connections[0]?.options
}

describe('the environment', () => {
  test('fills in variables anywhere in a text, with defaults as in a shell', async () => {
    const text = dav('password: "a-${PW}-${NOT_SET:-b}-${EMPTY:-c}-$${PW}"')
    expect(await options(text, { PW: 'x', EMPTY: '' })).toMatchObject({ password: 'a-x-b-c-${PW}' })
  })

  test('gives numbers and truth values where those are wanted, and text everywhere else', async () => {
    const env = { PORT: '8443', STRICT: 'false', PW: '12345' }
    const found = await options(dav('password: "${PW}", port: "${PORT}", strict: "${STRICT}"'), env)
    expect(found).toMatchObject({ password: '12345', port: 8443, strict: false })
  })

  test('a variable that is not set is one error at its place, not two', async () => {
    const { errors, diagnostics } = await load(dav('password: "${PW}", port: "${PORT}"'))
    expect(errors).toEqual([
      '2:73 the environment variable PW is not set',
      '2:88 the environment variable PORT is not set',
    ])
    expect(diagnostics[0]?.advice).toContain('${PW:-default}')
  })

  test('something that looks like a variable and is none is told', async () => {
    expect((await load(dav('password: "${my pw}"'))).errors).toEqual([
      '2:73 "${" starts a variable, and this is not the name of one',
    ])
  })
})

describe('secrets', () => {
  test('are read from files beside the config, without the line end of the editor', async () => {
    const files = { 'pw.txt': ' open sesame \r\n' }
    expect(await options(dav('password: "file:./pw.txt"'), {}, files)).toMatchObject({ password: ' open sesame ' })
    // Only what the operator wrote names a file, not what a variable happens to hold.
    const held = await options(dav('password: "${PW}"'), { PW: 'file:./pw.txt' }, files)
    expect(held).toMatchObject({ password: 'file:./pw.txt' })
  })

  test('a file of a secret that is missing or empty is an error at its place', async () => {
    const missing = await load(dav('password: "file:./pw.txt"'))
    expect(missing.errors).toEqual(['2:73 the file of "password" cannot be read (ENOENT)'])
    const empty = await load(dav('password: "file:./pw.txt"'), {}, { 'pw.txt': '\n' })
    expect(empty.errors).toEqual(['2:73 the file of "password" is empty'])
  })

  test('a literal secret works, with a warning that says what to write instead', async () => {
    const { warnings, config } = await load(dav('password: opensesame'))
    expect(config).toBeDefined()
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatchObject({ line: 2, column: 73 })
    expect(warnings[0]?.advice).toContain('${CRM_PASSWORD}')
  })

  test('never appear in what an operator sees, however wrong the file is (I15)', async () => {
    const files = { 'pw.txt': 'opensesame' }
    const outputs = await Promise.all([
      load(dav('password: opensesame')),
      load(dav('password: "file:pw.txt", nope: 1'), {}, files),
      load(dav('password: "${PW}", port: x, mode: "${PW}", deletes: "${PW}", poll: "${PW}"'), { PW: 'opensesame' }),
      load(dav('password: [opensesame]')),
      load(dav('password: { opensesame: opensesame }')),
      load(dav('password: @opensesame')),
      load(dav('password: "opensesame\\q"')),
      load(dav('password: opensesame: opensesame')),
      load(dav('password: !opensesame opensesame')),
      load(dav('password: *opensesame')),
      load('connections:\n  crm:\n    app: "opensesame"\n    password: opensesame\n   opensesame\n'),
      load('connections: { crm: { app: dav, url: opensesame, username: a, password: opensesame } }'),
    ])
    for (const { output } of outputs) expect(output).not.toContain('opensesame')
  })
})
