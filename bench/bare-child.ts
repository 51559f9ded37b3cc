import { BareClient, type Account } from './bare-client.ts'
import { serve } from './child.ts'
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
    const reading_ms = await wall_ms(async () => {
      await client.list(to)
      await client.readAll(from, await client.list(from))
    })
    const writing_ms = await wall_ms(() => client.putAll(to, cards, 'new'))
    client.close()
    return { reading_ms, writing_ms, wall_ms: reading_ms + writing_ms }
  },
})
