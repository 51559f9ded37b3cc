import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { App } from '../connectors/app.ts'
import { memory } from '../connectors/memory/index.ts'
import type { Connector } from '../engine/core/ports/connector.ts'

/** The memory app with signed hooks that name the records, and with nothing else to announce a change by. */
const options = z.strictObject({ name: z.string().min(1), secret: z.string().min(1) })

const Body = z.object({ event: z.string(), records: z.array(z.string()) })

/** Told of every title that was written into an app, when the app has it. */
export const writes: { told: ((app: string, title: string) => void) | undefined } = { told: undefined }

export const hooked: App<z.infer<typeof options>> = {
  name: 'hooked',
  title: 'Hooked (for the bench)',
  options,
  secrets: ['secret'],
  account: ({ name }) => `hooked:${name}`,
  connect: ({ name }, context) => silent(name, memory.connect({ name }, context)),
  webhook: ({ secret }) => ({
    receive({ headers, body }) {
      const wanted = signature(secret, body)
      const given = Buffer.from(headers['x-signature'] ?? '', 'base64')
      if (given.length !== wanted.length || !timingSafeEqual(given, wanted))
        return { status: 401, announces: null, eventIds: [], refused: 'its signature is wrong' }
      const { event, records } = Body.parse(JSON.parse(Buffer.from(body).toString()))
      return { status: 204, announces: { records }, eventIds: [event] }
    },
  }),
}

export function signature(secret: string, body: Uint8Array): Buffer {
  return createHmac('sha256', secret).update(body).digest()
}

/** The connector without its own announcements. */
function silent(name: string, connector: Connector): Connector {
  return {
    app: 'hooked',
    capabilities: connector.capabilities,
    check: (signal) => connector.check(signal),
    pull: (cursor, signal) => connector.pull(cursor, signal),
    read: (ids, signal) => connector.read(ids, signal),
    write: async (requests, signal) => {
      const outcomes = await connector.write(requests, signal)
      for (const outcome of outcomes) {
        const title = outcome.kind === 'written' ? outcome.record.fields['title'] : undefined
        if (typeof title === 'string') writes.told?.(name, title)
      }
      return outcomes
    },
    ...(connector.find ? { find: (create, signal) => connector.find?.(create, signal) ?? Promise.resolve([]) } : {}),
    close: () => connector.close(),
  }
}
