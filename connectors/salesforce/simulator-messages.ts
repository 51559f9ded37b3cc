import { setTimeout as sleep } from 'node:timers/promises'
import type { SimulatedRow } from './simulator-org.ts'

export interface MessageTarget {
  readonly url: string
  readonly organizationId: string
  /** Notifications in one message. */
  readonly batch_max?: number
  /** The first pause before a message that was not acknowledged is sent again; it then doubles. */
  readonly pause_ms?: number
  readonly tries_max?: number
}

/** Sends outbound messages for what changed, and again until they are acknowledged; in no particular order. */
export class SimulatedMessages {
  readonly #targets: MessageTarget[] = []
  readonly #underWay = new Set<Promise<void>>()
  readonly #closing = new AbortController()
  #waiting: SimulatedRow[] = []
  #count = 0
  /** Messages sent, those sent again counted too. */
  sent = 0
  /** Messages that were acknowledged. */
  acknowledged = 0

  subscribe(target: MessageTarget): void {
    this.#targets.push(target)
  }

  announce(row: SimulatedRow): void {
    if (this.#targets.length === 0 || row.object === 'Account' || row.deleted) return
    this.#waiting.push(row)
    // What changes in one go is put into one message.
    if (this.#waiting.length === 1) this.#track(Promise.resolve().then(() => this.#flush()))
  }

  /** Waits until all that was announced is acknowledged or given up. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.settled()
  }

  #track(work: Promise<void>): void {
    const tracked = work.catch(() => undefined).finally(() => this.#underWay.delete(tracked))
    this.#underWay.add(tracked)
  }

  #flush(): void {
    const rows = this.#waiting
    this.#waiting = []
    for (const target of this.#targets) {
      for (const object of ['Contact', 'Lead'] as const) {
        const some = rows.filter((row) => row.object === object)
        const size = target.batch_max ?? 100
        for (let at = 0; at < some.length; at += size) this.#track(this.#deliver(target, some.slice(at, at + size)))
      }
    }
  }

  async #deliver(target: MessageTarget, rows: readonly SimulatedRow[]): Promise<void> {
    const body = this.#message(target, rows)
    const { pause_ms = 30_000, tries_max = 8 } = target
    for (let attempt = 0; attempt < tries_max; attempt++) {
      if (attempt > 0) await sleep(pause_ms * 2 ** (attempt - 1), undefined, { signal: this.#closing.signal })
      this.sent++
      const headers = { 'content-type': 'text/xml; charset=utf-8', soapaction: '""' }
      const answer = await fetch(target.url, { method: 'POST', body, headers, signal: this.#closing.signal }).catch(
        () => null,
      )
      const text = (await answer?.text().catch(() => '')) ?? ''
      if (answer?.status === 200 && /<(\w+:)?Ack>\s*true\s*<\/(\w+:)?Ack>/.test(text)) {
        this.acknowledged++
        return
      }
    }
  }

  #message({ organizationId }: MessageTarget, rows: readonly SimulatedRow[]): string {
    const notifications = rows.map(({ Id, object, values }) =>
      [
        `<Notification><Id>04l${String(++this.#count).padStart(12, '0')}AAA</Id>`,
        `<sObject xsi:type="sf:${object}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">`,
        `<sf:Id>${Id}</sf:Id><sf:LastName>${escaped(String(values.get('LastName')))}</sf:LastName>`,
        '</sObject></Notification>',
      ].join(''),
    )
    return [
      '<?xml version="1.0" encoding="UTF-8"?>',
      '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">',
      '<soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound">',
      `<OrganizationId>${organizationId}</OrganizationId><ActionId>04kKith00000001AAA</ActionId><SessionId xsi:nil="true"/>`,
      '<EnterpriseUrl>https://example.my.salesforce.com/services/Soap/c/62.0</EnterpriseUrl>',
      '<PartnerUrl>https://example.my.salesforce.com/services/Soap/u/62.0</PartnerUrl>',
      ...notifications,
      '</notifications></soapenv:Body></soapenv:Envelope>',
    ].join('')
  }
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
