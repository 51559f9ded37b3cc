import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { cardFields, decodeFile, parseCard, patchCard, splitCards, type Version } from '../../connectors/vcard/index.ts'
import { canonicalJson, isBlank, type Json, type JsonObject } from '../../engine/core/json.ts'

const PARTS = ['pobox', 'extended', 'street', 'locality', 'region', 'postcode', 'country']
const NAME = ['family', 'given', 'additional', 'prefix', 'suffix']

/** Text with what breaks formats: separators, escapes, quotes, line ends, equals signs, long words, other scripts. */
const text = fc
  .array(
    fc.constantFrom(
      ';',
      ',',
      '\\',
      '"',
      ':',
      '=',
      '\n',
      ' ',
      '\t',
      'n',
      'a',
      'Z',
      'é',
      '日',
      '🎈',
      '=C3',
      '\\n',
      'END:VCARD',
      'x'.repeat(80),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''))
const filled = text.filter((value) => value.trim() !== '')
const trimmed = filled.map((value) => value.trim())
const label = fc.constantFrom(
  null,
  'home',
  'work',
  'mobile',
  'work fax',
  'pager',
  'other',
  'home page',
  'main',
  'lake house',
  'fête',
  'voice',
  'a;b,c\\d',
)
const element = (value: fc.Arbitrary<Json>): fc.Arbitrary<JsonObject> => fc.record({ value, label, pref: fc.boolean() })
const parts = (names: string[]): fc.Arbitrary<JsonObject> =>
  fc.record(Object.fromEntries(names.map((name) => [name, text]))).filter((value) => !isBlank(value))
const list = (value: fc.Arbitrary<Json>): fc.Arbitrary<JsonObject[]> => fc.array(element(value), { maxLength: 4 })
const date = fc.constantFrom('1985-04-12', '--04-12', '2001-12-31', '1604-02-01', 'circa 1800', null)

/** Any of the fields, each a value that a card can say exactly. */
const fields: fc.Arbitrary<JsonObject> = fc.record(
  {
    FN: filled,
    N: parts(NAME),
    NICKNAME: fc.option(filled),
    TITLE: fc.option(filled),
    NOTE: fc.option(filled),
    ORG: fc.array(text, { maxLength: 3 }).filter((units) => !isBlank(units.at(-1) ?? 'x')),
    BDAY: date,
    EMAIL: list(trimmed),
    TEL: list(trimmed),
    URL: list(trimmed),
    ADR: list(parts(PARTS)),
    CATEGORIES: fc.uniqueArray(trimmed, { maxLength: 4 }),
    'X-OWN': fc.option(filled),
  },
  { requiredKeys: [] },
)

/** What is compared: lists whatever their order. */
const said = (value: Json | undefined): string =>
  Array.isArray(value) ? canonicalJson(value.map((item) => canonicalJson(item)).sort()) : canonicalJson(value ?? null)

const version = fc.constantFrom<Version>('2.1', '3.0', '4.0')

/** Properties that nobody patches, in shapes that a careless writer would tidy up. */
const STRANGE = [
  'X-odd;a=1;B="x;y":va\\,lue',
  'item9.X-ABDATE;type=pref:1970-06-02',
  'item9.X-ABLabel:_$!<Anniversary>!$_',
  'PHOTO;ENCODING=b;TYPE=JPEG:AAAA\r\n BBBB\r\n  CCCC',
  'IMPP;X-SERVICE-TYPE=GTalk:xmpp:gt\r\n alk',
  'X-EMPTY:',
  'Rev:20200101T000000Z',
]

const base = (written: Version, eol: string): string =>
  ['BEGIN:VCARD', `VERSION:${written}`, 'UID:u', 'FN:Base', ...STRANGE, 'END:VCARD', '']
    .join('\r\n')
    .replaceAll('\r\n', eol)

describe('laws of patching', () => {
  test('the card says what was patched, twice over, and nothing else has moved', () => {
    fc.assert(
      fc.property(version, fc.constantFrom('\r\n', '\n'), fields, fields, (written, eol, first, second) => {
        const once = patchCard(base(written, eol), first)
        const twice = patchCard(once, second)
        for (const [card, patch] of [
          [once, first],
          [twice, second],
        ] as const) {
          const now = cardFields(parseCard(card))
          for (const name of Object.keys(patch))
            expect(`${name} ${said(now[name])}`).toBe(`${name} ${said(patch[name])}`)
          for (const line of STRANGE) expect(card).toContain(eol + line.replaceAll('\r\n', eol) + eol)
          expect(parseCard(card).version).toBe(written)
        }
        // What the second patch does not name says what it said, in the bytes it had.
        const untouched = (card: string): string[] =>
          parseCard(card)
            .lines.filter(({ name }) => name !== 'X-ABLABEL' && !(name in second))
            .map(({ raw }) => raw)
        expect(untouched(twice)).toEqual(untouched(once))
        expect(twice.replaceAll(eol, '')).not.toMatch(/[\r\n]/)
      }),
      { numRuns: 150 },
    )
  })

  test('a patch with nothing, and one with what the card says already, change no byte', () => {
    fc.assert(
      fc.property(version, fields, (written, patch) => {
        const card = patchCard(base(written, '\r\n'), patch)
        expect(patchCard(card, {})).toBe(card)
        expect(patchCard(card, cardFields(parseCard(card)))).toBe(card)
        expect(patchCard(card, patch)).toBe(card)
      }),
      { numRuns: 200 },
    )
  })

  test('no text whatever makes reading fail other than as a failure that names a line', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(text, fc.constantFrom('BEGIN:VCARD\n', 'VERSION:2.1\n', 'END:VCARD\n', 'A;B="', '\r', 'AGENT:\n')),
          { maxLength: 12 },
        ),
        (pieces) => {
          const whole = pieces.join('')
          const outcome = (() => {
            try {
              const card = parseCard(whole)
              cardFields(card)
              return card.lines.map(({ raw }) => raw).join('')
            } catch (error) {
              return /^FailureError: not a vCard: line \d+: /.test(String(error)) ? whole : error
            }
          })()
          expect(outcome).toBe(whole)
        },
      ),
      { numRuns: 500 },
    )
  })
})

const EXPORTS = join(import.meta.dirname, '../../../shared/data/vcards')
const exported = existsSync(EXPORTS) ? readdirSync(EXPORTS).filter((name) => name.endsWith('.vcf')) : []

if (exported.length === 0) {
  // oxlint-disable-next-line jest/no-disabled-tests, jest/expect-expect -- said by name rather than passed in silence
  test.skip('laws over real exports: skipped, ../shared/data/vcards is not there', () => {})
} else {
  describe('real exports', () => {
    test.each(exported)('%s: a new name and phone, all else byte for byte', (name) => {
      const { text: file } = decodeFile(readFileSync(join(EXPORTS, name)))
      const cards = splitCards(file)
      expect(cards.join('')).toBe(file)
      for (const card of cards) {
        const before = parseCard(card)
        const now = cardFields(before)
        expect(patchCard(card, now)).toBe(card)
        const TEL = [...(now['TEL'] as JsonObject[]), { value: '+49 30 1234567', label: 'work mobile', pref: false }]
        const patch = { FN: 'Zoë Ångström, née X', TEL }
        const after = patchCard(card, patch)
        expect(cardFields(parseCard(after))).toEqual({ ...now, ...patch })
        const rest = (lines: typeof before.lines): string[] =>
          lines.filter((line) => line.name !== 'FN').map(({ raw }) => raw)
        const added = parseCard(after).lines.filter(({ value }) => value === '+49 30 1234567')
        expect(added).toHaveLength(1)
        expect(rest(parseCard(after).lines).filter((raw) => raw !== added[0]?.raw)).toEqual(rest(before.lines))
      }
    })
  })
}
