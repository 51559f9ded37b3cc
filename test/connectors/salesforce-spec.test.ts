import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { connectSalesforce, salesforce } from '../../connectors/salesforce/index.ts'
import { startSalesforceSimulator } from '../../connectors/salesforce/simulator.ts'
import { fieldsOf } from '../../connectors/salesforce/simulator-fields.ts'
import { parseSoql } from '../../connectors/salesforce/simulator-soql.ts'
import { SOBJECTS, type SObject } from '../../connectors/salesforce/wire.ts'
import { Follower } from '../conformance/follower.ts'

/**
 * There is no description of Salesforce's REST API to hold traffic against. What there is are the fields of its objects, by the
 * types of its enterprise WSDL and by those that jsforce ships.
 */
const FOLDER = join(import.meta.dirname, '../../../shared/specs/salesforce')
const WSDL = join(FOLDER, 'contact-lead-types.from-enterprise-wsdl.json')
const STANDARD = join(FOLDER, 'sobject-fields.jsforce-standard-schema.json')

type Wsdl = {
  readonly [object: string]: readonly { readonly name: string; readonly nillable?: string; readonly type: string }[]
}
type Standard = { readonly [object: string]: { readonly [field: string]: string } }

/** What a field's type is called in the WSDL. */
const XSD: { readonly [type: string]: string } = {
  id: 'tns:ID',
  reference: 'tns:ID',
  boolean: 'xsd:boolean',
  date: 'xsd:date',
  datetime: 'xsd:dateTime',
  int: 'xsd:int',
}
/** In every org; but jsforce's list lacks it for leads, where it is shown only to who may see it. */
const HIDDEN = new Set(['Lead HasOptedOutOfEmail', 'Lead DoNotCall', 'Lead Fax', 'Lead MobilePhone'])
/** Younger than the WSDL, part of every object's base type there, or not shown to the user who fetched it. */
const NOT_IN_WSDL = new Set(
  'Id|MailingAddress|OtherAddress|Address|IsEmailBounced|HasOptedOutOfEmail|DoNotCall'.split('|'),
)

const isThere = existsSync(WSDL) && existsSync(STANDARD)
const describeWithSpec = isThere ? describe : describe.skip
const absent = isThere ? '' : ' [../shared/specs/salesforce is not there]'

describeWithSpec(`the vendor's description of contacts and leads${absent}`, () => {
  test("the simulated org has the vendor's fields, of the vendor's types", () => {
    const wsdl = JSON.parse(readFileSync(WSDL, 'utf8')) as Wsdl
    const standard = JSON.parse(readFileSync(STANDARD, 'utf8')) as Standard
    const problems: string[] = []
    for (const object of SOBJECTS) {
      for (const { name, type } of fieldsOf(object, [])) {
        if (standard[object]?.[name] === undefined && !HIDDEN.has(`${object} ${name}`))
          problems.push(`${object}.${name} is not in jsforce's list`)
        const described = wsdl[object]?.find((field) => field.name === name)
        if (!described && !NOT_IN_WSDL.has(name)) problems.push(`${object}.${name} is not in the WSDL`)
        if (described && described.type !== (XSD[type] ?? 'xsd:string'))
          problems.push(`${object}.${name} is ${described.type}, not ${type}`)
      }
    }
    expect(problems).toEqual([])
  })

  test("what the connector asks for and writes are fields of the vendor's", async () => {
    const standard = JSON.parse(readFileSync(STANDARD, 'utf8')) as Standard
    const simulator = await startSalesforceSimulator({ accessToken: 'secret' })
    const options = salesforce.options.parse({ accessToken: 'secret', instanceUrl: simulator.url })
    const connector = connectSalesforce(options, { connection: 'crm', baseDir: '.', now: Date.now })
    const wrong = new Set<string>()
    const check = (object: string, column: string): void => {
      const isKnown = standard[object]?.[column] !== undefined || HIDDEN.has(`${object} ${column}`)
      if (!isKnown && !(object === 'Contact' && column === 'Account.Name')) wrong.add(`${object}.${column}`)
    }
    try {
      const fields = { LastName: 'King', Company: 'Acme', MailingStreet: '1 Main St', HasOptedOutOfEmail: true }
      const ids = (['Contact', 'Lead'] as SObject[]).map(
        (object) =>
          simulator.org.create(object, { LastName: 'King', ...(object === 'Lead' ? { Company: 'Acme' } : {}) }).Id,
      )
      const follower = new Follower(connector)
      await follower.follow()
      await follower.follow()
      await connector.write([
        { op: 'create', ref: 'c', key: 'k', fields },
        ...ids.map((id, n) => ({ op: 'update' as const, ref: `u${n}`, id, rev: null, fields })),
      ])
      let queries = 0
      let records = 0
      for (const { body, path } of simulator.traffic) {
        expect(path).toBe('/services/data/v62.0/composite')
        const { compositeRequest } = body as { compositeRequest: { url: string; body?: { records?: Written[] } }[] }
        for (const { url, body: part } of compositeRequest) {
          const soql = new URL(url, simulator.url).searchParams.get('q')
          const query = soql === null ? null : parseSoql(soql)
          if (query) queries++
          for (const column of query?.columns ?? []) check(query?.object ?? '', column)
          for (const { attributes, id: _, ...values } of part?.records ?? []) {
            records++
            for (const column of Object.keys(values)) check(attributes.type, column)
          }
        }
      }
      expect([...wrong]).toEqual([])
      expect([queries, records]).toEqual([2 + 4 + 2 + 1, 3])
    } finally {
      await connector.close()
      await simulator.close()
    }
  })
})

interface Written {
  readonly attributes: { readonly type: string }
  readonly id?: string
}
