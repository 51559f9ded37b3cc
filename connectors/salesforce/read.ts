import { FailureError, type Failure } from '../../engine/core/failure.ts'
import type { AppRecord, CreateRequest, ReadAnswer } from '../../engine/core/ports/connector.ts'
import type { SalesforceClient } from './client.ts'
import { objectOf, plural, type Schema } from './fields.ts'
import { isOneOf, quoted, queryPath, select } from './soql.ts'
import { Row, type SObject, type Subrequest } from './wire.ts'

/** What an org's rows are asked for with. */
export interface ReadParts {
  readonly client: SalesforceClient
  readonly schema: Schema
  /** The fields that records are to have. */
  readonly fields: readonly string[]
}

/** A query for rows by id, deleted and merged ones too; and by Kith's own keys, where the connection has a field for them. */
export function rowsById(
  { schema, fields }: ReadParts,
  object: SObject,
  ids: readonly string[],
  keys: readonly string[] = [],
): Subrequest {
  const conditions = [
    ...(ids.length === 0 ? [] : [isOneOf('Id', ids)]),
    ...(keys.length === 0 || schema.keyField === undefined ? [] : [isOneOf(schema.keyField, keys)]),
  ]
  const soql = select(schema.columnsFor(object, fields), object, conditions.join(' OR '))
  return { method: 'GET', path: queryPath(soql, true), referenceId: `read${object}` }
}

/** Reads rows by id: one request, whatever the objects. Every id has one answer. */
export async function readRows(
  parts: ReadParts,
  ids: readonly string[],
  signal: AbortSignal | undefined,
): Promise<ReadAnswer[]> {
  const wanted = [...new Set(ids)]
  const { client, schema } = parts
  const asked = schema.objects
    .map((object) => [object, wanted.filter((id) => objectOf(id) === object)] as const)
    .filter(([, some]) => some.length > 0)
  const found = new Map<string, ReadAnswer>()
  if (asked.length > 0) {
    const requests = asked.map(([object, some]) => rowsById(parts, object, some))
    const composite = await client.composite(requests, false, signal)
    for (const [object] of asked) {
      for (const record of await client.rowsOf(composite, `read${object}`, signal)) {
        const answer = answerFrom(parts, object, record)
        found.set(idIn(answer), answer)
      }
    }
  }
  return wanted.map((id) => found.get(id) ?? absent(schema, id))
}

/**
 * What a row says. Salesforce keeps deleted rows for a while: those that went into another one name it, and so do converted leads.
 * @throws FailureError for what has not even an id
 */
export function answerFrom({ schema, fields }: ReadParts, object: SObject, record: unknown): ReadAnswer {
  const parsed = Row.safeParse(record)
  if (!parsed.success) {
    const { Id: id } = Object(record) as { Id?: unknown }
    if (typeof id !== 'string') {
      throw new FailureError({ kind: 'transient', code: 'MALFORMED', message: 'Salesforce lists a row without an id' })
    }
    const message = `Salesforce answers with a ${object.toLowerCase()} that cannot be read`
    return { kind: 'broken', id, rev: null, failure: { kind: 'permanent', code: 'MALFORMED', message } }
  }
  const row = parsed.data
  if (row.IsDeleted) {
    const into = row.MasterRecordId
    return into === null ? { kind: 'gone', id: row.Id } : { kind: 'merged', id: row.Id, into }
  }
  const contact = row.ConvertedContactId ?? null
  // Without contacts in this connection, a converted lead is what there is of the person.
  if (row.IsConverted === true && contact !== null && schema.objects.includes('Contact')) {
    return { kind: 'merged', id: row.Id, into: contact }
  }
  return { kind: 'record', record: schema.record(object, row, fields) }
}

export function idIn(answer: ReadAnswer): string {
  return answer.kind === 'record' ? answer.record.id : answer.id
}

/** Neither among the living nor in the recycle bin. Whether it is hidden from us instead, Salesforce does not tell anyone. */
function absent(schema: Schema, id: string): ReadAnswer {
  const object = objectOf(id)
  if (object === undefined || schema.objects.includes(object)) return { kind: 'gone', id }
  return { kind: 'broken', id, rev: null, failure: notConnected(object) }
}

export function notConnected(object: SObject): Failure {
  return {
    kind: 'permanent',
    code: 'NOT-CONNECTED',
    message: `This connection does not include ${plural(object)}`,
    advice: `Put ${object.toLowerCase()} into objects: in kith.yaml, or unlink these records`,
  }
}

/** How many texts a search names at most. */
const CONDITIONS_MAX = 4

/**
 * Looks for what a create may have made: by e-mail address and last name, or where there is no address, by the texts that were
 * sent. SOQL reads the rows themselves, with no index in between that lags.
 */
export async function findCreated(
  parts: ReadParts,
  create: CreateRequest,
  signal: AbortSignal | undefined,
): Promise<AppRecord[]> {
  const { client, schema, fields } = parts
  const [object] = schema.objects as readonly [SObject]
  const sent = Object.entries(schema.payload(object, create.fields, 'create')).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  )
  const names = sent.some(([path]) => path === 'Email') ? ['Email', 'LastName'] : searchable(parts, object)
  const conditions = names.flatMap((name) => {
    const value = sent.find(([path]) => path === name)?.[1]
    return value === undefined ? [] : [`${name} = ${quoted(value)}`]
  })
  const where = conditions.slice(0, CONDITIONS_MAX).join(' AND ')
  const soql = select(schema.columnsFor(object, fields), object, where)
  const request: Subrequest = { method: 'GET', path: queryPath(soql, false), referenceId: 'find' }
  const composite = await client.composite([request], false, signal)
  const rows = await client.rowsOf(composite, 'find', signal)
  return rows.flatMap((record) => {
    const answer = answerFrom(parts, object, record)
    return answer.kind === 'record' ? [answer.record] : []
  })
}

/** The columns that tell people apart, those first that tell the most. */
function searchable({ schema }: ReadParts, object: SObject): string[] {
  const names = ['LastName', 'FirstName', 'MobilePhone', 'Phone', 'Title', 'Company']
  return names.filter((name) => schema.column(object, name)?.description.filterable !== false)
}
