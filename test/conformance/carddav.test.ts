import { afterAll, beforeAll, describe } from '@jest/globals'
import { connectCardDav } from '../../connectors/carddav/index.ts'
import { startCardDavSimulator } from '../../connectors/carddav/simulator.ts'
import { editCard, printCard, sampleCard, showCard } from './cards.ts'
import type { JsonObject } from '../../engine/core/json.ts'
import type { Capabilities } from '../../engine/core/ports/connector.ts'
import { hasRadicale, startRadicale, type Radicale } from '../support/radicale.ts'
import { FAULTS, type World } from './harness.ts'
import { describeConnector, skipConnector } from './suite.ts'

const CAPABILITIES: Capabilities = {
  deletes: 'feed',
  hints: true,
  createKey: 'id',
  precondition: true,
  times: 'record',
  readBatch_max: 100,
  writeBatch_max: 50,
  writes_concurrent_max: 1,
  archive: false,
  create: true,
  delete: true,
}

const PASSWORD = 'correct horse battery'

/** Which ways the server goes. */
interface Server {
  readonly syncCollection: boolean
  readonly putEtag: 'strong' | 'none'
}

async function start(server: Server): Promise<World> {
  const book = { name: 'Contacts' }
  const simulator = await startCardDavSimulator({ username: 'ada', password: PASSWORD, books: [book] })
  Object.assign(simulator.faults, server, { sync_max: 100 })
  let added = 0
  const text = (id: string): string => {
    const card = simulator.cards.get(decodeURIComponent(id))
    if (!card) throw new Error(`the book has no card ${id}`)
    return card.text
  }
  const { faults } = simulator
  return {
    connector: connectCardDav(
      { url: simulator.url, username: 'ada', password: PASSWORD, vcard: '3.0' },
      { connection: 'office', baseDir: '.', now: Date.now },
      { retries_max: 0 },
    ),
    human: {
      add: (fields) => {
        added += 1
        simulator.put(`contact-${added}.vcf`, printCard(`contact-${added}`, fields))
        return `contact-${added}.vcf`
      },
      edit: (id, fields) => void simulator.put(decodeURIComponent(id), editCard(text(id), fields)),
      remove: (id) => simulator.remove(decodeURIComponent(id)),
      list: () =>
        [...simulator.cards].map(([name, card]) => ({ id: encodeURIComponent(name), fields: showCard(card.text) })),
    },
    faults: {
      loseNextAnswer: () => void (faults.lostAnswers = 1),
      rateLimit: (retryAfter_ms) => {
        const retry = retryAfter_ms === undefined ? {} : { retryAfter: String(retryAfter_ms / 1000) }
        faults.fail = { status: 429, times: 1, ...retry }
      },
      serverError: () => void (faults.fail = { status: 500, times: 1 }),
      partialFailure: () => void (faults.fail = { status: 503, times: 2, method: 'PUT' }),
      refuseCredentials: () => void (faults.fail = { status: 401, times: Number.POSITIVE_INFINITY }),
      expireCursor: () => simulator.expireTokens(),
      truncateListing: () => void (faults.cut = { at: 0.5, clean: true }),
      breakRecord: (id) => {
        const good = text(id)
        simulator.put(decodeURIComponent(id), 'no card at all')
        return () => void simulator.put(decodeURIComponent(id), good)
      },
    },
    clear: () => void Object.assign(faults, { lostAnswers: 0, fail: null, cut: null }),
    calls: () => simulator.requests.length,
    stop: () => simulator.close(),
  }
}

const servers: readonly (readonly [string, Server])[] = [
  ['a server with sync-collection', { syncCollection: true, putEtag: 'strong' }],
  ['a server that answers writes without an etag', { syncCollection: true, putEtag: 'none' }],
]

for (const [name, server] of servers) {
  describeConnector(`carddav (${name})`, {
    capabilities: CAPABILITIES,
    faults: FAULTS,
    start: () => start(server),
    sample: sampleCard,
    editable: 'TITLE',
    bystander: 'FN',
    multiline: 'NOTE',
    many: 250,
    secrets: [PASSWORD, Buffer.from(`ada:${PASSWORD}`).toString('base64')],
  })
}

let books = 0

/** A fresh address book on the real server; the human there uses another CardDAV client. */
async function startBook(radicale: Radicale): Promise<World> {
  books += 1
  const { username, password } = radicale
  const url = radicale.addBook(`book ${books}`)
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  const ask = async (method: string, id: string, body?: string): Promise<string> => {
    const headers = { authorization, 'content-type': 'text/vcard; charset=utf-8', connection: 'close' }
    const answer = await fetch(new URL(id, url), { method, headers, ...(body === undefined ? {} : { body }) })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} was answered ${answer.status}`)
    return text
  }
  const ids = new Set<string>()
  const add = async (fields: JsonObject): Promise<string> => {
    const uid = `contact-${ids.size + 1}`
    ids.add(`${uid}.vcf`)
    await ask('PUT', `${uid}.vcf`, printCard(uid, fields))
    return `${uid}.vcf`
  }
  return {
    connector: connectCardDav(
      { url, username, password, vcard: '3.0' },
      { connection: 'office', baseDir: '.', now: Date.now },
      { retries_max: 0 },
    ),
    human: {
      add,
      addAll: (all) => Promise.all(all.map(add)),
      edit: async (id, fields) => void (await ask('PUT', id, editCard(await ask('GET', id), fields))),
      remove: async (id) => void (await ask('DELETE', id)),
      // The whole book as one file, as a browser downloads it.
      list: async () => {
        const cards = (await ask('GET', '')).split(/(?<=END:VCARD\r?\n)/).filter((text) => text.trim() !== '')
        return cards.map((text) => ({ id: `${/^UID:(.*)$/m.exec(text)?.[1]?.trim()}.vcf`, fields: showCard(text) }))
      },
    },
    stop: () => Promise.resolve(),
  }
}

if (hasRadicale) {
  describe('on a real server', () => {
    let radicale: Radicale
    beforeAll(async () => {
      radicale = await startRadicale()
    })
    afterAll(() => radicale.close())
    describeConnector('carddav (Radicale)', {
      capabilities: CAPABILITIES,
      faults: [],
      start: () => startBook(radicale),
      sample: sampleCard,
      editable: 'TITLE',
      bystander: 'FN',
      multiline: 'NOTE',
      // It answers in one page, however many there are.
      many: 12,
      secrets: ['Enchantress'],
    })
  })
} else {
  skipConnector('carddav (Radicale)', 'the program radicale is not installed')
}
