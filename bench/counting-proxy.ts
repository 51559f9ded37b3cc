import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** Stands in front of a server and counts what passes: requests, and bytes in both directions, headers included. */
export interface CountingProxy {
  /** The server's address, through the proxy. */
  through(url: string): string
  counts(): Traffic
  close(): Promise<void>
}

export interface Traffic {
  readonly requests: number
  readonly bytes: number
}

/** Requests start with their method; whatever a client sends in one piece after it is the rest of that request. */
const REQUEST_LINE = /(?:^|\r\n)[A-Z]+ \S+ HTTP\/1\.[01]\r\n/g

export async function startCountingProxy(target: URL): Promise<CountingProxy> {
  let requests = 0
  let bytes = 0
  const open = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ port: Number(target.port), host: target.hostname, allowHalfOpen: true })
    for (const socket of [client, upstream]) {
      open.add(socket)
      socket.setNoDelay(true)
      socket.on('close', () => open.delete(socket))
    }
    client.on('error', () => upstream.destroy())
    upstream.on('error', () => client.destroy())
    client.on('data', (data) => {
      bytes += data.length
      requests += data.toString('latin1').match(REQUEST_LINE)?.length ?? 0
    })
    upstream.on('data', (data) => (bytes += data.length))
    client.pipe(upstream)
    upstream.pipe(client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    through(url) {
      const proxied = new URL(url)
      proxied.port = String(port)
      return proxied.href
    },
    counts: () => ({ requests, bytes }),
    close: async () => {
      for (const socket of open) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
