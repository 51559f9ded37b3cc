import { expect, test } from '@jest/globals'
import { canonicalJson, isBlank, sameJson } from '../../engine/core/json.ts'

test('equality ignores the order of keys, and canonical text is the same for equal values', () => {
  expect(sameJson({ a: 1, b: [1, null] }, { b: [1, null], a: 1 })).toBe(true)
  expect(sameJson([1, 2], [2, 1])).toBe(false)
  expect(canonicalJson({ b: 1, a: { d: 1, c: 2 } })).toBe(canonicalJson({ a: { c: 2, d: 1 }, b: 1 }))
})

test('blank is the absence of anything a human could have meant; false and zero are values', () => {
  for (const blank of [undefined, null, '', '  ', [], [''], { a: null, b: '' }]) expect(isBlank(blank)).toBe(true)
  for (const value of [false, 0, 'x', ['x'], { a: 0 }]) expect(isBlank(value)).toBe(false)
})
