import { expect, test } from '@jest/globals'
import { enterWork } from '../../engine/store/locks.ts'
import { freshDatabase } from '../support/postgres.ts'

test('processes at work on one database are counted, and those of another are not', async () => {
  const [database, other] = [await freshDatabase(), await freshDatabase()]
  let alone = 0
  const enter = (url: string) => enterWork(url, async () => void alone++)
  const first = await enter(database.url)
  const second = await enter(database.url)
  const elsewhere = await enter(other.url)
  expect(alone).toBe(2)
  expect(await first.count()).toBe(2)
  expect(await elsewhere.count()).toBe(1)
  await first.leave()
  for (let tries = 0; (await second.count()) !== 1; tries++) if (tries > 100) throw new Error('it is still counted')
  await second.leave()
  await elsewhere.leave()
  await database.drop()
  await other.drop()
})
