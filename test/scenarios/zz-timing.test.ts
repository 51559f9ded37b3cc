import { test } from '@jest/globals'
import { contact } from '../support/contacts.ts'
import { threePlaces } from '../support/three-places.ts'
test('timing', async () => {
  const t: [string, number][] = []
  let at = performance.now()
  const mark = (n: string) => { const now = performance.now(); t.push([n, Math.round(now - at)]); at = now }
  for (let i = 0; i < 2; i++) {
    const w = await threePlaces({ sheet: [contact({ given: 'A', family: 'B', emails: ['a@example.org'] })] }); mark('make')
    await w.home.open(); mark('open')
    await w.home.plan(); mark('plan')
    await w.home.daemon(); mark('daemon')
    await w.home.approve(); mark('approve')
    await w.home.sync(); mark('sync')
    await w.home.sync(); mark('sync')
    await w.home.shut(); mark('shut')
    await w.home.daemon(); mark('open+daemon')
    await w.home.sync(); mark('sync')
    await w.close(); mark('close')
  }
  console.log(JSON.stringify(t))
})
