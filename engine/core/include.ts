import { fieldOf, isElement, type Cells } from './catalogue.ts'
import type { Json } from './json.ts'
import { isBlank } from './json.ts'

/**
 * Which people belong in a connection, as data. Text is compared without regard to case and to runs of spaces. An element
 * of a set is compared as written and in its normal form, so that `+49` finds a number however it is spelled.
 */
export type Filter =
  | { readonly kind: 'all'; readonly of: readonly Filter[] }
  | { readonly kind: 'any'; readonly of: readonly Filter[] }
  | { readonly kind: 'not'; readonly of: Filter }
  /** The field, or one element of it, is there and passes every test; without tests it only has to be there. */
  | { readonly kind: 'field'; readonly field: string; readonly tests: readonly FilterTest[] }

export type FilterTest =
  | { readonly op: 'in'; readonly values: readonly string[] }
  | { readonly op: 'startsWith' | 'endsWith' | 'contains'; readonly text: string }

/** Whether somebody with these cells passes the filter. */
export function matches(filter: Filter, cells: Cells): boolean {
  switch (filter.kind) {
    case 'all':
      return filter.of.every((part) => matches(part, cells))
    case 'any':
      return filter.of.some((part) => matches(part, cells))
    case 'not':
      return !matches(filter.of, cells)
    case 'field':
      return spellings(filter.field, cells).some((ways) => filter.tests.every((test) => passes(test, ways)))
  }
}

/** For each value of a field, the ways to spell it. */
function spellings(field: string, cells: Cells): string[][] {
  const found: string[][] = []
  for (const [cell, held] of Object.entries(cells)) {
    if (fieldOf(cell) !== field) continue
    const value = isElement(held) ? held.value : held
    if (!isBlank(value))
      found.push(cell === field ? [textOf(value)] : [textOf(value), fold(cell.slice(field.length + 1))])
  }
  return found
}

function passes(test: FilterTest, ways: readonly string[]): boolean {
  switch (test.op) {
    case 'in':
      return test.values.some((value) => ways.includes(fold(value)))
    case 'startsWith':
      return ways.some((way) => way.startsWith(fold(test.text)))
    case 'endsWith':
      return ways.some((way) => way.endsWith(fold(test.text)))
    case 'contains':
      return ways.some((way) => way.includes(fold(test.text)))
  }
}

/** Compound values (addresses) are searched part by part, in the order of their names. */
function textOf(value: Json): string {
  if (Array.isArray(value)) return fold(value.map(textOf).join(' '))
  if (typeof value === 'object' && value !== null) return fold(Object.values(value).map(textOf).join(' '))
  return fold(String(value ?? ''))
}

function fold(text: string): string {
  return text.normalize('NFC').replace(/\s+/g, ' ').trim().toLowerCase()
}
