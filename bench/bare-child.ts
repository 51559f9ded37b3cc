import { BareClient, type Account } from './bare-client.ts'
import { serve } from './child.ts'
import type { Cost } from './house.ts'
import { wall_ms } from './measure.ts'

/** The bare client in a process of its own, as Kith is: both have the other core to themselves. */

interface FirstSync {
  readonly account: Account
  readonly from: string
  readonly to: string
  readonly cards: { readonly [file: string]: string }
}

serve({
  firstSync: async ({ account, from, to, cards }: FirstSync) => {
    const client = new BareClient(account)
    const before = process.cpuUsage()
    const reading_ms = await wall_ms(async () => {
      for (const book of [from, to]) await client.readAll(book, await client.list(book))
    })
    const writing_ms = await wall_ms(() => client.putAll(to, cards, 'new'))
    client.close()
    const { user, system } = process.cpuUsage(before)
    return { wall_ms: reading_ms + writing_ms, kithCpu_ms: (user + system) / 1000, postgresCpu_ms: 0 } satisfies Cost
  },
})
