import { describe, expect, test } from '@jest/globals'
import ICAL from 'ical.js'
import {
  cardFields,
  decodeFile,
  encodeFile,
  newCard,
  parseCard,
  patchCard,
  splitCards,
} from '../../connectors/vcard/index.ts'
import { FailureError } from '../../engine/core/failure.ts'
import type { JsonObject } from '../../engine/core/json.ts'

const card = (version: string, ...lines: string[]): string =>
  ['BEGIN:VCARD', `VERSION:${version}`, ...lines, 'END:VCARD', ''].join('\r\n')

const fieldsOf = (version: string, ...lines: string[]): JsonObject => cardFields(parseCard(card(version, ...lines)))

/** The lines between VERSION and END after a patch. */
const patched = (version: string, lines: string[], fields: JsonObject): string[] =>
  patchCard(card(version, ...lines), fields)
    .split('\r\n')
    .slice(2, -2)

const address = (parts: JsonObject): JsonObject => ({
  pobox: '',
  extended: '',
  street: '',
  locality: '',
  region: '',
  postcode: '',
  country: '',
  ...parts,
})

describe('reading a card', () => {
  test('unfolds, takes escapes off, and reads lower-case names and a byte order mark', () => {
    const text =
      '\uFEFFbegin:vcard\nversion:3.0\nfn:Ada\n  Lovelace\nnote:a\\, b\\; c\\nd \\\\n http\\://x\nend:vcard\n'
    expect(cardFields(parseCard(text), ['FN', 'NOTE'])).toEqual({ FN: 'Ada Lovelace', NOTE: 'a, b; c\nd \\n http://x' })
  })

  test('reads quoted-printable with its charset and soft breaks, whatever the next line begins with', () => {
    const lines = [
      'N;CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE:M=FCller;J=F6rg;;;',
      'NOTE;QUOTED-PRINTABLE:one=0D=0A=',
      ' two=3B=',
      'FN:x',
    ]
    expect(fieldsOf('2.1', ...lines)).toMatchObject({ N: { family: 'Müller', given: 'Jörg' }, NOTE: 'one\n two;FN:x' })
  })

  test('vCard 2.1 keeps the white space of a fold, and knows no \\n', () => {
    expect(fieldsOf('2.1', 'NOTE:a long', ' line', 'TITLE:C:\\new\\;x')).toMatchObject({
      NOTE: 'a long line',
      TITLE: 'C:\\new;x',
    })
  })

  test('a photo whose lines are not indented, an agent and blank lines are nobody else’s lines', () => {
    const lines = [
      'PHOTO;JPEG;ENCODING=BASE64:AAAA',
      'BBBB',
      '',
      'AGENT:',
      'BEGIN:VCARD',
      'VERSION:2.1',
      'FN:Inner',
      'END:VCARD',
      'FN:Outer',
    ]
    expect(fieldsOf('2.1', ...lines)).toMatchObject({ FN: 'Outer' })
  })

  test.each([
    ['19850412', '1985-04-12'],
    ['1985-04-12', '1985-04-12'],
    ['1985-04-12T00:00:00Z', '1985-04-12'],
    ['--0412', '--04-12'],
    ['--04-12', '--04-12'],
    ['1985', '1985'],
    ['19851399', '19851399'],
    ['circa 1800', 'circa 1800'],
  ])('a birthday written %s reads %s', (written, read) => {
    expect(fieldsOf('4.0', `BDAY:${written}`)['BDAY']).toBe(read)
  })

  test('a made-up year is no year', () => {
    expect(fieldsOf('3.0', 'BDAY;X-APPLE-OMIT-YEAR=1604;value=date:1604-04-12')['BDAY']).toBe('--04-12')
    expect(fieldsOf('3.0', 'BDAY:1604-04-12')['BDAY']).toBe('1604-04-12')
  })

  test.each([
    ['3.0', 'TEL;TYPE=CELL;TYPE=VOICE;TYPE=pref:1', 'mobile', true],
    ['3.0', 'TEL;type=FAX;type=WORK:1', 'work fax', false],
    ['2.1', 'TEL;HOME;FAX;PREF:1', 'home fax', true],
    ['4.0', 'TEL;VALUE=uri;TYPE="work,cell,voice";PREF=1:tel:1', 'work mobile', true],
    ['4.0', 'TEL;PREF=2:1', null, false],
    ['3.0', 'TEL;TYPE=X-Skype:1', 'skype', false],
  ])('vCard %s %s has the label %s', (version, line, label, pref) => {
    expect(fieldsOf(version, line)['TEL']).toEqual([{ value: '1', label, pref }])
  })

  test('a label beside the property wins, Apple’s own words among them', () => {
    const lines = [
      'item1.TEL;TYPE=HOME:1',
      'ITEM1.X-ABLabel:_$!<Other>!$_',
      'item2.TEL:2',
      'item2.X-ABLabel:Lake House',
    ]
    expect(fieldsOf('3.0', ...lines)['TEL']).toMatchObject([{ label: 'other' }, { label: 'lake house' }])
  })

  test('blank fields are null, blank lists are empty, and properties of one’s own are texts', () => {
    const fields = fieldsOf('3.0', 'N:;;;;', 'FN:', 'EMAIL:', 'X-FOO:a\\,b', 'X-FOO:c', 'PHOTO:AAAA')
    expect(fields).toMatchObject({ N: null, FN: null, EMAIL: [], ORG: [], 'X-FOO': 'a,b', NOTE: null })
    expect(fields).not.toHaveProperty('PHOTO')
    expect(cardFields(parseCard(card('3.0')), ['X-FOO', 'EMAIL'])).toEqual({ 'X-FOO': null, EMAIL: [] })
  })

  test.each([
    ['', 1, 'BEGIN:VCARD is missing'],
    ['\n\nhello: world', 3, 'BEGIN:VCARD is missing'],
    ['BEGIN:VCARD\nVERSION:3.0\nFN:Secret Person', 3, 'the text ends before END:VCARD'],
    ['BEGIN:VCARD\nSecret Person\nEND:VCARD', 2, 'no colon'],
    ['BEGIN:VCARD\nVERSION:9.0\nEND:VCARD', 2, 'VERSION is none of'],
    ['BEGIN:VCARD\nFN:Secret\nBEGIN:VCARD\nEND:VCARD', 3, 'a second BEGIN:VCARD'],
    ['BEGIN:VCARD\nEND:VCARD\nBEGIN:VCARD\nEND:VCARD', 3, 'a second card begins; one contact per file'],
    ['BEGIN:VCARD\nEND:VCARD\nFN:Secret', 3, 'text after END:VCARD'],
    ['\u0000\u0001\u0002', 1, 'BEGIN:VCARD is missing'],
    ['BEGIN:VCARD\nFN:x\nSecr', 3, 'the text ends before END:VCARD'],
    ['BEGIN:VCARD\nFN x:Secret\nEND:VCARD', 2, 'no property name'],
  ])('text that is no card fails with its line number and none of its words (I15): case %#', (text, line, what) => {
    const failure = (() => {
      try {
        parseCard(text)
      } catch (error) {
        if (error instanceof FailureError) return error.failure
      }
      throw new Error('read as a card')
    })()
    expect(failure.kind).toBe('permanent')
    expect(failure.message).toContain(`line ${line}: ${what}`)
    expect(failure.message).not.toContain('Secret')
  })

  test('several cards in one text are cut apart, byte for byte', () => {
    const one = card('3.0', 'FN:One')
    const two = card('2.1', 'AGENT:', 'BEGIN:VCARD', 'FN:Inner', 'END:VCARD', 'FN:Two')
    expect(splitCards(one + two)).toEqual([one, two])
    expect(() => splitCards(`${one}BEGIN:VCARD`)).toThrow(/line 5: the text ends/)
  })
})

describe('patching a card', () => {
  test('changes the one line and no other byte: folds, groups, parameters, photos, order and line ends stay', () => {
    const text =
      '\uFEFFBEGIN:vCard\nVERSION:3.0\nX-Odd;a=1;B="x;y":one\n  two\nfn;CHARSET=utf-8:Ada\nPHOTO;ENCODING=b:AAAA\n BBBB\n\nitem1.TEL:1\nitem1.X-ABLabel:_$!<Other>!$_\nREV:1\nEND:vCard'
    expect(patchCard(text, { FN: 'Ada Lovelace' })).toBe(text.replace('fn;CHARSET=utf-8:Ada\n', 'fn:Ada Lovelace\n'))
    expect(patchCard(text, {})).toBe(text)
    expect(patchCard(text, cardFields(parseCard(text)))).toBe(text)
  })

  test('a corrected number stays in its place with its parameters and its label', () => {
    const lines = ['item1.TEL;X-DEVICE=a;TYPE=pref:1', 'item1.X-ABLabel:Lake House', 'TEL;TYPE=HOME:2']
    const TEL = [
      { value: '3', label: 'lake house', pref: true },
      { value: '2', label: 'home', pref: false },
    ]
    expect(patched('3.0', lines, { TEL })).toEqual(['item1.TEL;X-DEVICE=a;TYPE=pref:3', ...lines.slice(1)])
  })

  test('a removed element takes its group’s label with it, and a shared group stays', () => {
    const lines = ['item1.TEL:1', 'item1.X-ABLabel:Lake', 'work.EMAIL:a@b.c', 'work.TEL:2', 'work.X-ABLabel:Desk']
    expect(patched('3.0', lines, { TEL: [] })).toEqual(['work.EMAIL:a@b.c', 'work.X-ABLabel:Desk'])
  })

  test('a new label rewrites types only; one without a type goes beside the property, in a group of its own', () => {
    const lines = ['EMAIL;TYPE=INTERNET,HOME;X-A=b:a@b.c', 'g.TEL:1', 'g.ADR:;;s;;;;', 'g.X-ABLabel:Lake']
    const fields = {
      EMAIL: [{ value: 'a@b.c', label: 'work' }],
      TEL: [{ value: '1', label: 'Boat House' }],
    }
    const after = patched('3.0', lines, fields)
    expect(after).toEqual([
      'EMAIL;TYPE=INTERNET;X-A=b;TYPE=WORK:a@b.c',
      'item1.TEL:1',
      'item1.X-ABLabel:boat house',
      'g.ADR:;;s;;;;',
      'g.X-ABLabel:Lake',
    ])
    expect(patched('3.0', after.slice(0, 3), { TEL: [{ value: '1', label: 'mobile', pref: true }] })).toEqual([
      after[0],
      'item1.TEL;TYPE=PREF;TYPE=CELL:1',
    ])
  })

  test('an element without label and preference leaves the card’s alone', () => {
    const lines = ['TEL;TYPE=WORK;TYPE=pref:1']
    expect(patched('3.0', lines, { TEL: [{ value: '1' }] })).toEqual(lines)
    expect(
      patched('4.0', ['TEL;PREF=1:1', 'TEL;PREF=2:2'], {
        TEL: [
          { value: '1', pref: false },
          { value: '2', pref: true },
        ],
      }),
    ).toEqual(['TEL:1', 'TEL;PREF=1:2'])
  })

  test('only the changed part of a name or an address is written anew', () => {
    const lines = ['N:Doe;John;Richter,James;Mr.;Sr.', 'ADR;LABEL="old";TYPE=home:;;a\\, b;c;;;d;e;f']
    const ADR = [{ value: address({ street: 'a, b', locality: 'X;Y', country: 'd' }), label: 'home', pref: false }]
    expect(patched('4.0', lines, { N: { given: 'Jim' }, ADR })).toEqual([
      'N:Doe;Jim;Richter,James;Mr.;Sr.',
      'ADR;TYPE=home:;;a\\, b;X\\;Y;;;d;e;f',
    ])
  })

  test('categories are taken away and added where they stand', () => {
    const lines = ['CATEGORIES:a\\, b,c', 'CATEGORIES:d']
    expect(patched('3.0', lines, { CATEGORIES: ['a, b', 'e;f'] })).toEqual(['CATEGORIES:a\\, b,e\\;f'])
    expect(patched('3.0', lines, { CATEGORIES: null })).toEqual([])
  })

  test('a name is never taken away: FN falls back to what the others spell', () => {
    expect(patched('3.0', ['FN:x', 'N:Love;Ada;;;'], { FN: null })).toEqual(['FN:Ada Love', 'N:Love;Ada;;;'])
    expect(patched('3.0', ['FN:x', 'N:Love;Ada;;;', 'ORG:Works'], { FN: null, N: null })).toEqual([
      'FN:Works',
      'N:;;;;',
      'ORG:Works',
    ])
    expect(patched('4.0', ['FN:x', 'N:Love;Ada;;;'], { FN: null, N: null })).toEqual(['FN:'])
  })

  test('null removes what was read, and its alternatives; what Kith never read stays', () => {
    expect(
      patched('4.0', ['BDAY;ALTID=1:20160801', 'BDAY;ALTID=1;VALUE=text:then', 'TITLE:a', 'TITLE:b'], {
        BDAY: null,
        TITLE: null,
      }),
    ).toEqual(['TITLE:b'])
  })

  test.each([
    ['3.0', 'BDAY;value=date:1985-04-12', '1986-05-01', 'BDAY;value=date:1986-05-01'],
    ['3.0', 'BDAY:19850412', '1986-05-01', 'BDAY:19860501'],
    ['3.0', 'BDAY;VALUE=date-time:1985-04-12T00:00:00Z', '1986-05-01', 'BDAY;VALUE=date-time:1986-05-01T00:00:00Z'],
    ['3.0', 'BDAY;VALUE=date-time:1985-04-12T10:11:12Z', '1986-05-01', 'BDAY:1986-05-01'],
    ['3.0', 'BDAY:1985-04-12', '--05-01', 'BDAY;X-APPLE-OMIT-YEAR=1604:1604-05-01'],
    ['3.0', 'BDAY;X-APPLE-OMIT-YEAR=1604:1604-04-12', '1985-05-01', 'BDAY:1985-05-01'],
    ['3.0', 'BDAY:--04-12', '--05-01', 'BDAY:--05-01'],
    ['4.0', 'X-A:1', '--05-01', 'BDAY:--0501'],
    ['4.0', 'X-A:1', '1986-05-01', 'BDAY:19860501'],
    ['4.0', 'BDAY;VALUE=text:circa 1800', '1801-05-01', 'BDAY:18010501'],
    ['4.0', 'BDAY:20000101', 'about, then', 'BDAY;VALUE=text:about\\, then'],
  ])('a birthday keeps the card’s way of writing it: %s %s to %s', (version, line, date, after) => {
    expect(patched(version, [line], { BDAY: date }).at(-1)).toBe(after)
    expect(cardFields(parseCard(patchCard(card(version, line), { BDAY: date })), ['BDAY'])['BDAY']).toBe(date)
  })

  test('long lines are folded at 75 octets, never inside a character', () => {
    const note = `${'é'.repeat(60)}${'🎈'.repeat(30)} end`
    const text = patchCard(card('3.0', 'FN:x'), { NOTE: note })
    const lines = Buffer.from(text).toString('latin1').split('\r\n')
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(75)
    expect(text).not.toContain('\uFFFD')
    for (const line of lines) expect(Buffer.from(line, 'latin1').toString('utf8')).not.toContain('\uFFFD')
    expect(cardFields(parseCard(text), ['NOTE'])).toEqual({ NOTE: note })
  })

  test('vCard 2.1 stays 2.1: what is not plain ASCII becomes quoted-printable in UTF-8', () => {
    const fields = { FN: 'Jörg', NOTE: 'a=b;c\nd\\;e', TEL: [{ value: '1', label: 'work fax', pref: true }] }
    const after = patched('2.1', ['FN;CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE:J=F6rg2'], fields)
    expect(after).toEqual([
      'FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=B6rg',
      'NOTE;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:a=3Db;c=0D=0Ad\\\\;e',
      'TEL;PREF;WORK;FAX:1',
    ])
    expect(fieldsOf('2.1', ...after)).toMatchObject({
      FN: 'Jörg',
      NOTE: 'a=b;c\nd\\;e',
      TEL: [{ label: 'work fax', pref: true }],
    })
  })

  test.each([
    [{ PHOTO: 'x' }, 'PHOTO cannot be written'],
    [{ VERSION: '4.0' }, 'VERSION cannot be written'],
    [{ 'X-A:b\nEVIL': 'x' }, 'is no name of a vCard property'],
    [{ EMAIL: 'a@b.c' }, 'EMAIL must be a list'],
    [{ ADR: [{ value: 'secret' }] }, 'ADR holds no address'],
    [{ FN: { a: 'secret' } }, 'FN must be a text'],
  ])('what a card cannot hold is refused by the field’s name: case %#', (fields, message) => {
    expect(() => patchCard(card('3.0', 'FN:x'), fields as JsonObject)).toThrow(message)
    expect(() => patchCard(card('3.0', 'FN:x'), fields as JsonObject)).not.toThrow(/secret/)
  })

  test('a value cannot smuggle in a line', () => {
    const text = patchCard(card('3.0', 'FN:x'), {
      TITLE: 'a\r\nEVIL:1\u0000',
      TEL: [{ value: '1\nEVIL:2', label: 'x\nEVIL:3' }],
    })
    expect(parseCard(text).lines.map(({ name }) => name)).not.toContain('EVIL')
  })
})

describe('a new card', () => {
  const fields: JsonObject = {
    N: { family: 'Lovelace', given: 'Ada', additional: '', prefix: '', suffix: 'Countess; of' },
    ORG: ['Analytical, Engines', 'R&D'],
    BDAY: '1815-12-10',
    NOTE: 'one\ntwo\\three, four; five',
    EMAIL: [{ value: 'ada@example.org', label: 'home', pref: true }],
    ADR: [{ value: address({ street: '12 Square; left', locality: 'London' }), label: 'work', pref: false }],
    CATEGORIES: ['a,b', 'c'],
    URL: [{ value: 'http://x.example/?a=1,2;3', label: null, pref: false }],
  }

  test.each(['3.0', '4.0'] as const)('of version %s says its fields, its UID and a name', (version) => {
    const text = newCard('key-1', fields, version)
    expect(cardFields(parseCard(text))).toMatchObject({ ...fields, UID: 'key-1', FN: 'Ada Lovelace Countess; of' })
  })

  test.each(['3.0', '4.0'] as const)('of version %s is read alike by an independent parser', (version) => {
    const component = new ICAL.Component(ICAL.parse(newCard('key-1', fields, version)) as unknown[])
    const value = (name: string): unknown => component.getFirstProperty(name)?.getFirstValue()
    expect(value('version')).toBe(version)
    expect(value('n')).toEqual(['Lovelace', 'Ada', '', '', 'Countess; of'])
    expect(value('org')).toEqual(['Analytical, Engines', 'R&D'])
    // ical.js leaves an escaped semicolon as it stands in a single text; vCard 3.0 demands that it be escaped.
    expect(String(value('note')).replace('\\;', ';')).toBe('one\ntwo\\three, four; five')
    expect(value('adr')).toEqual(['', '', '12 Square; left', 'London', '', '', ''])
    expect(value('url')).toBe('http://x.example/?a=1,2;3')
    expect(String(value('bday'))).toBe('1815-12-10')
    expect(component.getFirstProperty('categories')?.getValues()).toEqual(['a,b', 'c'])
  })

  test('of a person without a name is called by the organisation, and always has what its version demands', () => {
    expect(newCard('k', { ORG: ['Works'] }, '3.0')).toBe(
      'BEGIN:VCARD\r\nVERSION:3.0\r\nUID:k\r\nFN:Works\r\nN:;;;;\r\nORG:Works\r\nEND:VCARD\r\n',
    )
  })
})

describe('a file’s encoding', () => {
  const latin = Buffer.from(card('2.1', 'FN:J\u00F6rg', 'N;CHARSET=ISO-8859-1:M\u00FCller;;;;'), 'latin1')

  test('Latin-1 is read, and every untouched byte comes back', () => {
    const file = decodeFile(latin)
    expect(cardFields(parseCard(file.text))).toMatchObject({ FN: 'Jörg', N: { family: 'Müller' } })
    expect(encodeFile(file).equals(latin)).toBe(true)
    const changed = encodeFile({ ...file, text: patchCard(file.text, { TITLE: '日本' }) })
    expect(changed.includes(Buffer.from('N;CHARSET=ISO-8859-1:M\u00FCller', 'latin1'))).toBe(true)
    expect(cardFields(parseCard(decodeFile(changed).text), ['TITLE'])).toEqual({ TITLE: '日本' })
  })

  test.each(['utf8', 'utf16le', 'latin1'])('whatever the bytes, they come back (%s)', (encoding) => {
    const bytes =
      encoding === 'latin1'
        ? Buffer.from(Array.from({ length: 256 }, (_, index) => index))
        : Buffer.from(`\uFEFF${card('3.0', 'FN:é')}`, encoding as 'utf8')
    expect(encodeFile(decodeFile(bytes)).equals(bytes)).toBe(true)
  })

  test('a 3.0 file in Latin-1 that must say more than Latin-1 can becomes UTF-8, which its version demands anyway', () => {
    const file = decodeFile(Buffer.from(card('3.0', 'FN:J\u00F6rg'), 'latin1'))
    const bytes = encodeFile({ ...file, text: patchCard(file.text, { TITLE: '日本' }) })
    expect(cardFields(parseCard(bytes.toString('utf8')), ['FN', 'TITLE'])).toEqual({ FN: 'Jörg', TITLE: '日本' })
  })
})
