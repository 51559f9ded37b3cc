import { request } from 'node:http'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import type { Summary } from '../../cli/demo/company/run.ts'
import { databaseState, Demos, pageOf, portIsClosed, until } from '../support/demo-run.ts'

let demos: Demos

beforeAll(async () => {
  demos = await Demos.open()
})

afterEach(() => demos.killAll())

afterAll(() => demos.remove())

describe('kith demo', () => {
  test('brings five accounts to agreement, and each edit to the others', async () => {
    const dir = join(demos.folder, 'whole')
    const run = demos.start('--json', '--dir', dir)
    expect(await run.ended).toBe(0)
    const summary = JSON.parse(run.stdout) as Summary
    const products = ['HubSpot', 'Salesforce', 'Mailchimp', 'Google Contacts', 'Zendesk']
    expect(summary.accounts.map(({ product }) => product)).toEqual(products)
    for (const { records } of summary.accounts) expect(records).toBeGreaterThan(200)

    // What nobody can decide but a human is asked for, and all else is written as it was approved.
    expect(summary.plan).toMatchObject({ undecided: 2, unreadable: 0 })
    expect(summary.written).toBeGreaterThanOrEqual(summary.plan.create + summary.plan.update)
    expect(summary.parked).toBe(0)
    const { agreement } = summary
    expect(agreement.agrees).toBe(true)
    for (const side of agreement.sides) expect(side).toMatchObject({ doubled: 0, differing: 0, unreadable: 0 })
    expect(agreement.sides.find(({ connection }) => connection === 'crm')).toMatchObject({ undecided: 0 })

    // Each edit was seen in the accounts themselves.
    const arrived = summary.edits.flatMap(({ arrived: lines }) => lines)
    expect(arrived.length).toBeGreaterThanOrEqual(15)
    const optedOut = [
      { account: 'crm', what: 'hs_email_optout is ticked' },
      { account: 'sales', what: 'HasOptedOutOfEmail is ticked' },
    ]
    for (const each of optedOut) expect(arrived).toContainEqual(expect.objectContaining(each))

    // The same field on two sides: the later one stands, the other is kept (I3).
    const loser = { person: 'Aoife Ní Bhraonáin', field: 'title', value: 'Managing editor', from: 'crm' }
    expect(summary.lost).toContainEqual(expect.objectContaining(loser))

    // Nothing runs any more, and nothing went wrong beneath.
    expect(await portIsClosed(summary.page)).toBe(true)
    expect(await databaseState(dir)).toBe('stopped')
    expect(await readdir(dir)).not.toContain('kith.log')
    const config = await readFile(summary.files.config, 'utf8')
    for (const app of ['hubspot', 'salesforce', 'mailchimp', 'google', 'zendesk'])
      expect(config).toContain(`app: ${app}`)

    // Told to people: no colours and no cursor movements outside a terminal.
    // oxlint-disable-next-line no-control-regex -- control characters are what must not be there
    expect(run.stderr).not.toMatch(/[\u001b\r]/)
  }, 90_000)

  test('with --watch, serves its page to this machine only, and stops cleanly on Ctrl-C', async () => {
    const dir = join(demos.folder, 'watched')
    const run = demos.start('--watch', '--dir', dir)
    const page = await pageOf(run)

    const served = await fetch(page)
    expect(served.status).toBe(200)
    const policy = served.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toContain('unsafe')
    expect(await served.text()).not.toMatch(/<script(?![^>]*\bsrc=)|\son\w+=|style=|https?:\/\//)

    // Another name for this address, and another page's script.
    expect(await statusOf(page, { host: 'evil.example' })).toBe(403)
    const crm = (await (await fetch(`${page}/api/accounts/crm/records?q=okonkwo`)).json()) as {
      records: { id: string }[]
    }
    const record = `${page}/api/accounts/crm/records/${crm.records[0]?.id}`
    for (const origin of ['http://evil.example', undefined]) {
      const headers = origin === undefined ? {} : { origin }
      expect((await fetch(record, { method: 'DELETE', headers })).status).toBe(403)
    }

    // An edit that an app refuses, and fields that nobody can type into.
    const put = async (body: object) => {
      const headers = { origin: page, 'content-type': 'application/json' }
      const answer = await fetch(record, { method: 'PUT', headers, body: JSON.stringify(body) })
      return { status: answer.status, ...((await answer.json()) as { error?: string }) }
    }
    expect(await put({ row: 'email', value: 'no address' })).toMatchObject({
      status: 422,
      error: 'HubSpot: invalid email',
    })
    expect(await put({ row: 'consent', value: 'true' })).toMatchObject({ status: 422 })
    expect(await put({ row: 'nothing', value: '' })).toMatchObject({ status: 400 })

    // What happens on the page is told in the terminal, too.
    const told = run.stdout.length
    expect(await put({ row: 'title', value: 'Harbour master' })).toMatchObject({ status: 200 })
    await until(run, () => /Harbour master.*crm → .*sales/.test(run.stdout.slice(told)))

    run.child.kill('SIGINT')
    expect(await run.ended).toBe(0)
    expect(await portIsClosed(page)).toBe(true)
    expect(await databaseState(dir)).toBe('stopped')
  }, 90_000)

  test('stopped in the middle, it takes away what it made, its database included', async () => {
    const dir = join(demos.folder, 'stopped')
    const run = demos.start('--dir', dir)
    await until(run, () => run.stdout.includes('kith approve'))
    run.child.kill('SIGINT')
    expect(await run.ended).toBe(130)
    expect(await readdir(demos.folder)).not.toContain('stopped')
  }, 90_000)

  test('leaves a folder alone that is not empty, and refuses what is no port', async () => {
    const dir = join(demos.folder, 'full')
    await mkdir(dir)
    await writeFile(join(dir, 'contacts.csv'), 'mine\n')
    const run = demos.start('--dir', dir)
    expect(await run.ended).toBe(1)
    expect(run.stderr).toContain('not empty')
    expect(await readdir(dir)).toEqual(['contacts.csv'])
    const port = demos.start('--port', 'x')
    expect(await port.ended).toBe(1)
    expect(port.stderr).toContain('--port')
  })
})

/** Asked as a browser asks that was told another name for the address. */
function statusOf(url: string, headers: { [name: string]: string }): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { headers }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    asked.once('error', reject)
    asked.end()
  })
}
