import { readFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Routes } from '../../../server/server.ts'
import { RefusedError, ROWS, type Account, type Row, type RowValues } from './account.ts'
import type { Item, News } from './news.ts'
import type { Stories } from './story.ts'

/** Nothing but what is served here: no script in the page, no address elsewhere. */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
} as const

const FILES = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/view.js': ['view.js', 'text/javascript; charset=utf-8'],
  '/icon.svg': ['icon.svg', 'image/svg+xml'],
} as const

/** Proxies and browsers give up on a stream that is silent for long. */
const PING_MS = 15_000
const TEXT_MAX = 4000

const ROW_NAMES = Object.keys(ROWS) as [Row, ...Row[]]
const TextValue = z.string().max(TEXT_MAX)
const Edit = z.strictObject({ row: z.enum(ROW_NAMES), value: TextValue })
const Add = z.strictObject({ values: z.partialRecord(z.enum(ROW_NAMES), TextValue) })
const Merge = z.strictObject({ into: z.string().min(1).max(200) })
const Act = z.strictObject({ ability: z.enum(['unsubscribe', 'subscribe', 'bounce']) })

export interface PageParts {
  readonly accounts: readonly Account[]
  readonly stories: Stories
  readonly news: News
}

/**
 * The page: the accounts side by side. What is edited here is edited in the accounts, by their human side; the page has no way
 * to Kith but to look at what it knows.
 */
export function pageRoutes({ accounts, stories, news }: PageParts): Routes {
  const streams = new Set<ServerResponse>()
  return (server) => {
    server.addHook('onRequest', async (request, reply) => {
      reply.headers(HEADERS)
      if (!isOwn(request)) return reply.code(403).send({ error: 'this page is for this machine only' })
    })
    server.addHook('preClose', () => {
      for (const stream of streams) stream.end()
    })
    for (const [url, [file, type]] of Object.entries(FILES)) {
      server.get(url, async (_request, reply) =>
        reply.type(type).send(await readFile(new URL(`../page/${file}`, import.meta.url))),
      )
    }
    server.get('/api/accounts', () => ({
      rows: ROWS,
      accounts: accounts.map(({ name, product, noun, hears, fields, abilities, records }) => ({
        name,
        product,
        noun,
        hears,
        fields,
        abilities,
        count: records().length,
      })),
    }))
    server.get('/api/people', async (request) => {
      const { q = '' } = request.query as { q?: string }
      return { people: await stories.search(q.slice(0, 200)) }
    })
    server.get('/api/people/:id', async (request, reply) => {
      const story = await stories.of((request.params as { id: string }).id)
      return story ?? reply.code(404).send({ error: 'nobody of this id' })
    })
    server.get('/api/doubtful', async () => ({ doubtful: await stories.doubtful() }))
    server.get('/api/accounts/:account/records', (request, reply) => {
      const account = accountOf(request)
      const { q = '' } = request.query as { q?: string }
      const wanted = q.toLowerCase()
      const records = account
        ?.records()
        .filter(({ values }) => Object.values(values).join(' ').toLowerCase().includes(wanted))
      return records ? { records: records.slice(0, 8) } : notThere(reply)
    })
    server.get('/api/accounts/:account/records/:id/person', async (request) => {
      const { account, id } = request.params as { account: string; id: string }
      return { person: await stories.ownerOf(account, id) }
    })
    server.post('/api/accounts/:account/records', (request, reply) =>
      human(request, reply, Add, (account, _id, { values }) => account.add(withoutBlanks(values))),
    )
    server.put('/api/accounts/:account/records/:id', (request, reply) =>
      human(request, reply, Edit, (account, id, { row, value }) => {
        const field = account.fields.find((each) => each.row === row)
        if (!field || field.readOnly !== undefined) throw new RefusedError(`${account.product}: nobody can type there`)
        account.edit(id, row, value.trim())
        return id
      }),
    )
    server.delete('/api/accounts/:account/records/:id', (request, reply) =>
      human(request, reply, z.unknown(), (account, id) => {
        account.remove(id)
        return id
      }),
    )
    server.post('/api/accounts/:account/records/:id/merge', (request, reply) =>
      human(request, reply, Merge, (account, id, { into }) => {
        if (!account.abilities.includes('merge') || id === into || !account.record(into))
          throw new RefusedError('These cannot be merged')
        return account.merge(id, into)
      }),
    )
    server.post('/api/accounts/:account/records/:id/act', (request, reply) =>
      human(request, reply, Act, (account, id, { ability }) => {
        if (!account.record(id)?.abilities.includes(ability)) throw new RefusedError(`${account.product}: not now`)
        account.act(id, ability)
        return id
      }),
    )
    server.get('/api/events', (request, reply) => {
      reply.hijack()
      const stream = reply.raw
      stream.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream; charset=utf-8' })
      stream.write('retry: 1000\n\n')
      const end = news.listen((item: Item) => stream.write(`data: ${JSON.stringify(item)}\n\n`))
      const ping = setInterval(() => stream.write(': still here\n\n'), PING_MS)
      streams.add(stream)
      request.raw.once('close', () => {
        end()
        clearInterval(ping)
        streams.delete(stream)
      })
    })
  }

  function accountOf(request: FastifyRequest): Account | undefined {
    const { account } = request.params as { account: string }
    return accounts.find(({ name }) => name === account)
  }

  /** Something that a human does in an account. `act` answers with the id of the record that is there afterwards. */
  async function human<Input>(
    request: FastifyRequest,
    reply: FastifyReply,
    schema: z.ZodType<Input>,
    act: (account: Account, id: string, input: Input) => string,
  ): Promise<FastifyReply> {
    const account = accountOf(request)
    const { id } = request.params as { id?: string }
    if (!account || (id !== undefined && !account.record(id))) return notThere(reply)
    const input = schema.safeParse(request.body)
    if (!input.success) return reply.code(400).send({ error: 'the request cannot be read' })
    const owner = id === undefined ? null : await stories.ownerOf(account.name, id)
    const at_ms = Date.now()
    try {
      const record = act(account, id ?? '', input.data)
      news.edited(account.name, record, owner, at_ms)
      return await reply.send({ account: account.name, record })
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error
      return reply.code(422).send({ error: error.message })
    }
  }
}

/** Other host names that lead here, and other pages that send requests here, are somebody trying their luck. */
function isOwn(request: FastifyRequest): boolean {
  const { host = '', origin } = request.headers
  if (!/^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(host)) return false
  if (request.method === 'GET' || request.method === 'HEAD') return true
  return origin === `http://${host}`
}

function notThere(reply: FastifyReply): FastifyReply {
  return reply.code(404).send({ error: 'the record is not there any more' })
}

function withoutBlanks(values: { readonly [row in Row]?: string | undefined }): RowValues {
  return Object.fromEntries(
    Object.entries(values).flatMap(([row, value]) => (value?.trim() ? [[row, value.trim()]] : [])),
  )
}
