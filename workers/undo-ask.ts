import type { Rule } from '../engine/core/person.ts'
import { catalogueOf } from './connect.ts'
import type { Household } from './household.ts'
import { lastRun, type UndoFilter } from './undo.ts'

/** What is to be undone, as an operator names it. What is named holds together. */
export interface UndoAsk extends Omit<UndoFilter, 'run' | 'rule'> {
  /** `crm:12`, or `last`. */
  readonly run?: string
  readonly rule?: string
}

/** Something is named that is not there. */
export class UndoAskError extends Error {
  override readonly name = 'UndoAskError'
  readonly about: 'act' | 'run' | 'rule' | 'connection' | 'field'
  /** What there is instead, where that can be listed. */
  readonly known: readonly string[]

  constructor(about: UndoAskError['about'], message: string, known: readonly string[] = []) {
    super(message)
    this.about = about
    this.known = known
  }
}

export const UNDO_RULES: readonly Rule[] = [
  'first',
  'edit',
  'latest',
  'prefer',
  'owner',
  'fill',
  'same',
  'act',
  'consent',
  'standard',
]

/** The words by which an undo can be named, in the order in which they are told. */
export const UNDO_WORDS = ['act', 'run', 'rule', 'person', 'connection', 'since', 'until', 'field'] as const

export type UndoWords = { readonly [word in (typeof UNDO_WORDS)[number]]?: string | undefined }

/** The same undo in the same words, in whatever order they came; empty where nothing is named. */
export function askedOf(words: UndoWords): string {
  return UNDO_WORDS.flatMap((word) => (words[word] === undefined ? [] : [`--${word} ${words[word]}`])).join(' ')
}

/** @throws UndoAskError */
export async function undoFilterOf(household: Household, { run, rule, ...rest }: UndoAsk): Promise<UndoFilter> {
  const { store, config } = household
  const { act, connection, field } = rest
  if (connection !== undefined) mustKnow(household, connection)
  if (act !== undefined && (await store.acts({ id: act, limit: 1 })).length === 0) {
    throw new UndoAskError('act', `there is no act ${act}`)
  }
  const known = UNDO_RULES.find((name) => name === rule)
  if (rule !== undefined && known === undefined) {
    throw new UndoAskError('rule', `there is no rule ${rule}`, UNDO_RULES)
  }
  const names = [...catalogueOf(config).fields].map(({ name }) => name)
  const isOne = (name: string): boolean => name === field || name.startsWith(`${field}.`)
  if (field !== undefined && !names.some(isOne) && !isConsent(field)) {
    throw new UndoAskError('field', `there is no field named ${field}`, names)
  }
  return {
    ...rest,
    ...(run === undefined ? {} : { run: await runOf(household, run, connection) }),
    ...(known === undefined ? {} : { rule: known }),
  }
}

function isConsent(field: string): boolean {
  return field === 'consent' || field.startsWith('consent.')
}

function mustKnow({ config }: Household, connection: string): void {
  const names = config.connections.map(({ name }) => name)
  if (names.includes(connection)) return
  throw new UndoAskError('connection', `there is no connection named ${connection}`, names)
}

async function runOf(
  household: Household,
  text: string,
  connection: string | undefined,
): Promise<{ connection: string; pass: number }> {
  if (text === 'last') {
    const run = await lastRun(household.store, connection)
    if (run) return run
    throw new UndoAskError('run', 'the log knows of no run that changed anything')
  }
  const [, name = '', pass = ''] = /^(.+):(\d+)$/.exec(text) ?? []
  if (name === '') throw new UndoAskError('run', `"${text}" is no run: one is written like crm:12, or last`)
  mustKnow(household, name)
  return { connection: name, pass: Number(pass) }
}
