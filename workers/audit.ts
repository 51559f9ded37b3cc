import { elementsOf, type Address, type Cells } from '../engine/core/catalogue.ts'
import type { Consent, ConsentState } from '../engine/core/consent.ts'
import { failureFrom } from '../engine/core/failure.ts'
import { isBlank, type Json } from '../engine/core/json.ts'
import type { Person } from '../engine/core/person.ts'
import type { AppRecord, Connector } from '../engine/core/ports/connector.ts'
import type { Link, Neighbourhood } from '../engine/core/ports/store.ts'
import type { Rules } from '../engine/core/rules.ts'
import { faultOf, isThere, Standard, valueIn, type Door, type StandardRule } from '../engine/core/standard.ts'
import { readings } from '../mappings/readings.ts'
import { accountFields } from './account-fields.ts'
import { peoplePages, rememberedRules } from './health.ts'
import type { Household } from './household.ts'
import { reviewItems } from './review-items.ts'

/** What an audit always looks for, whatever the standard asks. The first two kinds can be repaired where one can tell how. */
const ALWAYS: readonly StandardRule[] = [
  always('emails', 'email'),
  always('phones', 'phone'),
  always('birthday', 'date'),
]

function always(field: string, format: 'email' | 'phone' | 'date'): StandardRule {
  const check = { kind: 'format', format } as const
  const action = format === 'phone' ? 'warn' : 'fix'
  return { id: `${field}.malformed`, field, part: null, check, action, otherwise: 'warn', connections: null }
}

/** Everything that an audit holds values against: what it always looks for, and what the standard asks. */
function auditStandard({ config }: Pick<Household, 'config'>): Standard {
  // What the standard asks of a field everywhere takes the place of what is always looked for.
  const asked = config.standard.filter(({ check, connections }) => check.kind === 'format' && connections === null)
  const rest = ALWAYS.filter(({ field }) => !asked.some((rule) => rule.field === field))
  return new Standard([...rest, ...config.standard], readings(config.region ?? undefined))
}

/** The repairs that a clean-up can make: `fix` of the standard, and what an audit can repair by itself. */
export function cleaningStandard({ config }: Pick<Household, 'config'>, rule?: string): Standard {
  const { rules } = auditStandard({ config })
  const wanted = rules.filter(({ id, action }) => action === 'fix' && (rule === undefined || id === rule))
  return new Standard(wanted, readings(config.region ?? undefined))
}

/** People are stale that nobody has changed for so many months, where nothing else is said. */
export const STALE_MONTHS = 24
export const MONTH_MS = (365.25 / 12) * 86_400_000
/** How many records of each kind are named, where nothing else is said. */
export const SAMPLES = 3

export interface AuditSample {
  readonly record: string | null
  readonly person: string | null
  /** What it says; only where values were asked for. */
  readonly values?: readonly string[]
}

/** One thing found, in one connection or among people as a whole. */
export interface AuditFinding {
  readonly connection: string | null
  /** `emails.malformed`, `phones.format`, `people.stale`: what `kith audit --fix` takes. */
  readonly rule: string
  readonly title: string
  readonly count: number
  /** Of how many records, or people. */
  readonly of: number
  /** How many of them a clean-up would repair. */
  readonly fixable: number
  readonly samples: readonly AuditSample[]
  readonly next: string
}

export interface Audit {
  readonly people: number
  /** Records looked at, by connection. */
  readonly records: { readonly [connection: string]: number }
  readonly findings: readonly AuditFinding[]
  /** What could not be looked at, and why. */
  readonly notes: readonly string[]
}

export interface AuditOptions {
  readonly connection?: string
  /** People whose last change in any app is longer ago are stale. */
  readonly stale_ms: number
  readonly samples_max: number
  /** Samples carry values. */
  readonly values: boolean
  /** How many records of an app are read for what its account fills and no mapping reads; 0: no app is asked. */
  readonly read_max: number
  readonly now_ms: number
}

/**
 * Looks through everybody, page by page, so that the memory stays the same for any number of people. Changes nothing. The apps are
 * asked only for a sample of whole records.
 */
export async function audit(household: Household, options: AuditOptions, signal?: AbortSignal): Promise<Audit> {
  const { config } = household
  const rules = await rememberedRules(household)
  const names = config.connections
    .map(({ name }) => name)
    .filter((name) => options.connection === undefined || name === options.connection)
  const notes: string[] = names
    .filter((name) => !rules.connections.has(name))
    .map((name) => `${name} has not answered yet, so that its records cannot be read: kith check`)
  const tally = new Tally(options)
  const standard = auditStandard(household)
  const seen = new Map(names.map((name) => [name, 0]))
  let people = 0
  for await (const { hood } of peoplePages(household)) {
    if (signal?.aborted) break
    const consents = await consentsOf(household, rules, hood)
    const links = Map.groupBy(hood.links, (link) => link.personId ?? '')
    for (const person of hood.people) {
      const own = (links.get(person.id) ?? []).filter(
        (link) => link.state === 'linked' && names.includes(link.connection),
      )
      if (options.connection !== undefined && own.length === 0) continue
      people++
      lookAtPerson(tally, person, links.get(person.id) ?? [], options)
      for (const link of own) {
        const lens = rules.connections.get(link.connection)?.lens
        if (!lens) continue
        seen.set(link.connection, (seen.get(link.connection) ?? 0) + 1)
        lookAtRecord(tally, link, lens.get(link.fields), standard.door(link.connection), { rules, consents })
      }
    }
  }
  if (options.connection === undefined) await lookForDuplicates(tally, household, rules)
  for (const name of names) {
    if (options.read_max === 0 || !rules.connections.has(name)) continue
    const note = await lookForUnmapped(tally, household, rules, name, options, signal)
    if (note !== null) notes.push(note)
  }
  const of = (connection: string | null): number => (connection === null ? people : (seen.get(connection) ?? 0))
  return { people, records: Object.fromEntries(seen), findings: tally.findings(names, of), notes }
}

/** Counts by rule and connection, and the first samples of each: as much as is printed, however many people there are. */
class Tally {
  readonly #found = new Map<
    string,
    {
      finding: Omit<AuditFinding, 'count' | 'of' | 'fixable' | 'samples'>
      count: number
      of?: number
      fixable: number
      samples: AuditSample[]
    }
  >()
  readonly #options: AuditOptions

  constructor(options: AuditOptions) {
    this.#options = options
  }

  add(
    finding: Omit<AuditFinding, 'count' | 'of' | 'fixable' | 'samples'>,
    sample: Omit<AuditSample, 'values'>,
    values: readonly Json[],
    more: { readonly fixable?: boolean; readonly count?: number; readonly of?: number } = {},
  ): void {
    const key = `${finding.connection ?? ''}\n${finding.rule}`
    const found = this.#found.get(key) ?? { finding, count: 0, fixable: 0, samples: [] }
    this.#found.set(key, found)
    found.count += more.count ?? 1
    if (more.of !== undefined) found.of = more.of
    if (more.fixable === true) found.fixable++
    if (found.samples.length >= this.#options.samples_max || (sample.record === null && sample.person === null)) return
    found.samples.push(this.#options.values ? { ...sample, values: values.map(textOf) } : sample)
  }

  findings(names: readonly string[], of: (connection: string | null) => number): AuditFinding[] {
    const place = ({ connection }: { connection: string | null }): number =>
      connection === null ? names.length : names.indexOf(connection)
    return [...this.#found.values()]
      .map(({ finding, count, fixable, samples, of: own }) => {
        // Where nothing can be repaired, a preview of repairs is no help.
        const next = fixable === 0 && finding.next.startsWith('kith audit --fix') ? BY_HAND : finding.next
        return { ...finding, next, count, of: own ?? of(finding.connection), fixable, samples }
      })
      .toSorted((a, b) => place(a) - place(b) || b.count - a.count || (a.rule < b.rule ? -1 : 1))
  }
}

const BY_HAND = 'correct it in the app'

function textOf(value: Json): string {
  const plain = valueIn(value)
  if (typeof plain !== 'object' || plain === null) return String(plain ?? '')
  return Object.values(plain)
    .filter((part) => !isBlank(part))
    .map(String)
    .join(', ')
}

function lookAtPerson(tally: Tally, person: Person, links: readonly Link[], { stale_ms, now_ms }: AuditOptions): void {
  const said = Object.values(person.cells).map(({ stamp }) => stamp.at)
  const last_ms = Math.max(0, ...said, ...links.map((link) => link.modified_ms ?? 0))
  if (now_ms - last_ms <= stale_ms) return
  const next = 'look at them in their app; what is deleted there follows the delete policy of its connection'
  const title = 'not changed in any app for a long time'
  tally.add({ connection: null, rule: 'people.stale', title, next }, { record: null, person: person.id }, [])
}

interface Known {
  readonly rules: Rules
  readonly consents: ReadonlyMap<string, Consent>
}

function lookAtRecord(tally: Tally, link: Link, cells: Cells, door: Door, { rules, consents }: Known): void {
  const { connection, recordId: record, personId: person } = link
  const at = { record, person }
  const broken = new Map<StandardRule, Json[]>()
  for (const [cell, value] of Object.entries(cells)) {
    for (const rule of door.unmet(cell, value)) broken.set(rule, [...(broken.get(rule) ?? []), value])
  }
  for (const rule of door.rules) {
    if (rule.check.kind === 'required' && !isThere(cells, rule.field, rule.part)) broken.set(rule, [])
  }
  const repaired = broken.size > 0 ? door.repaired(cells, rules.catalogue).cells : cells
  for (const [rule, values] of broken) {
    const still = Object.entries(repaired).some(([cell, value]) => door.unmet(cell, value).includes(rule))
    const fixable = rule.action === 'fix' && rule.check.kind !== 'required' && !still
    tally.add({ connection, rule: rule.id, ...wordsFor(rule, rules) }, at, values, { fixable })
  }
  const incomplete = elementsOf('addresses', cells).filter(({ value }) => isIncomplete(value))
  if (incomplete.length > 0) {
    const title = 'a postal address without street, place, or postcode and country'
    const values = incomplete.map(({ value }) => value)
    tally.add({ connection, rule: 'addresses.incomplete', title, next: 'complete it in the app' }, at, values)
  }
  const told = new Map<ConsentState, Json[]>()
  for (const cell of Object.keys(cells)) {
    if (!cell.startsWith('emails:')) continue
    const state = consents.get(`email:${cell.slice('emails:'.length)}`)?.state
    if (state === undefined || !RESTRICTED.has(state)) continue
    told.set(state, [...(told.get(state) ?? []), cells[cell] ?? null])
  }
  for (const [state, values] of told) {
    const title = `an e-mail address that is ${state}`
    tally.add(
      { connection, rule: `consent.${state}`, title, next: 'kith consent <address> tells its story' },
      at,
      values,
    )
  }
}

const RESTRICTED: ReadonlySet<ConsentState> = new Set(['unsubscribed', 'bounced', 'complained'])

function wordsFor(rule: StandardRule, rules: Rules): Pick<AuditFinding, 'title' | 'next'> {
  const { title } = rules.catalogue.field(rule.field)
  const [said, next] =
    rule.action === 'fix'
      ? [`${title} ${faultOf(rule)}`, `kith audit --fix ${rule.id} shows what can be repaired; the rest in the app`]
      : [`${title} ${faultOf(rule)}`, BY_HAND]
  if (rule.id !== 'phones.malformed') return { title: said, next }
  return { title: said, next: 'set region: in kith.yaml for numbers without a country code; the rest in the app' }
}

function isIncomplete(value: Json): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return true
  const address = value as Address
  const blank = (part: keyof Address): boolean => isBlank(address[part])
  return (blank('street') && blank('pobox')) || blank('locality') || (blank('postcode') && blank('country'))
}

async function consentsOf(
  { store }: Household,
  rules: Rules,
  { people, links }: Neighbourhood,
): Promise<ReadonlyMap<string, Consent>> {
  const keys = new Set<string>()
  const add = (cells: Cells): void => {
    for (const cell of Object.keys(cells))
      if (cell.startsWith('emails:')) keys.add(`email:${cell.slice('emails:'.length)}`)
  }
  for (const person of people) add(person.cells as unknown as Cells)
  for (const link of links) {
    const lens = rules.connections.get(link.connection)?.lens
    if (link.state === 'linked' && lens) add(lens.get(link.fields))
  }
  return new Map((await store.consents([...keys])).map((consent) => [consent.key, consent]))
}

async function lookForDuplicates(tally: Tally, { store }: Household, rules: Rules): Promise<void> {
  const words = { title: 'probably the same person as somebody else', next: 'kith review --kind duplicate' }
  for await (const { people } of reviewItems({ store, rules }, { kind: 'duplicate' })) {
    const [first] = people
    tally.add({ connection: null, rule: 'people.duplicate', ...words }, { record: null, person: first?.id ?? null }, [])
  }
}

/**
 * Fields that an account fills and no mapping reads, from a sample of whole records; read-only ones are the app's own.
 * @returns why it could not be found out, or null
 */
async function lookForUnmapped(
  tally: Tally,
  household: Household,
  rules: Rules,
  name: string,
  { read_max }: AuditOptions,
  signal?: AbortSignal,
): Promise<string | null> {
  const config = household.config.connections.find((item) => item.name === name)
  if (!config) return null
  const { app, context } = household.appOf(config)
  // Never told which fields are wanted: its records hold all that there are.
  const connector = app.connect(config.options, context)
  try {
    const { fields } = await connector.check(signal)
    const records = await sampleOf(connector, await sampleIds(household, name, read_max), signal)
    for (const field of accountFields(fields, rules.connections.get(name) ?? null)) {
      if (field.mapped || !field.writable) continue
      const used = records.filter((record) => !isBlank(record.fields[field.name]))
      const [first] = used
      if (!first) continue
      const title = `filled in the account, and read by no mapping: ${field.label ?? field.name}`
      const next = `map it: kith fields ${name}, docs/mappings.md`
      const finding = { connection: name, rule: `unmapped ${field.name}`, title, next }
      tally.add(finding, { record: first.id, person: null }, [first.fields[field.name] ?? null], {
        count: used.length,
        of: records.length,
      })
    }
    return null
  } catch (error) {
    return `${name} does not answer, so that its other fields were not looked at: ${failureFrom(error).message}`
  } finally {
    await connector.close()
  }
}

/** Ids from all over the first page of ids: neither the oldest nor the newest alone. */
async function sampleIds({ store }: Household, name: string, max: number): Promise<string[]> {
  for await (const ids of store.knownIds(name)) {
    const step = Math.max(1, Math.floor(ids.length / max))
    return ids.filter((_, index) => index % step === 0).slice(0, max)
  }
  return []
}

async function sampleOf(connector: Connector, ids: readonly string[], signal?: AbortSignal): Promise<AppRecord[]> {
  const records: AppRecord[] = []
  const { readBatch_max } = connector.capabilities
  for (let start = 0; start < ids.length; start += readBatch_max) {
    const answers = await connector.read(ids.slice(start, start + readBatch_max), signal)
    records.push(...answers.flatMap((answer) => (answer.kind === 'record' ? [answer.record] : [])))
  }
  return records
}
