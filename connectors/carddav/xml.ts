import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { FailureError } from '../../engine/core/failure.ts'

/** An XML element. `name` is `namespace local`, so that prefixes do not matter. */
export interface XmlNode {
  readonly name: string
  /** The text directly inside, entities resolved, white space as it stands. */
  readonly text: string
  readonly children: readonly XmlNode[]
}

type Raw = { readonly [key: string]: readonly Raw[] | string | { readonly [attribute: string]: string } }

// Entities are resolved here rather than by the parser, which counts them against a limit meant for hostile documents: a
// listing of 10,000 quoted etags has 20,000.
const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  processEntities: false,
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  cdataPropName: '#cdata',
  ignorePiTags: true,
})

/**
 * Reads a whole XML document. The parser itself would make the best of half a document; a listing that was cut off must
 * never pass for a shorter one, so the document is validated first (I5).
 * @throws FailureError (transient) for text that is not a complete, well-formed document
 */
export function parseXml(text: string): XmlNode {
  // No DAV answer has a DOCTYPE; whoever sends one is after entity tricks, or is a login page.
  if (/<!DOCTYPE/i.test(text.slice(0, 2000))) throw malformed()
  if (XMLValidator.validate(text) !== true) throw malformed()
  let nodes: readonly Raw[]
  try {
    nodes = parser.parse(text) as readonly Raw[]
  } catch {
    throw malformed()
  }
  const root = nodes.map((node) => elementOf(node, new Map())).find((node) => node !== undefined)
  if (!root) throw malformed()
  return root
}

/** Text as the content of an element. */
export function escapeXml(text: string): string {
  return text.replace(/[&<>]/g, (character) => (character === '&' ? '&amp;' : character === '<' ? '&lt;' : '&gt;'))
}

export function malformed(): FailureError {
  return new FailureError({
    kind: 'transient',
    code: 'MALFORMED',
    message: "The server's answer is cut off or is not well-formed XML; nothing of it was used",
  })
}

function elementOf(raw: Raw, scope: ReadonlyMap<string, string>): XmlNode | undefined {
  const tag = Object.keys(raw).find((key) => key !== ':@')
  if (tag === undefined || tag.startsWith('#') || tag.startsWith('?')) return undefined
  const inner = scopeOf(raw[':@'] as { readonly [attribute: string]: string } | undefined, scope)
  let text = ''
  const children: XmlNode[] = []
  for (const child of raw[tag] as readonly Raw[]) {
    if (typeof child['#text'] === 'string') text += decode(child['#text'])
    else if (Array.isArray(child['#cdata'])) text += (child['#cdata'] as readonly Raw[]).map((c) => c['#text']).join('')
    else {
      const element = elementOf(child, inner)
      if (element) children.push(element)
    }
  }
  const colon = tag.indexOf(':')
  const namespace = inner.get(colon < 0 ? '' : tag.slice(0, colon)) ?? ''
  return { name: `${namespace} ${tag.slice(colon + 1)}`, text, children }
}

function scopeOf(
  attributes: { readonly [attribute: string]: string } | undefined,
  scope: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const declared = Object.entries(attributes ?? {}).filter(([name]) => name === 'xmlns' || name.startsWith('xmlns:'))
  if (declared.length === 0) return scope
  return new Map([...scope, ...declared.map(([name, uri]) => [name.slice(6), decode(uri)] as const)])
}

const NAMED: { readonly [name: string]: string } = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function decode(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (_all, hex?: string, decimal?: string, name?: string) => {
    if (name !== undefined) {
      const known = NAMED[name]
      if (known === undefined) throw malformed()
      return known
    }
    const point = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
    if (!(point <= 0x10ffff)) throw malformed()
    return String.fromCodePoint(point)
  })
}
