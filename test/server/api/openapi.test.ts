import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Crm } from '../../support/places.ts'
import { Office } from './office.ts'

jest.setTimeout(60_000)

let office: Office
let crm: Crm
beforeAll(async () => {
  crm = new Crm('crm', [])
  office = await Office.open([crm])
})
afterAll(async () => {
  await office.close()
  crm.close()
})

test('the API serves a description of itself that is valid OpenAPI 3.1', async () => {
  const validator = new Validator()
  expect(await validator.validate(structuredClone(office.description) as never)).toEqual({ valid: true })
  expect(validator.version).toBe('3.1')
})

test('every route has a name of its own, for programs that are made from the description', () => {
  const named = Object.values(office.description.paths).flatMap((path) => Object.entries(path))
  const ids = named.map(([, { operationId }]) => operationId)
  expect(named.map(([method]) => method).filter((method) => !['get', 'post'].includes(method))).toEqual([])
  expect(new Set(ids).size).toBe(ids.length)
  expect(ids).toEqual(
    expect.arrayContaining(['getStatus', 'postConnectionsPause', 'getPeople', 'getPeopleOne', 'postUndoPreview']),
  )
})

test('every route says what it does and what it answers, and no named schema is left over', () => {
  const operations = Object.values(office.description.paths).flatMap((path) => Object.values(path))
  for (const { summary, tags, responses } of operations) {
    expect(summary).toMatch(/^[A-Z].*\.$/)
    expect(tags).toHaveLength(1)
    expect(Object.keys(responses)).toEqual(expect.arrayContaining(['4XX', '5XX']))
    const [ok] = Object.entries(responses).filter(([status]) => status.startsWith('2'))
    expect(ok?.[1].content).toBeDefined()
  }
  const text = JSON.stringify(office.description)
  for (const name of Object.keys(office.description.components.schemas)) {
    expect(text).toContain(`"#/components/schemas/${name}"`)
  }
})
