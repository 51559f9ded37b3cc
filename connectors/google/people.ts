import { createHash } from 'node:crypto'
import type { Failure } from '../../engine/core/failure.ts'
import type { AppRecord, ReadAnswer } from '../../engine/core/ports/connector.ts'
import { fieldsOf, labelsOf, type FieldName, type GroupNames } from './fields.ts'
import { personHeadSchema, personSchema, type Person, type PersonSource } from './wire.ts'

/** One person as the API handed it out. */
export type Parsed =
  { readonly kind: 'person'; readonly id: string; readonly person: Person } | (ReadAnswer & { readonly kind: 'broken' })

/** Reads one person by itself; undefined for what bears no name, and so spoils the whole answer. */
export function parsePerson(raw: unknown): Parsed | undefined {
  const head = personHeadSchema.safeParse(raw)
  if (!head.success) return undefined
  const id = head.data.resourceName
  const whole = personSchema.safeParse(raw)
  if (whole.success) return { kind: 'person', id, person: whole.data }
  const fields = new Set(whole.error.issues.map(({ path }) => String(path[0])))
  const failure: Failure = {
    kind: 'permanent',
    code: 'UNREADABLE',
    message: `Google hands out data that are not as its API says, in ${[...fields].sort().join(', ')}`,
    advice: 'Open the contact in Google Contacts, correct and save it; Kith then reads it again.',
  }
  return { kind: 'broken', id, rev: sourceOf(head.data as Person)?.etag ?? null, failure }
}

/** The contact behind a person; a person may also have a profile, which is another's own. */
export function sourceOf(person: Person): PersonSource | undefined {
  return person.metadata?.sources?.find(({ type }) => type === 'CONTACT')
}

export function etagOf(person: Person): string | null {
  return sourceOf(person)?.etag ?? null
}

/** When the contact was last changed, in milliseconds. */
export function updated_ms(person: Person): number | undefined {
  const at = Date.parse(sourceOf(person)?.updateTime ?? '')
  return Number.isNaN(at) ? undefined : at
}

/**
 * The etag of the contact, and with it the names of its labels where they are read: renaming a label changes what a record
 * says and not its etag. The person's own etag is no revision: it also moves with a linked profile.
 */
export function revOf(person: Person, fields: readonly FieldName[], groups: GroupNames): string | null {
  const etag = etagOf(person)
  const labels = fields.includes('memberships') ? labelsOf(person, groups) : []
  if (etag === null || labels.length === 0) return etag
  return `${etag}~${createHash('sha256').update(JSON.stringify(labels)).digest('base64url').slice(0, 12)}`
}

/** The etag in a revision: what Google compares. */
export function etagIn(rev: string): string {
  return rev.split('~')[0] ?? rev
}

export function recordOf(person: Person, fields: readonly FieldName[], groups: GroupNames): AppRecord {
  const modified_ms = updated_ms(person)
  return {
    id: person.resourceName,
    rev: revOf(person, fields, groups),
    ...(modified_ms === undefined ? {} : { modified_ms }),
    fields: fieldsOf(person, fields, groups),
  }
}
