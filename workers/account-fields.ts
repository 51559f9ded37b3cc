import { consentCell } from '../engine/core/consent.ts'
import type { AppField } from '../engine/core/ports/connector.ts'
import type { ConnectionRules } from '../engine/core/rules.ts'

/** A field of an account, and what the mapping makes of it. */
export interface AccountField extends AppField {
  readonly mapped: boolean
  /** The canonical fields it stands for. */
  readonly mapsTo: readonly string[]
}

/** The fields that an account has, as its app lists them, and which of them the mapping reads or writes. */
export function accountFields(listed: readonly AppField[], rules: ConnectionRules | null): AccountField[] {
  const names = new Set(listed.map(({ name }) => name))
  // A mapping may name a part of a field that the app lists as a whole: `addresses.city`.
  const fieldOf = (source: string): string => {
    if (names.has(source) || !source.includes('.')) return source
    return fieldOf(source.slice(0, source.lastIndexOf('.')))
  }
  const mapsTo = new Map<string, string[]>()
  for (const [canonical, sources] of rules?.lens.sources ?? []) {
    for (const name of new Set(sources.map(fieldOf))) mapsTo.set(name, [...(mapsTo.get(name) ?? []), canonical])
  }
  const read = new Set(rules?.lens.appFields.map(fieldOf))
  for (const { channel, source } of rules?.lens.consents ?? []) {
    mapsTo.set(source, [...(mapsTo.get(source) ?? []), consentCell(channel)])
  }
  return listed.map((field) => ({ ...field, mapped: read.has(field.name), mapsTo: mapsTo.get(field.name) ?? [] }))
}
