import { escapeXml, malformed, parseXml, type XmlNode } from './xml.ts'

const DAV = 'DAV:'
const CARD = 'urn:ietf:params:xml:ns:carddav'
const CS = 'http://calendarserver.org/ns/'

/** The properties and elements that are spoken of, as `namespace local`. */
export const NAMES = {
  href: `${DAV} href`,
  collection: `${DAV} collection`,
  addressBook: `${CARD} addressbook`,
  resourceType: `${DAV} resourcetype`,
  displayName: `${DAV} displayname`,
  principal: `${DAV} current-user-principal`,
  homeSet: `${CARD} addressbook-home-set`,
  reports: `${DAV} supported-report-set`,
  privileges: `${DAV} current-user-privilege-set`,
  etag: `${DAV} getetag`,
  contentType: `${DAV} getcontenttype`,
  lastModified: `${DAV} getlastmodified`,
  addressData: `${CARD} address-data`,
  ctag: `${CS} getctag`,
  syncToken: `${DAV} sync-token`,
  syncCollection: `${DAV} sync-collection`,
  multiget: `${CARD} addressbook-multiget`,
  validSyncToken: `${DAV} valid-sync-token`,
  supportedReport: `${DAV} supported-report`,
  uidConflict: `${CARD} no-uid-conflict`,
  validData: `${CARD} valid-address-data`,
  supportedDataOnly: `${CARD} supported-address-data`,
  resourceSize: `${CARD} max-resource-size`,
} as const

const PREFIX: { readonly [namespace: string]: string } = { [DAV]: 'D', [CARD]: 'C', [CS]: 'S' }
const DECLARATIONS = Object.entries(PREFIX)
  .map(([namespace, prefix]) => ` xmlns:${prefix}="${namespace}"`)
  .join('')

function qualified(name: string): string {
  const space = name.lastIndexOf(' ')
  return `${PREFIX[name.slice(0, space)]}:${name.slice(space + 1)}`
}

function document(root: string, inner: string): string {
  return `<?xml version="1.0" encoding="utf-8"?>\n<${root}${DECLARATIONS}>${inner}</${root}>`
}

function prop(names: readonly string[]): string {
  return `<D:prop>${names.map((name) => `<${qualified(name)}/>`).join('')}</D:prop>`
}

export function propfindBody(names: readonly string[]): string {
  return document('D:propfind', prop(names))
}

/** RFC 6578 3.2; an empty token asks for everything. */
export function syncBody(token: string, names: readonly string[]): string {
  const asked = `<D:sync-token>${escapeXml(token)}</D:sync-token><D:sync-level>1</D:sync-level>`
  return document('D:sync-collection', `${asked}${prop(names)}`)
}

/** RFC 6352 8.7. No version of the card is asked for: a server that converts would hand out what it does not hold. */
export function multigetBody(paths: readonly string[], names: readonly string[]): string {
  const hrefs = paths.map((path) => `<D:href>${escapeXml(path)}</D:href>`).join('')
  return document('C:addressbook-multiget', `${prop(names)}${hrefs}`)
}

/** RFC 6352 8.6: the cards with this UID. */
export function uidQueryBody(uid: string, names: readonly string[]): string {
  const match = `<C:text-match collation="i;octet" match-type="equals">${escapeXml(uid)}</C:text-match>`
  const filter = `<C:filter><C:prop-filter name="UID">${match}</C:prop-filter></C:filter>`
  return document('C:addressbook-query', `${prop(names)}${filter}`)
}

/** What a multistatus says of one resource. */
export interface DavResponse {
  readonly href: string
  /** The status of the resource as a whole; null where it is given property by property. */
  readonly status: number | null
  /** The properties that were found, by name. */
  readonly props: ReadonlyMap<string, XmlNode>
  /** The worst status among the properties that were not handed out: 404 where the server merely has none. */
  readonly missing: number | null
}

export interface Multistatus {
  readonly responses: readonly DavResponse[]
  readonly syncToken: string | null
}

/**
 * Reads a multistatus (RFC 4918 13).
 * @throws FailureError (transient) for anything but a whole and valid one
 */
export function parseMultistatus(body: string): Multistatus {
  const root = parseXml(body)
  if (root.name !== `${DAV} multistatus`) throw malformed()
  return {
    responses: root.children.filter((child) => child.name === `${DAV} response`).flatMap(responsesOf),
    syncToken: textOf(child(root, NAMES.syncToken)),
  }
}

function responsesOf(node: XmlNode): DavResponse[] {
  const hrefs = node.children.filter(({ name }) => name === NAMES.href).map(({ text }) => text.trim())
  if (hrefs.length === 0 || hrefs.includes('')) throw malformed()
  const statusNode = child(node, `${DAV} status`)
  const status = statusNode ? statusOf(statusNode) : null
  const props = new Map<string, XmlNode>()
  let missing: number | null = null
  for (const propstat of node.children.filter(({ name }) => name === `${DAV} propstat`)) {
    const line = child(propstat, `${DAV} status`)
    if (!line) throw malformed()
    const found = statusOf(line)
    if (found >= 200 && found <= 299)
      for (const each of child(propstat, `${DAV} prop`)?.children ?? []) props.set(each.name, each)
    else missing = Math.max(missing ?? 0, found)
  }
  return hrefs.map((href) => ({ href, status, props, missing }))
}

function statusOf(node: XmlNode): number {
  const match = /^\s*HTTP\/\S+\s+(\d{3})/.exec(node.text)
  if (!match) throw malformed()
  return Number(match[1])
}

/** The first child of that name. */
export function child(node: XmlNode, name: string): XmlNode | undefined {
  return node.children.find((each) => each.name === name)
}

/** The element's text without the white space around it; null where there is none. */
export function textOf(node: XmlNode | undefined): string | null {
  const text = node?.text.trim() ?? ''
  return text === '' ? null : text
}

/** Whether an element of that name is anywhere inside. */
export function contains(node: XmlNode | undefined, name: string): boolean {
  return node?.children.some((each) => each.name === name || contains(each, name)) ?? false
}

/** The preconditions that an error body names (RFC 4918 16), with the hrefs inside; empty for any other body. */
export function preconditionsOf(body: string): ReadonlyMap<string, readonly string[]> {
  if (!body.trimStart().startsWith('<')) return new Map()
  try {
    const root = parseXml(body)
    if (root.name !== `${DAV} error`) return new Map()
    return new Map(
      root.children.map((each) => [
        each.name,
        each.children.filter(({ name }) => name === NAMES.href).map(({ text }) => text.trim()),
      ]),
    )
  } catch {
    return new Map()
  }
}
