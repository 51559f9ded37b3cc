import type { SObject } from './wire.ts'

/**
 * Pieces of SOQL. jsforce has a builder too; it leaves backslashes in texts as they are, so that a name ending in one takes
 * the closing quote with it.
 */

const ESCAPES: { readonly [character: string]: string } = {
  '\\': '\\\\',
  "'": "\\'",
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
  '\f': '\\f',
}

/** A text in quotes. */
export function quoted(text: string): string {
  return `'${text.replace(/[\\'\n\r\t\b\f]/g, (character) => ESCAPES[character] ?? character)}'`
}

/** A moment; SOQL compares whole seconds. */
export function moment(at_ms: number): string {
  return `${new Date(Math.floor(at_ms / 1000) * 1000).toISOString().slice(0, 19)}Z`
}

export function isOneOf(column: string, values: readonly string[]): string {
  return `${column} IN (${values.map(quoted).join(',')})`
}

export function select(columns: readonly string[], object: SObject, where: string, orderBy?: string): string {
  return `SELECT ${columns.join(',')} FROM ${object} WHERE ${where}${orderBy === undefined ? '' : ` ORDER BY ${orderBy}`}`
}

export function count(object: SObject, where: string): string {
  return `SELECT COUNT() FROM ${object} WHERE ${where}`
}

/** @param deleted whether rows in the recycle bin are asked for too */
export function queryPath(soql: string, deleted: boolean): string {
  return `/${deleted ? 'queryAll' : 'query'}?q=${encodeURIComponent(soql)}`
}
