import ICAL from 'ical.js'
import { isBlank, type Json, type JsonObject } from '../../engine/core/json.ts'

/**
 * vCards as another program reads and writes them, through ical.js: what Kith's own reader and writer are compared with.
 * Fields are those of the vCard connectors.
 */

const PARTS = ['family', 'given', 'additional', 'prefix', 'suffix']
const TEXTS = ['FN', 'TITLE', 'NOTE']

/** Made-up contacts in several flavours. */
export function sampleCard(n: number): JsonObject {
  const given = ['Ada', 'Żółć', '李', "D'Arcy", 'محمد'][n % 5] ?? ''
  const family = n % 3 === 1 ? 'von, und; zu' : `Lovelace ${n}`
  return {
    FN: `${given} ${family}`,
    N: { family, given, additional: '', prefix: n % 2 === 0 ? 'Dr.' : '', suffix: '' },
    TITLE: `No. ${n} "quoted"`,
    NOTE: n % 4 === 2 ? 'two\nlines' : null,
    EMAIL: [{ value: `person.${n}@example.org`, label: 'work', pref: true }],
    TEL: n % 2 === 0 ? [{ value: `+49 30 ${1000000 + n}`, label: 'home', pref: false }] : null,
  }
}

/** A new card with these fields. */
export function printCard(uid: string, fields: JsonObject): string {
  const card = new ICAL.Component('vcard')
  card.addPropertyWithValue('version', '3.0')
  card.addPropertyWithValue('uid', uid)
  return edited(card, fields)
}

/** The card with the named fields changed. */
export function editCard(text: string, fields: JsonObject): string {
  return edited(ICAL.Component.fromString(text), fields)
}

/** What a human sees of a card: its texts. */
export function showCard(text: string): JsonObject {
  const card = ICAL.Component.fromString(text)
  return Object.fromEntries(TEXTS.map((name) => [name, asText(card.getFirstPropertyValue(name.toLowerCase()))]))
}

function asText(value: unknown): Json {
  // RFC 2426 escapes semicolons in every text; ical.js leaves them escaped where the property has no parts.
  return typeof value === 'string' ? value.replaceAll('\\;', ';') : null
}

function edited(card: ICAL.Component, fields: JsonObject): string {
  for (const [name, value] of Object.entries(fields)) {
    card.removeAllProperties(name.toLowerCase())
    if (!isBlank(value)) add(card, name, value)
  }
  return `${card.toString()}\r\n`
}

function add(card: ICAL.Component, name: string, value: Json): void {
  if (Array.isArray(value)) {
    for (const element of value) addElement(card, name, element as JsonObject)
  } else if (typeof value === 'object' && value !== null) {
    const property = new ICAL.Property('n', card)
    property.setValue(PARTS.map((part) => value[part] ?? ''))
    card.addProperty(property)
  } else {
    card.addPropertyWithValue(name.toLowerCase(), value)
  }
}

function addElement(card: ICAL.Component, name: string, element: JsonObject): void {
  const property = card.addPropertyWithValue(name.toLowerCase(), element['value'])
  const types = [element['label'], element['pref'] === true ? 'pref' : null].filter((type) => typeof type === 'string')
  if (types.length > 0) property.setParameter('type', types.length === 1 ? (types[0] ?? '') : types)
}
