import { MemoryStore } from '../simulation/memory-store.ts'
import { storeSuite } from './store-suite.ts'

storeSuite(async () => new MemoryStore())
