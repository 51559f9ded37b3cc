import { chmod, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { amend, asYaml, type Amended, type Amendment } from '../config/amend.ts'
import type { Config } from '../config/types.ts'
import { fieldOf } from '../engine/core/catalogue.ts'
import type { Store } from '../engine/core/ports/store.ts'
import { readConfig, type HouseholdOptions } from './household.ts'
import type { ReviewItem } from './review-items.ts'

/** The line of kith.yaml that would decide cases like this one by itself, or why there is none. */
export type Rule =
  { readonly amendment: Amendment; readonly yaml: string; readonly meaning: string } | { readonly none: string }

/** @param choose what was, or would be, chosen for the item */
export async function ruleFor(config: Config, store: Store, item: ReviewItem, choose: string): Promise<Rule> {
  switch (item.kind) {
    case 'conflict':
    case 'flip':
      return fieldRule(config, item, choose)
    case 'match':
    case 'second':
    case 'duplicate':
      return choose === 'apart' || choose === 'new' ? apartRule(config, store, item) : noRule(item, choose)
    case 'delete':
      return choose === 'keep' ? keepRule(config, store, item) : noRule(item, choose)
    case 'ending':
    case 'deletions':
    case 'incomplete':
      return noRule(item, choose)
  }
}

function noRule(item: ReviewItem, choose: string): Rule {
  if (item.kind === 'ending') return { none: 'What cannot be undone is asked about each time.' }
  if (item.kind === 'deletions' || item.kind === 'delete') {
    return { none: 'How much is let through without a question is set under brakes: in kith.yaml.' }
  }
  if (item.kind === 'incomplete') return { none: 'What new people must have is set under standard: in kith.yaml.' }
  return { none: `No rule says "${choose}" for all cases like this: two people can look just so, too.` }
}

/** Whose word counts for the field. */
function fieldRule(config: Config, item: ReviewItem, choose: string): Rule {
  const field = fieldOf(item.cell ?? '')
  const names = new Set(config.connections.map(({ name }) => name))
  const right = choose === 'theirs' ? (item.kind === 'conflict' ? item.connection : undefined) : item.oursBy
  if (choose === 'value' || right === undefined || !names.has(right)) {
    return {
      none: `The value that was chosen is no connection's own: name the one that is right with fields: ${field}.`,
    }
  }
  const value = item.kind === 'flip' ? { owner: right } : { prefer: [right] }
  const meaning =
    item.kind === 'flip'
      ? `only ${right} may change ${field}; what the others make of it is corrected`
      : `where apps say different things about ${field}, ${right} is right`
  return rule({ path: ['fields', field], value }, meaning)
}

/** What the two have in common tells nobody apart. */
async function apartRule(config: Config, store: Store, item: ReviewItem): Promise<Rule> {
  const key = await sharedKey(store, item)
  if (key === null) return pairRule(config, store, item)
  if (key.startsWith('email:')) {
    const local = key.slice('email:'.length).split('@')[0] ?? ''
    const all = [...new Set([...config.match.roleAddresses, local])].sort()
    return rule(
      { path: ['match', 'role_addresses'], value: all },
      `addresses that begin with ${local}@ belong to a role: they link only with the same name`,
    )
  }
  if (config.match.sharedFrom > 2) {
    return rule(
      { path: ['match', 'shared_from'], value: 2 },
      'an address or number that two records of one connection carry tells nobody apart',
    )
  }
  return rule(
    { path: ['match', 'rules'], value: config.match.rules.map(({ by }) => by).filter((by) => by !== 'phone') },
    'phone numbers find nobody any more',
  )
}

/** Nothing is shared that could be barred: only these two are named. */
async function pairRule(config: Config, store: Store, item: ReviewItem): Promise<Rule> {
  const [a, b] = (await keysOfSides(store, item)).map((keys) => keys[0]?.replace(/^\w+:/, ''))
  if (a === undefined || b === undefined) {
    return {
      none: 'Choose apart: the two are then known to be different, for good. There is no key to name them by in a rule.',
    }
  }
  return rule(
    { path: ['match', 'apart'], value: [...(config.match.apart ?? []).map((pair) => [...pair]), [a, b]] },
    'the holders of these two are different people, whatever else they share',
  )
}

/** The first address, else the first number, that the record (or the one person) and one of the others share. */
async function sharedKey(store: Store, item: ReviewItem): Promise<string | null> {
  const [ours, theirs] = await keysOfSides(store, item)
  const shared = ours.filter((key) => theirs.includes(key))
  return shared.find((key) => key.startsWith('email:')) ?? shared.find((key) => key.startsWith('phone:')) ?? null
}

/** The keys of the record (or the one person), and those of whom it may be. */
async function keysOfSides(store: Store, item: ReviewItem): Promise<readonly [string[], string[]]> {
  const hood = await store.loadPeople(item.people.map(({ id }) => id))
  const keysOf = (id: string): string[] =>
    hood.links.filter((link) => link.personId === id && link.state !== 'gone').flatMap((link) => link.keys)
  const [first, ...others] = item.people
  if (!first) return [[], []]
  const record =
    item.connection !== undefined && item.recordId !== undefined
      ? (await store.loadRecords(item.connection, [item.recordId])).links.find(
          (link) => link.recordId === item.recordId,
        )
      : undefined
  return [record ? [...record.keys] : keysOf(first.id), (record ? item.people : others).flatMap(({ id }) => keysOf(id))]
}

async function keepRule(config: Config, store: Store, item: ReviewItem): Promise<Rule> {
  const hood = await store.loadPeople(item.people.map(({ id }) => id))
  const gone = new Set(hood.links.filter((link) => link.state === 'gone').map((link) => link.connection))
  const origin = config.connections.find(({ name, deletes }) => gone.has(name) && deletes !== 'unlink')
  if (!origin) return { none: 'No connection deletes elsewhere any more.' }
  return rule(
    { path: ['connections', origin.name, 'deletes'], value: 'unlink' },
    `whoever is deleted in ${origin.name} stays elsewhere`,
  )
}

function rule(amendment: Amendment, meaning: string): Rule {
  return { amendment, yaml: asYaml(amendment), meaning }
}

/** What kith.yaml would be with the rule. @throws RangeError where it cannot be put in */
export async function amendedConfig(file: string, amendment: Amendment): Promise<Amended> {
  return amend(await readFile(file, 'utf8'), amendment)
}

/**
 * Puts the amended text in the place of kith.yaml, in one step, once it was read like any config.
 * @throws ConfigError where it would not be one
 */
export async function writeConfig(
  options: Pick<HouseholdOptions, 'configFile' | 'env' | 'apps'>,
  { text }: Amended,
): Promise<void> {
  const { configFile } = options
  // Beside it: what the file names is relative to its folder.
  const draft = join(dirname(configFile), `.${basename(configFile)}.${process.pid}.new`)
  try {
    await writeFile(draft, text, { flag: 'wx' })
    await readConfig({ ...options, configFile: draft })
    await chmod(draft, (await stat(configFile)).mode & 0o777)
    await rename(draft, configFile)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}
