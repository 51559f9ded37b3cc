import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { nearest } from '../../config/suggest.ts'
import { formatDuration, parseDuration_ms, parseRate } from '../../config/values.ts'

test.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['1.5h', 5_400_000],
  ['5 m', 300_000],
  ['2d', 172_800_000],
])('%s is %d milliseconds', (text, expected) => expect(parseDuration_ms(text)).toBe(expected))

test.each(['', '30', 's', '-1s', '1w', '1s2', '1h30m', '1e3s'])('%j is no duration', (text) => {
  expect(parseDuration_ms(text)).toBeUndefined()
})

test('every whole number of milliseconds can be written as a duration and read again', () => {
  fc.assert(fc.property(fc.nat(), (value) => expect(parseDuration_ms(formatDuration(value))).toBe(value)))
})

test('a rate is a number of requests in a time', () => {
  expect(parseRate('100/10s')).toEqual({ requests: 100, per_ms: 10_000 })
  expect(parseRate('5 / s')).toEqual({ requests: 5, per_ms: 1000 })
  for (const wrong of ['0/s', '5', '5/', '/s', '5/0s', '5/w', '1.5/s']) expect(parseRate(wrong)).toBeUndefined()
})

test('the nearest known word is one typing error away, not another word', () => {
  const known = ['password', 'path', 'poll', 'port']
  expect(nearest('pasword', known)).toBe('password')
  expect(nearest('prot', known)).toBe('port')
  expect(nearest('PATH', known)).toBe('path')
  expect(nearest('username', known)).toBeUndefined()
})
