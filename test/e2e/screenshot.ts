import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { openBrowser } from '../support/browser.ts'
import { Demos, pageOf, until } from '../support/demo-run.ts'

/** Makes docs/demo.png anew: `node test/e2e/screenshot.ts`. */
const PATH = fileURLToPath(new URL('../../docs/demo.png', import.meta.url))

const demos = await Demos.open()
const run = demos.start('--watch', '--dir', join(demos.folder, 'shot'))
const [url, browser] = await Promise.all([pageOf(run), openBrowser()])
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: 'light' })
  await page.goto(url)
  await page.getByRole('searchbox', { name: 'Search by name' }).fill('okonkwo')
  await page.getByRole('button', { name: 'Marta Okonkwo' }).first().click()
  await page.getByLabel('Job title in HubSpot').fill('Partner')
  await page.keyboard.press('Enter')
  const title = page.getByLabel('Job title in Google Contacts')
  await until(run, async () => (await title.inputValue()) === 'Partner')
  // All notes are there, and the last one is still lit.
  await until(run, async () => (await page.getByText(/^from HubSpot, \d+/).count()) >= 3)
  await page.evaluate(() => window.scrollTo(0, 0))
  await page.screenshot({ path: PATH })
} finally {
  await browser.close()
  run.child.kill('SIGINT')
  await run.ended
  await demos.remove()
}
