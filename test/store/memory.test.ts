import { MemoryStore } from '../simulation/memory-store.ts'
import { storeSuite } from './store-suite.ts'

storeSuite('the memory store of the simulation', async () => new MemoryStore())
