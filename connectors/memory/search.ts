import type { JsonObject } from '../../engine/core/json.ts'
import { valueOf } from './quirks.ts'

/** What a record can be found by, strongest kind first. */
const KINDS = ['external', 'email', 'phone', 'name'] as const

/** The search terms of a record: `email:ada@example.org`, ... */
export function termsOf(fields: JsonObject): string[] {
  const terms: string[] = []
  if (typeof fields['externalId'] === 'string') terms.push(`external:${fields['externalId'].trim()}`)
  for (const value of valuesIn(fields, 'emails')) terms.push(`email:${value.trim().toLowerCase()}`)
  for (const value of valuesIn(fields, 'phones')) terms.push(`phone:${value.replace(/\D/g, '')}`)
  const name = [fields['given'], fields['family']].filter((part) => typeof part === 'string').join(' ')
  if (name.trim() !== '') terms.push(`name:${name.trim().toLowerCase()}`)
  return terms
}

function valuesIn(fields: JsonObject, name: string): string[] {
  const list = fields[name]
  return Array.isArray(list) ? list.flatMap((element) => valueOf(element) ?? []) : []
}

/** Which records hold a term. */
export class TermIndex {
  readonly #holders = new Map<string, Set<string>>()

  /** Takes the record from its old terms to its new ones. */
  move(id: string, before: JsonObject, after: JsonObject): void {
    for (const term of termsOf(before)) {
      const holders = this.#holders.get(term)
      holders?.delete(id)
      if (holders?.size === 0) this.#holders.delete(term)
    }
    for (const term of termsOf(after)) {
      const holders = this.#holders.get(term)
      if (holders) holders.add(id)
      else this.#holders.set(term, new Set([id]))
    }
  }

  heldByOther(term: string, id: string | undefined): boolean {
    const holders = this.#holders.get(term)
    return holders !== undefined && (holders.size > 1 || id === undefined || !holders.has(id))
  }

  /** The records that share a term of the strongest kind that `fields` has one of. */
  find(fields: JsonObject): string[] {
    const terms = termsOf(fields)
    const kind = KINDS.find((candidate) => terms.some((term) => term.startsWith(`${candidate}:`)))
    const wanted = kind === undefined ? [] : terms.filter((term) => term.startsWith(`${kind}:`))
    return [...new Set(wanted.flatMap((term) => [...(this.#holders.get(term) ?? [])]))]
  }
}
