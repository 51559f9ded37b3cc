import { describe, expect, test } from '@jest/globals'
import { BRAKES, POLL_MS, ROLE_ADDRESSES } from '../../config/limits.ts'
import { load } from './apps.ts'

const CRM = 'crm: { app: dav, url: "https://crm.example", username: ada, password: "${PW}" }'
const ENV = { PW: 'opensesame' }

describe('a config that works', () => {
  test('the smallest config names connections, and everything else has a default', async () => {
    const { config, warnings, errors } = await load('connections:\n  phone: { app: folder, path: ./phone }\n')
    expect(errors).toEqual([])
    expect(warnings).toEqual([])
    expect(config).toMatchObject({
      approval: 'first',
      custom: [],
      policies: {},
      region: null,
      match: {
        rules: [{ by: 'externalId' }, { by: 'email' }, { by: 'phone' }],
        sharedFrom: 3,
        roleAddresses: [...ROLE_ADDRESSES],
      },
    })
    expect(config?.connections).toEqual([
      {
        name: 'phone',
        app: 'folder',
        options: { path: './phone' },
        account: `${config?.baseDir}/phone`,
        mapping: null,
        mappingFile: null,
        direction: 'both',
        mode: 'live',
        include: null,
        deletes: 'unlink',
        create: true,
        poll_ms: POLL_MS,
        rate: null,
        brakes: BRAKES,
      },
    ])
  })

  test('everything that can be written is taken over', async () => {
    const { config, errors } = await load(
      `connections:
  ${CRM}
  phone:
    app: folder
    path: ./phone
    direction: in
    mode: observe
    deletes: archive
    create: false
    poll: 5m
    rate: { requests: 100, per: 10s, share: 50% }
    brakes: { creates: { min: 7 } }
    mapping: { fields: { title: TITLE } }
    include: { tags: { has: customer } }
fields:
  name: { owner: crm }
  name.given: latest
  title: { prefer: [phone, crm] }
  custom.loyalty: manual
  note: fill
custom:
  loyalty: number
  hobbies: { type: tag, set: true, title: Hobbies }
match: { rules: [email], shared_from: 5, role_addresses: [Info] }
region: DE
approval: always
brakes: { deletes: { share: 1%, min: 2 }, field: { share: 0.5 }, window: 2h, flips: 9 }
`,
      ENV,
    )
    expect(errors).toEqual([])
    expect(config?.connections[0]?.options).toEqual({
      url: 'https://crm.example',
      username: 'ada',
      password: 'opensesame',
      strict: true,
    })
    expect(config?.connections[1]).toMatchObject({
      direction: 'in',
      mode: 'observe',
      deletes: 'archive',
      create: false,
      poll_ms: 300_000,
      rate: { requests: 100, per_ms: 10_000, share: 0.5 },
      mapping: { fields: { title: 'TITLE' } },
      include: { kind: 'field', field: 'tags', tests: [{ op: 'in', values: ['customer'] }] },
      // The connection's own word, then the file's, then the built-in one.
      brakes: {
        creates: { share: BRAKES.creates.share, min: 7 },
        deletes: { share: 0.01, min: 2 },
        fieldShare: { share: 0.5, min: BRAKES.fieldShare.min },
        window_ms: 7_200_000,
        flips_max: 9,
      },
    })
    expect(config?.policies).toMatchObject({
      'name.family': { kind: 'owner', connection: 'crm' },
      'name.given': { kind: 'latest' },
      title: { kind: 'prefer', order: ['phone', 'crm'] },
      'custom.loyalty': { kind: 'manual' },
      note: { kind: 'fill' },
    })
    expect(config?.custom).toEqual([
      { name: 'custom.loyalty', type: 'number', set: false, title: 'loyalty' },
      { name: 'custom.hobbies', type: 'tag', set: true, title: 'Hobbies' },
    ])
    expect(config?.match).toEqual({ rules: [{ by: 'email' }], sharedFrom: 5, roleAddresses: ['info'] })
    expect(config).toMatchObject({ region: 'DE', approval: 'always' })
  })

  test('aliases, a byte order mark and Windows line ends are read like anything else', async () => {
    const text =
      '\uFEFFconnections:\r\n  a: { app: folder, path: a, brakes: &b { flips: 2 } }\r\n  b: { app: folder, path: b, brakes: *b }\r\n'
    const { config, errors } = await load(text)
    expect(errors).toEqual([])
    expect(config?.connections.map(({ brakes }) => brakes.flips_max)).toEqual([2, 2])
  })
})

describe('what is wrong is said with its place, and all of it at once', () => {
  test('every mistake of a file comes in one answer, in the order of the file', async () => {
    const { errors, diagnostics } = await load(
      `connections:
  crm: { app: dav, url: "https://x.example/", username: 1, pasword: x, port: "no", books: a }
  Phone: { app: foldr, path: 1 }
  phone: { app: folder, path: p, poll: 30, direction: bth, rate: { requests: 0, per: 1s }, brakes: { fieldd: 1 } }
  list: [1]
  none:
  lost: { path: x }
fields:
  title: { owner: crmm }
  nme: latest
  note: { ownr: crm }
custom: { emails: text, loyal: { type: txt } }
match: [email]
region: de
approval: never
brakes: { window: 5, deletes: { share: 500% } }
conections: 1
`,
    )
    expect(errors).toEqual([
      '2:3 "connections.crm.password" is missing',
      '2:57 "connections.crm.username" must be text, not a number',
      '2:60 "connections.crm" has no option "pasword"',
      '2:78 "connections.crm.port" must be a number, not text',
      '2:91 "connections.crm.books" must be a list, not text',
      '3:3 a connection is named in small letters, digits, - and _, starting with a letter, 32 at most',
      '3:17 there is no such app',
      '4:40 "connections.phone.poll" must be a duration with its unit, as 30s, 5m or 1h',
      '4:55 "connections.phone.direction" must be both, in or out',
      '4:78 "connections.phone.rate.requests" must be at least 1',
      '4:102 "connections.phone.brakes" has no option "fieldd"',
      '5:9 "connections.list" must be a map, not a list',
      '6:8 "connections.none" must be a map, not empty',
      '7:3 "connections.lost" does not say which app it is',
      '9:19 "fields.title.owner" must be crm, Phone, phone, list, none or lost',
      '10:3 "fields" has no option "nme"',
      '11:9 "fields.note" must be latest, fill, manual, { owner: connection } or { prefer: [connection, connection] }',
      '12:11 this is a standard field already',
      '12:40 "custom.loyal.type" must be text, multiline, email, phone, address, date, url, tag, number or boolean',
      '13:8 "match" must be a map, not a list',
      '14:9 "region" must be a country code of two capital letters, as DE or US',
      '15:11 "approval" must be first, always or auto',
      '16:19 "brakes.window" must be a duration with its unit, as 30s, 5m or 1h',
      '16:40 "brakes.deletes.share" must be a share between 0% and 100%',
      '17:1 the file has no option "conections"',
    ])
    const advice = (start: string) => diagnostics.find(({ message }) => message.includes(start))?.advice
    expect(advice('"pasword"')).toBe('Did you mean "password"?')
    expect(advice('no such app')).toBe('Did you mean "folder"? Known apps: dav, folder.')
    expect(advice('crm.username')).toBe('Put it in double quotes.')
    expect(advice('fields.title.owner')).toContain('Did you mean "crm"?')
    expect(advice('"conections"')).toBe('Did you mean "connections"?')
  })

  test.each([
    ['connections:\n\ta: 1\n', '2:1 a tab is used for indentation'],
    [
      'connections:\n  a: { app: folder, path: x }\n  a: { app: folder, path: y }\n',
      '3:3 this name is written twice in one map',
    ],
    [
      'connections:\n  a: { app: folder, path: x\n',
      '3:1 the indentation does not fit the lines above, or a bracket or brace is not closed',
    ],
    ['connections:\n  a: { app: folder, path: @x }\n', '2:27 a plain value cannot start with this character'],
    ['connections: *nobody\n', '1:14 this alias names no anchor'],
    ['connections: &a [*a]\n', '1:18 this is nested more than 64 levels deep'],
    ['connections: !secret x\n', '1:14 YAML tags ("!name") mean nothing here'],
    ['', '1:1 the file is empty'],
    ['# nothing\n', '1:1 the file is empty'],
    ['- a\n', '1:1 the file must be a map, not a list'],
    ['connections: {}\n', '1:14 "connections" names no connection'],
    ['region: DE\n', '1:1 "connections" is missing'],
  ])('a broken file is told from a wrong one: %j', async (text, expected) => {
    expect((await load(text)).errors).toContain(expected)
  })

  test('a file that is not text, and one that is not there, get their own words', async () => {
    expect((await load(new Uint8Array([0xff, 0xfe, 0x41, 0x00]))).errors).toEqual(['1:1 the file is not UTF-8 text'])
    const { errors, output } = await load('connections: { a: { app: folder, path: x, mapping: nope.yaml } }')
    expect(errors).toEqual(['1:1 the file cannot be read (ENOENT)'])
    expect(output).toContain('nope.yaml:1:1: ')
  })

  test('aliases cannot blow a small file up', async () => {
    const levels = Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1} [${Array(9).fill(`*l${i}`).join(', ')}]`)
    const { errors } = await load(['l0: &l0 [x]', ...levels].join('\n'))
    expect(errors).toEqual([expect.stringContaining('the file is too large once its aliases are followed')])
  })

  test('one account under two names is refused', async () => {
    const { errors } = await load('connections:\n  a: { app: folder, path: ./x }\n  b: { app: folder, path: x/ }\n')
    expect(errors).toEqual(['3:3 "b" is the same account as "a"'])
  })
})

describe('mappings', () => {
  test('a mapping file is checked in its own lines, and keeps its ${...}', async () => {
    const config = 'connections:\n  a: { app: folder, path: x, mapping: own.yaml }\n'
    const good = await load(config, {}, { 'own.yaml': 'fields:\n  title: "${TITLE}"\n' })
    expect(good.config?.connections[0]).toMatchObject({ mapping: { fields: { title: '${TITLE}' } } })
    expect(good.config?.connections[0]?.mappingFile).toMatch(/own\.yaml$/)

    const bad = await load(config, {}, { 'own.yaml': 'fields:\n  title: { ap: TITLE }\n  note: 5\n' })
    expect(bad.diagnostics.every(({ file }) => file.endsWith('own.yaml'))).toBe(true)
    expect(bad.errors).toContain('2:12 "fields.title" has no option "ap"')
    expect(bad.errors.some((error) => error.startsWith('3:9 "fields.note" must be '))).toBe(true)
  })

  test('what the mapping language says is put at its place, inline or in a file', async () => {
    const says = () => [{ path: ['fields', 'titel'], message: 'there is no field "titel"', advice: 'Write title.' }]
    const inline = 'connections:\n  a: { app: folder, path: x, mapping: { fields: { titel: TITLE } } }\n'
    expect((await load(inline, {}, {}, says)).errors).toEqual(['2:58 there is no field "titel"'])
    const named = 'connections:\n  a: { app: folder, path: x, mapping: own.yaml }\n'
    const files = { 'own.yaml': 'fields:\n  titel: TITLE\n' }
    expect((await load(named, {}, files, says)).errors).toEqual(['2:10 there is no field "titel"'])
  })
})
