import { valuesOf, type Person } from '../../engine/core/person.ts'
import type { LikelyPair } from '../../engine/core/ports/store.ts'

/** The blocks of engine/store/likely.ts, for the store of the simulation. */
export function likelyPairs(
  people: readonly { readonly person: Person; readonly keys: readonly string[] }[],
  limit: number,
  block_max: number,
): LikelyPair[] {
  const blocks = new Map<string, Set<string>>()
  for (const { person, keys } of people) {
    for (const block of blocksOf(person, keys)) {
      const members = blocks.get(block) ?? new Set()
      blocks.set(block, members.add(person.id))
    }
  }
  const ranks = new Map<string, number>()
  for (const [block, members] of blocks) {
    if (members.size < 2 || members.size > block_max) continue
    const ids = [...members].sort()
    const rank = Number(block[0])
    for (const [index, a] of ids.entries()) {
      for (const b of ids.slice(index + 1)) {
        const key = JSON.stringify([a, b])
        ranks.set(key, Math.min(rank, ranks.get(key) ?? rank))
      }
    }
  }
  return [...ranks]
    .map(([key, rank]) => ({ rank, pair: JSON.parse(key) as [string, string] }))
    .sort((one, other) => one.rank - other.rank || (one.pair.join('\n') < other.pair.join('\n') ? -1 : 1))
    .slice(0, limit)
    .map(({ pair: [a, b] }) => ({ a, b }))
}

function blocksOf(person: Person, keys: readonly string[]): string[] {
  const values = valuesOf(person)
  const text = (cell: string): string => (typeof values[cell] === 'string' ? values[cell] : '')
  const given = [text('name.given'), text('name.family')].filter(Boolean)
  const name = folded(given.length > 0 ? given.join(' ') : text('name.display'))
  const organisation = folded(text('organisation'))
  const emails = keys.filter((key) => key.startsWith('email:'))
  const letters = Array.from(name)
  const blocks = [
    ...emails.map((key) => `1${key}`),
    ...keys.filter((key) => key.startsWith('phone:')).map((key) => `2${key}`),
    ...emails
      .map((key) => key.slice('email:'.length).split('@')[0] ?? '')
      .filter((local) => local.length >= 3)
      .map((local) => `3${local}`),
  ]
  if (letters.length >= 3) blocks.push(`4${name}`)
  if (letters.length >= 4 && organisation !== '') {
    blocks.push(`5${organisation}|${letters.slice(0, 4).join('')}`, `6${organisation}|${letters.slice(-4).join('')}`)
  }
  return blocks
}

function folded(name: string): string {
  return name
    .normalize('NFD')
    .toLowerCase()
    .replace(/[\u0300-\u036f]/g, '')
    .replace(/[^0-9A-Za-z\u0080-\u{10ffff}]+/gu, ' ')
    .trim()
}
