import { timingSafeEqual } from 'node:crypto'
import { XMLParser } from 'fast-xml-parser'
import { z } from 'zod'
import type { HookAnswer, HookRequest, Webhook } from '../app.ts'
import { objectOf } from './fields.ts'

/** One message holds at most 100 notifications, says the vendor. */
const NOTIFICATIONS_MAX = 100

/** The answer without which Salesforce sends again, for a day. */
const ACK = [
  '<?xml version="1.0" encoding="UTF-8"?>',
  '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>',
  '<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>',
  '</soapenv:Body></soapenv:Envelope>',
].join('')

/** Texts only, no entities beyond the five, no attributes: of the message nothing but ids is read. */
const parser = new XMLParser({
  ignoreAttributes: true,
  removeNSPrefix: true,
  parseTagValue: false,
  processEntities: false,
  isArray: (name) => name === 'Notification',
})

const Message = z.object({
  Envelope: z.object({
    Body: z.object({
      notifications: z.object({
        OrganizationId: z.string(),
        Notification: z
          .array(z.object({ Id: z.string().min(1), sObject: z.object({ Id: z.string().min(1) }) }))
          .min(1)
          .max(NOTIFICATIONS_MAX),
      }),
    }),
  }),
})

export interface HookOptions {
  /** The org's id, in 15 or 18 characters. */
  readonly organizationId: string
  /** The secret at the end of the address: `/hooks/crm/<token>`. */
  readonly token: string
}

/**
 * Salesforce's outbound messages. They are not signed: what tells them from forged ones is the secret in the address, and the id of
 * the org in the message. They bring fields along, which are not read: the cursor finds what changed.
 */
export function salesforceWebhook({ organizationId, token }: HookOptions): Webhook {
  return {
    receive(request) {
      if (request.method.toUpperCase() !== 'POST') return refuse(405, 'it is no POST')
      if (!isSame(tokenOf(request), token)) return refuse(401, 'the token in its address is wrong')
      const message = messageIn(request.body)
      if (!message) return refuse(400, 'the body is no outbound message')
      const { OrganizationId, Notification } = message.Envelope.Body.notifications
      // The last three characters only repeat, as a checksum, the case of the others.
      if (!isSame(OrganizationId.slice(0, 15), organizationId.slice(0, 15))) return refuse(401, 'it is of another org')
      const ours = Notification.filter(({ sObject }) => objectOf(sObject.Id) !== undefined)
      return {
        status: 200,
        headers: { 'content-type': 'text/xml; charset=utf-8' },
        body: ACK,
        announces: ours.length > 0 ? { records: [...new Set(ours.map(({ sObject }) => sObject.Id))] } : null,
        eventIds: ours.map(({ Id }) => Id),
      }
    },
  }
}

function tokenOf({ url }: HookRequest): string {
  return URL.canParse(url) ? (new URL(url).pathname.split('/').at(-1) ?? '') : ''
}

function messageIn(body: Uint8Array): z.infer<typeof Message> | null {
  try {
    const parsed = Message.safeParse(parser.parse(Buffer.from(body).toString('utf8')))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}

/** In constant time; the length of the right one is no secret. */
function isSame(given: string, right: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(right)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function refuse(status: number, refused: string): HookAnswer {
  return { status, announces: null, eventIds: [], refused: `Salesforce outbound message refused: ${refused}` }
}
