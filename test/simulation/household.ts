import type { Json, JsonObject } from '../../engine/core/json.ts'
import type { Random } from './random.ts'

/** Humans of the simulated world: few enough that apps overlap, with what makes matching hard. */
const GIVEN = [
  'Ada',
  'Grace',
  'Alan',
  'Юлия',
  'Zoë',
  'Linus',
  'Margaret',
  'Barbara',
  'Edsger',
  'Katherine',
  '美咲',
  'Donald',
]
const FAMILY = [
  'Lovelace',
  'Hopper',
  'Turing',
  'Иванова',
  'Müller',
  'Torvalds',
  'Hamilton',
  'Liskov',
  'Dijkstra',
  'Johnson',
  '佐藤',
  'Knuth',
]
const TITLES = ['CTO', 'Analyst', 'Head of Sales', 'Engineer', 'Buyer', 'Chair', 'Partner']
const TAGS = ['customer', 'press', 'vip', 'lead']

export interface Human {
  readonly given: string
  readonly family: string
  readonly email: string | null
  readonly phone: string | null
}

/** Human number `index`, always the same one. */
export function human(index: number): Human {
  const given = GIVEN[index % GIVEN.length] as string
  const family = FAMILY[(index * 5 + Math.floor(index / GIVEN.length)) % FAMILY.length] as string
  const kind = index % 7
  return {
    given,
    family,
    email: kind === 3 ? null : kind === 5 ? 'info@example.org' : `human${index}@example.org`,
    phone: kind === 1 ? null : `+4930555${String(1000 + index)}`,
  }
}

/** How a human is written into one app, with that app's variations of the same facts. */
export function cardOf(index: number, random: Random): JsonObject {
  const who = human(index)
  const card: { [field: string]: Json } = { given: who.given, family: who.family }
  if (who.email !== null) card['emails'] = [{ value: random.chance(0.3) ? who.email.toUpperCase() : who.email }]
  if (who.phone !== null && random.chance(0.8))
    card['phones'] = [{ value: who.phone, label: random.pick(['work', 'mobile']) }]
  if (random.chance(0.4)) card['title'] = random.pick(TITLES)
  if (random.chance(0.3)) card['tags'] = [{ value: random.pick(TAGS) }]
  if (random.chance(0.2)) card['note'] = `met in ${2000 + index}`
  return card
}

/** One edit that a human makes to a record: which fields, and what they say then. Every typed value is unlike any other. */
export function editOf(fields: JsonObject, serial: number, random: Random): JsonObject {
  switch (random.below(9)) {
    case 0:
      return { title: `${random.pick(TITLES)} ${serial}` }
    case 1:
      return { organisation: `Org ${serial}` }
    case 2:
      return { note: `note ${serial}\nwith a second line ü ${'x'.repeat(random.below(12))}` }
    case 3:
      return { given: `${String(fields['given'] ?? 'N')}`.split(' ')[0] + ` ${serial}` }
    case 4:
      return { emails: [...list(fields['emails']), { value: `new${serial}@example.org` }] }
    case 5:
      return {
        phones: [...list(fields['phones']).slice(0, 2), { value: `+49301${String(100000 + serial)}`, label: 'home' }],
      }
    case 6:
      return { tags: [...list(fields['tags']), { value: `tag${serial}` }] }
    case 7:
      return { tags: list(fields['tags']).slice(1) }
    default:
      return { birthday: `19${10 + (serial % 80)}-0${1 + (serial % 9)}-1${serial % 9}`, title: null }
  }
}

function list(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : []
}
