import { describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { Catalogue } from '../../engine/core/catalogue.ts'
import { compileLens } from '../../mappings/compile.ts'
import { mappingFor } from '../../mappings/defaults.ts'
import { phoneNormaliser } from '../../mappings/normalise.ts'
import { mappingSchema } from '../../mappings/schema.ts'

const catalogue = new Catalogue(phoneNormaliser('DE'))
const fieldsOf = (...names: string[]) => names.map((name) => ({ name, type: 'text', writable: name !== 'Bounced' }))

const MAPPING = `
fields: { emails: { app: Email, transform: list } }
consent:
  email:
    - app: OptOut
      address: Email
      states: { "true": unsubscribed }
      write: { unsubscribed: true, complained: true, subscribed: false }
    - app: Bounced
      address: Email
      states: { "*": bounced }
      write: { bounced: x }
      optional: true
  phone:
    app: DoNotCall
    address: Phone
    states: { "yes": unsubscribed }
    optIn: CalledBack
    optional: true
`
const compile = (yaml: string, ...fields: string[]) =>
  compileLens(mappingSchema.parse(parse(yaml)), catalogue, fieldsOf(...fields))

describe('consent in a mapping', () => {
  const { lens, problems } = compile(MAPPING, 'Email', 'OptOut', 'Bounced', 'Phone', 'DoNotCall', 'CalledBack')
  const [optOut, bounced, phone] = lens.consents

  test('reads the state of an address in its normal form, by the names of the mapping', () => {
    expect(problems).toEqual([])
    const record = { Email: ' Ada@X.org', OptOut: true, Bounced: null, Phone: '030 123456', DoNotCall: 'yes' }
    expect(optOut?.key(record)).toBe('email:ada@x.org')
    expect(optOut?.state(record)).toBe('unsubscribed')
    expect(optOut?.state({ ...record, OptOut: false })).toBeNull()
    expect(phone?.key(record)).toBe('phone:+4930123456')
    expect(phone?.state(record)).toBe('unsubscribed')
  })

  test('any value that is not blank can mean one thing', () => {
    expect(bounced?.state({ Bounced: '2026-01-02' })).toBe('bounced')
    expect(bounced?.state({ Bounced: null })).toBeNull()
  })

  test('an opt-in has a time in text or in milliseconds, or none', () => {
    expect(phone?.optIn_ms({ CalledBack: '2026-01-02T03:04:05Z' })).toBe(Date.parse('2026-01-02T03:04:05Z'))
    expect(phone?.optIn_ms({ CalledBack: 5 })).toBe(5)
    expect(phone?.optIn_ms({ CalledBack: 'soon' })).toBeNull()
    expect(optOut?.optIn_ms({})).toBeNull()
  })

  test('writes only the states that are named, and never a read-only field', () => {
    expect(optOut?.put('unsubscribed')).toEqual({ OptOut: true })
    expect(optOut?.put('bounced')).toEqual({})
    expect(bounced?.put('bounced')).toEqual({})
  })

  test('its app fields are read with the others, and are nobody else’s to write', () => {
    expect(lens.appFields).toEqual(['Bounced', 'CalledBack', 'DoNotCall', 'Email', 'OptOut', 'Phone'])
    const clash = compile(`${MAPPING}\n`.replace('fields: {', 'fields: { title: OptOut,'), 'Email', 'OptOut')
    expect(clash.problems).toMatchObject([
      { path: ['consent', 'email', 0, 'app'], message: 'title and consent both write the app field "OptOut"' },
    ])
  })

  test('a field that the account lacks is an error, unless it is optional', () => {
    const { problems: found } = compile(MAPPING, 'Email')
    expect(found).toMatchObject([
      { severity: 'error', path: ['consent', 'email', 0, 'app'], message: 'the account has no field named "OptOut"' },
    ])
  })

  test('consent is no field to be mapped like others', () => {
    const { problems: found } = compile('fields: { consent.email: OptOut }', 'OptOut')
    expect(found).toMatchObject([{ severity: 'error', message: 'there is no field named consent.email' }])
  })

  test('whoever maps fields of his own still heeds consent, unless he says no', () => {
    const own = (text: string) => mappingFor('memory', mappingSchema.parse(parse(text)))
    expect(own('{ fields: { title: role }, defaults: false }').consent).toHaveProperty('email')
    expect(own('{ fields: {}, consent: { email: false } }').consent).toEqual({ email: false })
  })
})
