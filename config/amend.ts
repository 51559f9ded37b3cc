import { isMap, isScalar, LineCounter, parseDocument, stringify, type Document, type Node, type Pair } from 'yaml'
import { sameJson, type Json } from '../engine/core/json.ts'

/** A value that is to stand at a place of the file: `{ path: ['fields', 'title'], value: { prefer: ['crm'] } }`. */
export interface Amendment {
  readonly path: readonly string[]
  readonly value: Json
}

export interface Amended {
  readonly text: string
  /** The lines that differ, as `- was` and `+ is`, with the lines around them. Empty where the file says so already. */
  readonly diff: readonly string[]
}

/**
 * A YAML file with one value changed. Everything else stays as it was written, letter for letter, comments and all; only where the
 * file is too unlike the usual is it written anew by the YAML library, which keeps comments too.
 *
 * @throws RangeError where the file is no YAML, or has something else than a section where one is needed
 */
export function amend(text: string, { path, value }: Amendment): Amended {
  const document = parseDocument(text, { lineCounter: new LineCounter() })
  if (document.errors.length > 0) throw new RangeError('the file is no YAML: run kith check')
  const wanted = whole(document, path, value)
  const spliced = splice(text, document, path, value)
  const amended = spliced !== null && sameJson(parsed(spliced), parsed(wanted)) ? spliced : wanted
  return { text: amended, diff: diffOf(text, amended) }
}

/** The amendment by itself, for people who write it in by hand. */
export function asYaml({ path, value }: Amendment): string {
  const [last = '', ...outer] = path.toReversed()
  const nested = outer.reduce<Json>((inner, key) => ({ [key]: inner }), { [last]: value })
  return stringify(nested, { collectionStyle: 'any', lineWidth: 0 }).trimEnd()
}

/** What a file says; undefined where it is none. */
function parsed(text: string): Json | undefined {
  const document = parseDocument(text)
  return document.errors.length > 0 ? undefined : ((document.toJS() ?? null) as Json)
}

function whole(document: Document, path: readonly string[], value: Json): string {
  const copy = document.clone()
  for (let depth = 1; depth < path.length; depth++) {
    const section = copy.getIn(path.slice(0, depth), true)
    if (section === undefined || isMap(section)) continue
    if (!isScalar(section) || section.value !== null) {
      throw new RangeError(`${path.slice(0, depth).join('.')} is no section in the file`)
    }
    copy.setIn(path.slice(0, depth), copy.createNode({}))
  }
  copy.setIn(path, copy.createNode(value, { flow: true }))
  return copy.toString({ lineWidth: 0 })
}

/** The text with the value put in place; null where that place cannot be told by the usual forms. */
function splice(text: string, document: Document, path: readonly string[], value: Json): string | null {
  const flow = inFlow(value)
  const present = document.getIn(path, true) as Node | undefined
  if (present?.range && (isScalar(present) || (isMap(present) && present.flow === true))) {
    return text.slice(0, present.range[0]) + flow + text.slice(present.range[1])
  }
  if (present !== undefined) return null
  const known = path.findLastIndex((_, index) => isMap(document.getIn(path.slice(0, index + 1))))
  const section = (known < 0 ? document.contents : document.getIn(path.slice(0, known + 1))) as Node | null
  if (!isMap(section) || section.flow === true) return null
  const [first] = section.items as Pair<Node, Node | null>[]
  const key = first?.key
  if (!key?.range) return null
  const indent = key.range[0] - (text.lastIndexOf('\n', key.range[0] - 1) + 1)
  const rest = path.slice(known + 1)
  const lines = rest.map((name, depth) => {
    const margin = ' '.repeat(indent + depth * 2)
    return depth === rest.length - 1 ? `${margin}${inFlow(name)}: ${flow}` : `${margin}${inFlow(name)}:`
  })
  const end = endOf(section, text)
  const gap = end > 0 && text[end - 1] !== '\n' ? '\n' : ''
  return `${text.slice(0, end)}${gap}${lines.join('\n')}\n${text.slice(end)}`
}

/** The start of the line after the section's last value, with the comment beside it. */
function endOf(section: Node & { items: unknown[] }, text: string): number {
  const last = section.items.at(-1) as Pair<Node, Node | null> | undefined
  const value = last?.value?.range?.[1] ?? last?.key.range?.[1] ?? text.length
  const line = text.indexOf('\n', Math.max(0, value - 1))
  return line < 0 ? text.length : line + 1
}

function inFlow(value: Json): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trimEnd()
}

const CONTEXT = 2

/** One amendment changes one place: what is the same before and after it is left out. */
function diffOf(before: string, after: string): string[] {
  if (before === after) return []
  const [old, now] = [before.split('\n'), after.split('\n')]
  let start = 0
  while (start < old.length && start < now.length && old[start] === now[start]) start++
  let end = 0
  while (end < old.length - start && end < now.length - start && old.at(-1 - end) === now.at(-1 - end)) end++
  const shared = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`)
  return [
    ...shared(old.slice(Math.max(0, start - CONTEXT), start)),
    ...old.slice(start, old.length - end).map((line) => `- ${line}`),
    ...now.slice(start, now.length - end).map((line) => `+ ${line}`),
    ...shared(now.slice(now.length - end, now.length - end + CONTEXT)),
  ]
}
