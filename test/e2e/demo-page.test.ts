import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Browser, Page } from 'playwright-core'
import { CHROMIUM, openBrowser } from '../support/browser.ts'
import { Demos, pageOf, until, type Run } from '../support/demo-run.ts'

/** How long anything may take: the machine may be busy with other tests. */
const LIVE_MS = 15_000
const OTHERS = ['Salesforce', 'Mailchimp', 'Google Contacts']

const inBrowser = CHROMIUM === null ? describe.skip : describe

let demos: Demos
let run: Run
let url: string
let browser: Browser
let page: Page
/** What the browser complains about. */
let complaints: string[]

inBrowser(`the demo's page in a browser${CHROMIUM === null ? ' (skipped: there is no chromium here)' : ''}`, () => {
  beforeAll(async () => {
    demos = await Demos.open()
    run = demos.start('--watch', '--dir', join(demos.folder, 'page'))
    ;[url, browser] = await Promise.all([pageOf(run), openBrowser()])
  }, 90_000)

  afterAll(async () => {
    await browser.close()
    run.child.kill('SIGINT')
    const code = await run.ended
    await demos.remove()
    if (code !== 0) throw new Error(`the demo ended with ${code}: ${run.stderr}`)
  }, 60_000)

  beforeEach(async () => {
    complaints = []
    page = await browser.newPage({ viewport: { width: 1440, height: 1000 } })
    page.setDefaultTimeout(LIVE_MS)
    page.on('console', (message) => {
      // A refusal of an app's is an answer, although the browser calls it an error.
      if (['error', 'warning'].includes(message.type()) && !message.text().includes('422'))
        complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(error.message))
    await page.goto(url)
    await page.getByText('Live', { exact: true }).waitFor()
  })

  afterEach(async () => {
    await page.close()
    // Not even a refused style or a lost picture.
    if (complaints.length > 0) throw new Error(`the browser complains: ${complaints.join('\n')}`)
  })

  const field = (title: string, product: string) => page.getByLabel(new RegExp(`^${title} in ${product}:`))

  async function choose(query: string, name: string): Promise<void> {
    await page.getByRole('searchbox', { name: 'Search by name' }).fill(query)
    await page.getByRole('list').getByRole('button', { name }).first().click()
    await page.getByRole('heading', { level: 2, name }).waitFor()
  }

  /** Waits until a field shows the value. */
  async function shows(title: string, product: string, value: string): Promise<void> {
    const found = field(title, product)
    await until(run, async () => (await found.inputValue()) === value)
  }

  test('an edit in one account is seen in the others, with where it came from', async () => {
    await choose('marta@okonkwo', 'Marta Okonkwo')
    await field('Job title', 'HubSpot').fill('Partner')
    await page.keyboard.press('Enter')
    for (const product of OTHERS) await shows('Job title', product, 'Partner')
    await page
      .getByText(/^from HubSpot, \d+/)
      .first()
      .waitFor()
    await page.getByText('Job title: Senior architect → Partner').waitFor()
    await page
      .getByText(/^edited in crm/)
      .first()
      .waitFor()
    expect(await page.getByText('no such field').count()).toBeGreaterThan(5)
  }, 60_000)

  test('what an app refuses is said at the field, and nothing follows from it', async () => {
    await choose('amara@baobab', 'Amara Diallo')
    await field('E-mail', 'HubSpot').fill('no address')
    await page.keyboard.press('Enter')
    await page.getByText('HubSpot: invalid email').waitFor()
    expect(await field('E-mail', 'Salesforce').inputValue()).toBe('amara@baobab-legal.example')
    await page.keyboard.press('Escape')
    expect(await field('E-mail', 'HubSpot').inputValue()).toBe('amara@baobab-legal.example')
  })

  test('who unsubscribes in the newsletter has opted out in both CRMs (I7)', async () => {
    await choose('zoe@brandt', 'Zoë Brandt')
    expect(await field('E-mail consent', 'Salesforce').isChecked()).toBe(false)
    await page.getByRole('button', { name: 'The person unsubscribes in Mailchimp' }).click()
    await until(run, () => field('E-mail consent', 'Salesforce').isChecked())
    await page.getByRole('button', { name: 'The person signs up again in HubSpot' }).waitFor()
    await page.getByText('subscribed → unsubscribed').waitFor()
    await page.getByText('unsubscribed (zoe@brandt-optik.example)').waitFor()
  }, 60_000)

  test('somebody who is added in one account is made in the others, and opened', async () => {
    await page.getByRole('button', { name: 'Add a person' }).click()
    await page.getByLabel('In which account').selectOption('Zendesk')
    await page.getByLabel('Name (name)').fill('Ines Carvalho')
    await page.getByLabel('E-mail (email)').fill('ines@ateliersul.example')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 2, name: 'Ines Carvalho' }).waitFor()
    for (const product of ['HubSpot', ...OTHERS]) {
      await field('First name', product).waitFor()
      await shows('First name', product, 'Ines')
    }
    expect(await page.getByRole('dialog').count()).toBe(0)
  }, 60_000)

  test('two records of one person are merged in their app, and what Kith asked about is decided', async () => {
    await choose('j.pike@', 'Jon Pike')
    await page.getByText('HubSpot has another record that may be this person').waitFor()
    await page.getByRole('button', { name: 'Merge the two in HubSpot' }).click()
    await until(run, async () => (await page.getByText('another record that may be').count()) === 0)
    expect(await field('Further e-mail', 'HubSpot').inputValue()).toBe('jonathan.pike@post.example')
    await until(run, async () =>
      (await field('Further e-mail', 'Google Contacts').inputValue()).includes('jonathan.pike@'),
    )
  }, 60_000)

  test('who is deleted in one account stays in the others, and is not made there again', async () => {
    await choose('g.papadakis', 'Παπαδάκης')
    await page.getByRole('button', { name: 'Delete in HubSpot' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click()
    await page.getByText('It was deleted here. The other accounts keep theirs').waitFor()
    expect(await field('Last name', 'Salesforce').inputValue()).toBe('Παπαδάκης')
  }, 60_000)

  test('everything has a name, the keyboard reaches it in order, and dialogs give the focus back', async () => {
    await page.keyboard.press('Tab')
    expect(await focused(page)).toBe('To the person')
    await page.keyboard.press('Tab')
    expect(await focused(page)).toBe('Add a person')
    await page.keyboard.press('Enter')
    expect(await focused(page)).toBe('adding-account')
    await page.keyboard.press('Escape')
    expect(await focused(page)).toBe('Add a person')
    await page.keyboard.press('Tab')
    expect(await focused(page)).toBe('query')
    await choose('olena', 'Шевченко')
    expect(await focused(page)).toBe('person')
    await page.keyboard.press('Tab')
    expect(await focused(page)).toBe('crm-given')

    // Of what is there to be used, nothing is without a name; no id is there twice; there is one h1 and no step left out.
    const report = await page.evaluate(() => {
      const all = [...document.querySelectorAll<HTMLElement>('input, select, button, a[href]')]
      const named = (element: HTMLElement): boolean =>
        (element.getAttribute('aria-label') ?? element.textContent ?? '').trim() !== '' ||
        ((element as HTMLInputElement).labels?.length ?? 0) > 0
      const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id)
      const levels = [...document.querySelectorAll('main h1, main h2, main h3, header h1')].map(
        ({ tagName }) => tagName,
      )
      return {
        nameless: all.filter((element) => !named(element)).map(({ outerHTML }) => outerHTML),
        twice: ids.filter((id, index) => ids.indexOf(id) !== index),
        levels: [...new Set(levels)],
        headers: [...document.querySelectorAll('table th')].filter((cell) => !cell.hasAttribute('scope')).length,
      }
    })
    expect(report).toEqual({ nameless: [], twice: [], levels: ['H1', 'H2', 'H3'], headers: 0 })
  }, 60_000)

  test.each(['light', 'dark'] as const)(
    'text can be read in the %s theme (a contrast of 4.5 at least)',
    async (colorScheme) => {
      await page.emulateMedia({ colorScheme })
      await choose('olena', 'Шевченко')
      expect(await page.evaluate(pale)).toEqual([])
    },
  )

  test('nothing runs out of a narrow screen, and nothing moves for those who asked for that', async () => {
    await page.setViewportSize({ width: 390, height: 800 })
    await page.emulateMedia({ reducedMotion: 'reduce' })
    await choose('olena', 'Шевченко')
    const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth])
    expect(inner).toBeLessThanOrEqual(outer ?? 0)
    await field('Job title', 'HubSpot').fill('Chair')
    await page.keyboard.press('Enter')
    await shows('Job title', 'Salesforce', 'Chair')
    const moving = await page.evaluate(() => document.getAnimations().length)
    expect(moving).toBe(0)
  }, 60_000)
})

function focused(page: Page): Promise<string> {
  return page.evaluate(() => {
    const active = document.activeElement
    return active?.id !== '' && active?.id !== 'add' ? (active?.id ?? '') : (active?.textContent ?? '')
  })
}

/** In the page: texts whose colour is too like the ground they stand on. */
function pale(): string[] {
  const parts = (colour: string): number[] => (colour.match(/[\d.]+/g) ?? []).map(Number)
  const luminance = (colour: string): number => {
    const [r = 0, g = 0, b = 0] = parts(colour).map((part) => {
      const share = part / 255
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const ground = (element: Element | null): string => {
    for (let each = element; each; each = each.parentElement) {
      const { backgroundColor } = getComputedStyle(each)
      const [, , , alpha = 1] = parts(backgroundColor)
      if (alpha > 0) return backgroundColor
    }
    return 'rgb(255, 255, 255)'
  }
  const ownText = (element: Element): boolean =>
    element.matches('input, select') ||
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && (node.textContent ?? '').trim() !== '')
  return [...document.querySelectorAll('body *')].flatMap((element) => {
    if (!ownText(element) || !element.checkVisibility() || element.matches('.unseen, .skip')) return []
    const [text, back] = [luminance(getComputedStyle(element).color), luminance(ground(element))]
    const contrast = (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05)
    return contrast >= 4.5 ? [] : [`${element.tagName} ${element.className}: ${contrast.toFixed(2)}`]
  })
}
