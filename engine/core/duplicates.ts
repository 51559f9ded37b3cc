import type { Catalogue, Cells } from './catalogue.ts'
import { compareNames, keysOf, nameWords } from './identity.ts'
import type { Json } from './json.ts'
import type { MatchRules } from './rules.ts'

/** One reason for or against two being one human. */
export interface Evidence {
  readonly text: string
  /** Points for it, or against it. */
  readonly weight: number
}

/** How likely two are one human: 0 to 100, and why. */
export interface Likeness {
  readonly score: number
  readonly evidence: readonly Evidence[]
}

/** From here on two people are offered to an operator as probable duplicates. */
export const PROBABLE = 45

/**
 * Weighs what two people (or a record and a person) have in common. Names and keys are compared as matching compares them. Never
 * proof: an operator decides.
 */
export function likeness(a: Cells, b: Cells, catalogue: Catalogue, rules: MatchRules): Likeness {
  const evidence = [
    ...keyEvidence(a, b, catalogue, rules),
    ...nameEvidence(a, b),
    ...fieldEvidence(a, b, catalogue),
  ].filter(({ weight }) => weight !== 0)
  const sum = evidence.reduce((total, { weight }) => total + weight, 0)
  return { score: Math.max(0, Math.min(100, sum)), evidence }
}

function keyEvidence(a: Cells, b: Cells, catalogue: Catalogue, rules: MatchRules): Evidence[] {
  const theirs = new Set(keysOf(b, catalogue))
  const shared = keysOf(a, catalogue).filter((key) => theirs.has(key))
  const count = (prefix: string): number => shared.filter((key) => key.startsWith(prefix)).length
  const emails = shared.filter((key) => key.startsWith('email:'))
  const roles = emails.filter((key) => rules.roleAddresses.has(localOf(key)))
  const evidence: Evidence[] = []
  if (count('externalId:') > 0) evidence.push({ text: 'the same external id', weight: 60 })
  if (emails.length > roles.length) evidence.push({ text: 'the same e-mail address', weight: 50 })
  else if (roles.length > 0) evidence.push({ text: 'the same address of a role', weight: 10 })
  if (count('phone:') > 0) evidence.push({ text: 'the same phone number', weight: 35 })
  if (emails.length === 0 && sameLocalPart(a, b, catalogue, rules)) {
    evidence.push({ text: 'the same part before the @', weight: 25 })
  }
  return evidence
}

/** At another domain: a change of jobs, a second mailbox. */
function sameLocalPart(a: Cells, b: Cells, catalogue: Catalogue, rules: MatchRules): boolean {
  const locals = (cells: Cells): string[] =>
    keysOf(cells, catalogue)
      .filter((key) => key.startsWith('email:'))
      .map(localOf)
      .filter((local) => local.length >= 3 && !rules.roleAddresses.has(local))
  const theirs = new Set(locals(b))
  return locals(a).some((local) => theirs.has(local))
}

function localOf(key: string): string {
  return key.slice('email:'.length).split('@')[0] ?? ''
}

function nameEvidence(a: Cells, b: Cells): Evidence[] {
  switch (compareNames(a, b)) {
    case 'same': {
      const [ours, theirs] = [nameWords(a), nameWords(b)]
      const letter = ours.toSorted().join(' ') === theirs.toSorted().join(' ')
      const text = letter
        ? 'the same name'
        : ours.length === theirs.length
          ? 'names that differ by a letter or an ending'
          : 'one name is in the other'
      return [{ text, weight: letter ? 35 : 30 }]
    }
    case 'near':
      return [{ text: 'one name may be short for the other', weight: 20 }]
    case 'alike':
      return [{ text: 'a part of the name is the same', weight: 5 }]
    case 'unlike':
      return [{ text: 'the names are different', weight: -40 }]
    case 'unknown':
      return []
  }
}

function fieldEvidence(a: Cells, b: Cells, catalogue: Catalogue): Evidence[] {
  const compare = (field: string, same: Evidence, other?: Evidence): Evidence[] => {
    const [ours, theirs]: (Json | undefined)[] = [a[field], b[field]]
    if (ours === undefined || theirs === undefined) return []
    const def = catalogue.field(field)
    const equal = catalogue.normal(def, ours).toLowerCase() === catalogue.normal(def, theirs).toLowerCase()
    return equal ? [same] : other ? [other] : []
  }
  return [
    ...compare('organisation', { text: 'the same organisation', weight: 15 }),
    ...compare(
      'birthday',
      { text: 'the same birthday', weight: 25 },
      { text: 'the birthdays are different', weight: -40 },
    ),
    ...compare('externalId', { text: '', weight: 0 }, { text: 'the external ids are different', weight: -30 }),
  ]
}
