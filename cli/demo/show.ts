import { fieldOf, type Catalogue, type CellKey } from '../../engine/core/catalogue.ts'
import type { Json } from '../../engine/core/json.ts'
import { nameOf, valuesOf } from '../../engine/core/person.ts'
import type { Intent, Link, Store } from '../../engine/core/ports/store.ts'
import type { Agreement } from './agreement.ts'
import { editsOf, losersOf, wordsFor, type FieldEdit, type Happening, type Loser } from './journal.ts'
import { width } from '../output.ts'
import { count, duration, fit, list, type Screen } from './screen.ts'

const NAME = 20
const SAMPLES_PER_PLACE = 3

/** What to call each of these people. */
export async function namesOf(store: Store, ids: Iterable<string>): Promise<ReadonlyMap<string, string>> {
  const { people } = await store.loadPeople([...new Set(ids)])
  return new Map(people.map((person) => [person.id, nameOf(valuesOf(person), person.id)]))
}

/** A plan: numbers for each place, and a few of the writes, fields that change before fields that are new. */
export async function showPlan(
  screen: Screen,
  catalogue: Catalogue,
  store: Store,
  intents: readonly Intent[],
): Promise<void> {
  const names = await namesOf(
    store,
    intents.map((intent) => intent.personId),
  )
  for (const [connection, own] of Map.groupBy(intents, (intent) => intent.connection)) {
    const creates = own.filter((intent) => intent.op === 'create')
    const updates = own.filter((intent) => intent.op === 'update')
    screen.say(
      `${screen.strong(fit(connection, 12))}${count(creates.length, 'new record')}, ${updates.length} to complete or correct`,
    )
    const telling = updates.toSorted((a, b) => replacements(b) - replacements(a))
    for (const intent of [...telling.slice(0, SAMPLES_PER_PLACE - 1), ...creates.slice(0, 1)]) {
      const name = fit(names.get(intent.personId) ?? '', NAME)
      if (intent.op === 'create') screen.say(screen.dim(`  + ${name} ${contentsOf(catalogue, intent)}`))
      else
        screen.say(
          ...cellLines(catalogue, intent).map((line, index) =>
            screen.dim(`  ~ ${index === 0 ? name : fit('', NAME)} ${line}`),
          ),
        )
    }
    const left = own.length - Math.min(SAMPLES_PER_PLACE, own.length)
    if (left > 0) screen.say(screen.dim(`    and ${left} more`))
  }
}

function replacements({ cells }: Intent): number {
  return Object.values(cells).filter(({ before, after }) => before !== null && after !== null).length
}

function contentsOf(catalogue: Catalogue, { cells }: Intent): string {
  const fields = [...new Set(Object.keys(cells).map(fieldOf))].filter((field) => !field.startsWith('name.'))
  return `with ${list(fields.map((field) => catalogue.field(field).title.toLowerCase())) || 'the name alone'}`
}

function cellLines(catalogue: Catalogue, { cells }: Intent): string[] {
  return Object.entries(cells)
    .slice(0, 2)
    .map(([cell, { before, after, stamp }]) => {
      const [from, to] = [wordsFor(before), wordsFor(after)]
      const change =
        from === to ? `${to} (${labelWords(after)})` : from === null ? `add ${to}` : `${from} → ${to ?? 'none'}`
      return `${fit(titleOf(catalogue, cell), 12)} ${change}   from ${stamp.by}`
    })
}

function labelWords(value: Json): string {
  return typeof value === 'object' && value !== null && 'label' in value
    ? `label ${String(value['label'] ?? 'none')}`
    : 'preferred'
}

function titleOf(catalogue: Catalogue, cell: CellKey): string {
  return catalogue.field(fieldOf(cell)).title
}

/** Records that nobody can decide about but a human, and such that cannot be read. */
export async function showUndecided(
  screen: Screen,
  store: Store,
  links: readonly Link[],
  recordName: (link: Link) => string = ({ recordId }) => recordId,
): Promise<void> {
  const names = await namesOf(
    store,
    links.flatMap((link) => link.candidates ?? []),
  )
  for (const link of links) {
    screen.say(screen.warn(`${link.connection}: ${recordName(link)}`))
    if (link.failure) {
      screen.say(`  ${link.failure.message}`, '  Left as it is; all the others go on.')
      continue
    }
    const who = (link.candidates ?? []).map((id) => names.get(id) ?? id).sort()
    screen.say(`  May be ${who.join(' or ')}: ${link.reason ?? ''}.`, '  Kith asks rather than guesses.')
  }
}

export function showAgreement(screen: Screen, agreement: Agreement): void {
  agreementTable(screen, agreement)
  const { sides, people, everywhere } = agreement
  const waiting = people - everywhere
  const rest = waiting === 0 ? '' : ` For ${waiting} a decision is yours.`
  const verdict = `${everywhere} of ${people} people are in all ${sides.length} places, and every field agrees.${rest}`
  screen.say('', agreement.agrees ? screen.good(verdict) : screen.warn('The places do not agree.'))
}

/** What each side holds, read anew. */
export function agreementTable(screen: Screen, { sides }: Agreement): void {
  const columns = ['people', 'twice', 'differing', 'undecided', 'unreadable']
  const wide = Math.max(...sides.map(({ connection }) => connection.length)) + 2
  screen.say(screen.dim(`${fit('', wide)}${columns.map((column) => column.padStart(12)).join('')}`))
  for (const side of sides) {
    const numbers = [side.people, side.doubled, side.differing, side.undecided, side.unreadable]
    screen.say(`${fit(side.connection, wide)}${numbers.map((number) => String(number).padStart(12)).join('')}`)
  }
}

/** What happened to people, field by field: what changed, where it came from, where it went, what lost. */
export async function showHappenings(
  screen: Screen,
  catalogue: Catalogue,
  store: Store,
  happenings: readonly Happening[],
  since: (edit: FieldEdit) => number,
): Promise<void> {
  const names = await namesOf(
    store,
    happenings.map((happening) => happening.personId),
  )
  for (const happening of happenings) {
    const losers = losersOf(happening)
    const edits = editsOf(happening).filter((edit) => !losers.some((loser) => isLoser(loser, edit)))
    const created = happening.deliveries.filter(({ intent }) => intent.op === 'create')
    if (edits.length + losers.length + created.length === 0) continue
    screen.say(screen.strong(names.get(happening.personId) ?? happening.personId))
    if (created.length > 0 && edits.length > 0 && edits.every((edit) => edit.before === null)) {
      const [first] = edits as [FieldEdit]
      const where = created.map(({ intent }) => intent.connection)
      const written_ms = Math.max(...created.map((item) => item.at_ms))
      screen.say(`  new in ${first.from}, created in ${list(where)}${screen.dim(took(written_ms, since(first)))}`)
      continue
    }
    for (const edit of edits) {
      const change = edit.before === null ? `${edit.after}` : `${edit.before} → ${edit.after ?? 'none'}`
      const way = edit.to.length === 0 ? edit.from : `${edit.from} → ${edit.to.join(', ')}`
      screen.say(
        `  ${fit(catalogue.field(edit.field).title, 17)} ${pad(change, 36)} ${screen.dim(`${way}${took(edit.written_ms, since(edit))}`)}`,
      )
      for (const loser of losers.filter(({ field }) => field === edit.field))
        screen.say(...loserLines(screen, loser, edit.at_ms))
    }
    const orphans = losers.filter(({ field }) => edits.every((edit) => edit.field !== field))
    for (const loser of orphans) screen.say(...loserLines(screen, loser, null))
  }
}

function loserLines(screen: Screen, loser: Loser, winner_ms: number | null): string[] {
  const earlier = winner_ms === null ? '' : `, ${duration(Math.max(0, winner_ms - loser.at_ms))} earlier`
  return [screen.warn(`  ${fit('', 17)} lost: ${loser.value} (${loser.from}${earlier}); kept in the log`)]
}

/** Records that were taken out of one place. Nobody is deleted elsewhere for it, unless the config says so. */
export async function showGone(screen: Screen, store: Store, links: readonly Link[]): Promise<void> {
  const names = await namesOf(
    store,
    links.flatMap((link) => link.personId ?? []),
  )
  for (const link of links) {
    screen.say(screen.strong(names.get(link.personId ?? '') ?? link.recordId))
    const into = /^merged into (.+)$/.exec(link.reason ?? '')?.[1]
    screen.say(
      into === undefined
        ? `  deleted in ${link.connection}; the other places keep theirs (deletes: unlink, the default)`
        : `  merged in ${link.connection}, into ${into}`,
    )
  }
}

/** A value that stood for a moment, until the other one was heard. */
function isLoser(loser: Loser, edit: FieldEdit): boolean {
  return loser.field === edit.field && loser.from === edit.from && loser.value === edit.after
}

/** A text as wide as asked, or wider. */
function pad(text: string, columns: number): string {
  return width(text) < columns ? fit(text, columns) : text
}

function took(written_ms: number | null, since_ms: number): string {
  return written_ms === null ? '' : `   ${duration(Math.max(0, written_ms - since_ms))}`
}
