import { serve } from './child.ts'
import { openHouse, type House, type HouseOptions } from './house.ts'
import { peak_mib } from './measure.ts'

/** Kith in a process of its own: opened on the connections it is told, and run to quiet when it is asked. */

let house: House | undefined

serve({
  open: async (connections: HouseOptions['connections']) => {
    house = await openHouse({ connections })
  },
  quiet: async () => house?.quiet(),
  linked: async (connection: string) => (await house?.household.store.counts())?.get(connection)?.linked,
  peak_mib: async () => peak_mib(process.pid),
  close: async () => house?.close(),
})
