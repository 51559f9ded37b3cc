import { decideApply, type ApplyTerms, type Known } from './apply.ts'
import { mapped, sameFields } from './diff.ts'
import { bareLink, excluded, excluderOf } from './erasure.ts'
import { hearConsents } from './hear-consent.ts'
import { withoutFailure } from './hear.ts'
import { sameJson, type Json, type JsonObject } from './json.ts'
import { blankLink } from './link.ts'
import type { AppRecord } from './ports/connector.ts'
import type { Commit, Kept, Link } from './ports/store.ts'
import type { ConnectionRules, Rules } from './rules.ts'
import type { Workspace } from './workspace.ts'

export type KeepTerms = ApplyTerms & Required<Pick<ApplyTerms, 'barred'>>

/**
 * Decides what sightings mean that are heard during a pause: nothing for anybody yet. What differs from the shadows, which stand
 * still meanwhile, is kept, each record once: as it was last heard, and what became of it. What the app itself takes back is
 * kept no longer. Pure, and deciding twice decides nothing new.
 *
 * Three things do not wait. What a record says about consent counts at once: a pause is no reason to go on writing to somebody who
 * has just said no. That a record cannot be read is no news about anybody. And of whoever was erased, or is being erased, nothing
 * is kept for anybody to decide.
 *
 * @param kept what is kept of these records so far
 */
export function decideKeep(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  sightings: readonly Known[],
  kept: readonly Kept[],
  terms: KeepTerms,
): Required<Pick<Commit, 'keep' | 'unkeep'>> {
  const keeping = new Keeping(ws, rules, connection, kept, terms)
  for (const sighting of sightings) {
    const id = sighting.kind === 'record' ? sighting.record.id : sighting.id
    const personId = ws.link(connection.name, id)?.personId
    if (personId != null && ws.person(personId)?.state === 'erased') {
      decideApply(ws, rules, connection, [sighting], terms)
      keeping.drop(id)
      continue
    }
    switch (sighting.kind) {
      case 'record':
        keeping.record(sighting.record)
        break
      case 'gone':
        keeping.gone(sighting.id)
        break
      case 'merged':
        keeping.merged(sighting.id, sighting.into)
        break
      case 'broken':
        decideApply(ws, rules, connection, [sighting], terms)
        break
    }
  }
  // Nobody is planned by what waits for a decision; what consent asks for is planned in a step of its own.
  for (const personId of ws.touchedPeople) ws.markUnplanned(personId)
  return keeping.result()
}

class Keeping {
  readonly #ws: Workspace
  readonly #rules: Rules
  readonly #connection: ConnectionRules
  readonly #now_ms: number
  readonly #barred: KeepTerms['barred']
  readonly #before: ReadonlyMap<string, Kept>
  readonly #kept: Map<string, Kept>

  constructor(
    ws: Workspace,
    rules: Rules,
    connection: ConnectionRules,
    kept: readonly Kept[],
    { now_ms, barred }: KeepTerms,
  ) {
    this.#ws = ws
    this.#rules = rules
    this.#connection = connection
    this.#now_ms = now_ms
    this.#barred = barred
    this.#before = new Map(kept.map((one) => [one.recordId, one]))
    this.#kept = new Map(this.#before)
  }

  record(record: AppRecord): void {
    const { lens, name } = this.#connection
    const link = this.#ws.link(name, record.id)
    const kept = this.#kept.get(record.id)
    if (this.#isOldCopy(record, link, kept)) return
    const fields = mapped(lens, record.fields)
    const consented = this.#hearConsent(record, fields, link, kept)
    if (this.#exclude(record, link)) return
    if (consented && standsAsItWas(consented) && sameFields(lens, consented.fields, fields)) {
      this.#kept.delete(record.id)
      const { modified_ms } = record
      const heard = {
        ...consented,
        rev: record.rev,
        recheck: false,
        ...(modified_ms === undefined ? {} : { modified_ms }),
      }
      this.#save(link, heard)
      // Its plan is of the revision before.
      if (link?.personId && (link.rev !== record.rev || link.recheck)) this.#ws.markUnplanned(link.personId)
      return
    }
    if (consented) this.#save(link, { ...consented, recheck: false })
    if (link?.personId && link.recheck) this.#ws.markUnplanned(link.personId)
    this.#keep(record.id, { ...record, fields }, null)
  }

  gone(id: string): void {
    const link = this.#heard(id)
    if (!link || link.state === 'gone' || link.state === 'missing') return void this.#kept.delete(id)
    if (link.personId === null) {
      // It was nobody's: there is nothing to decide.
      this.#kept.delete(id)
      return this.#ws.saveLink({ ...withoutFailure(link), state: 'gone', keys: [], recheck: false })
    }
    this.#keep(id, this.#kept.get(id)?.record ?? null, { kind: 'gone' })
  }

  merged(id: string, into: string): void {
    const link = this.#heard(id)
    const winner = this.#ws.link(this.#connection.name, into)
    if (winner && winner.state !== 'gone' && !winner.recheck && this.#kept.get(id)?.end === undefined) {
      this.#ws.saveLink({ ...winner, recheck: true })
    }
    // Made and merged away within the pause: what of it stands is in the record that it went into.
    if (!link || link.state === 'gone' || id === into) return void this.#kept.delete(id)
    this.#keep(id, this.#kept.get(id)?.record ?? null, { kind: 'merged', into })
  }

  drop(id: string): void {
    this.#kept.delete(id)
  }

  /** A record that is nobody's and falls under an erasure takes no part, in the clean-up neither. */
  #exclude(record: AppRecord, link: Link | undefined): boolean {
    if (link && link.personId !== null) return false
    const erasure = excluderOf(this.#rules, this.#connection, record, link, this.#barred)
    if (erasure === undefined) return false
    this.#ws.saveLink(excluded(bareLink(this.#connection.name, record, link), erasure))
    this.#kept.delete(record.id)
    return true
  }

  result(): Required<Pick<Commit, 'keep' | 'unkeep'>> {
    const keep = [...this.#kept.values()].filter((one) => this.#before.get(one.recordId) !== one)
    return { keep, unkeep: [...this.#before.values()].filter((one) => !this.#kept.has(one.recordId)) }
  }

  #keep(recordId: string, record: AppRecord | null, end: Kept['end']): void {
    const before = this.#kept.get(recordId)
    if (before && sameJson(before.end, end) && sameRecord(before.record, record)) return
    const mark = this.#before.get(recordId)?.mark ?? 0
    this.#kept.set(recordId, { connection: this.#connection.name, recordId, record, end, heard_ms: this.#now_ms, mark })
  }

  /** The link, marked as read again. */
  #heard(id: string): Link | undefined {
    const link = this.#ws.link(this.#connection.name, id)
    if (link?.recheck !== true) return link
    const heard = { ...link, recheck: false }
    this.#ws.saveLink(heard)
    // Nobody planned here while it was to be read again.
    if (link.personId !== null) this.#ws.markUnplanned(link.personId)
    return heard
  }

  #save(before: Link | undefined, link: Link): void {
    if (!before || !sameJson(before as unknown as Json, link as unknown as Json)) this.#ws.saveLink(link)
  }

  /** An old copy, most likely: the record is read once more, and what that says counts. */
  #isOldCopy(record: AppRecord, link: Link | undefined, kept: Kept | undefined): boolean {
    if (!link || record.modified_ms === undefined || (link.recheck && link.modified_ms === undefined)) return false
    const last_ms = kept?.record?.modified_ms ?? link.modified_ms ?? 0
    const rev = kept?.record ? kept.record.rev : link.rev
    if (record.modified_ms >= last_ms || rev === record.rev) return false
    const { modified_ms: _modified_ms, ...rest } = link
    this.#ws.saveLink({ ...rest, recheck: true })
    return true
  }

  /** Hears consent, over what was last heard of it. The shadow takes that over, so that it is not heard again in the end. */
  #hearConsent(
    record: AppRecord,
    fields: JsonObject,
    link: Link | undefined,
    kept: Kept | undefined,
  ): Link | undefined {
    const { lens } = this.#connection
    if (lens.consents.length === 0) return link
    const over = kept?.record
      ? { ...(link ?? blankLink(this.#connection.name, record.id, 'staged')), fields: kept.record.fields }
      : link
    hearConsents(this.#ws, this.#connection, over, record, fields, this.#now_ms)
    if (!link || link.personId === null) return link
    const spoken = lens.consents
      .filter((slot) => slot.key(link.fields) === slot.key(fields))
      .map(({ source }) => source)
    const told = spoken.filter((source) => !sameJson(link.fields[source] ?? null, fields[source] ?? null))
    if (told.length === 0) return link
    // Heard while the record was nobody's, and maybe refused: the app may have to be corrected, and by then it is no news.
    this.#ws.touch(link.personId)
    return {
      ...link,
      fields: { ...link.fields, ...Object.fromEntries(told.map((name) => [name, fields[name] ?? null])) },
    }
  }
}

/** A record that says what its shadow says is no part of a clean-up, unless it was gone, or not to be read. */
function standsAsItWas(link: Link): boolean {
  return (link.state === 'linked' || link.state === 'ambiguous' || link.state === 'second') && !link.failure
}

function sameRecord(a: AppRecord | null, b: AppRecord | null): boolean {
  return sameJson((a?.fields ?? null) as Json, (b?.fields ?? null) as Json) && a?.rev === b?.rev
}
