import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { RequestRefusal, RowRefusal, type SimulatedOrg } from './simulator-org.ts'

/** The SOAP API of a simulated org, as far as it goes: merge(). Names and order of the elements are the partner WSDL's. */

const LOSERS_MAX = 2
const REQUESTS_MAX = 200

interface MergeRequest {
  readonly masterRecord?: { readonly type?: string; readonly Id?: string }
  readonly recordToMergeIds?: readonly string[]
}

interface Envelope {
  readonly Envelope?: {
    readonly Header?: { readonly SessionHeader?: { readonly sessionId?: string } }
    readonly Body?: { readonly merge?: { readonly request?: readonly MergeRequest[] } }
  }
}

const parser = new XMLParser({
  ignoreAttributes: true,
  removeNSPrefix: true,
  parseTagValue: false,
  isArray: (name) => name === 'request' || name === 'recordToMergeIds',
})

export interface SoapAnswer {
  readonly status: number
  readonly xml: string
}

/** Whom a call is from. */
export function sessionIn(text: string): string {
  return envelopeIn(text)?.Envelope?.Header?.SessionHeader?.sessionId ?? ''
}

/** @param refuses the error code that the next merges are refused with, each for itself */
export function soapAnswer(org: SimulatedOrg, text: string, refuses: string | null): SoapAnswer {
  const requests = envelopeIn(text)?.Envelope?.Body?.merge?.request
  // Who does not name the partner API's namespaces is not understood.
  const isPartner =
    text.includes('"urn:partner.soap.sforce.com"') && text.includes('"urn:sobject.partner.soap.sforce.com"')
  if (!requests || !isPartner) return soapFault('MALFORMED_QUERY', 'No operation available for request')
  if (requests.length > REQUESTS_MAX) return soapFault('LIMIT_EXCEEDED', 'too many merge requests')
  try {
    const results = requests.map((request) => resultOf(org, request, refuses))
    return { status: 200, xml: envelope(`<mergeResponse>${results.join('')}</mergeResponse>`) }
  } catch (error) {
    if (error instanceof RequestRefusal) return soapFault(error.errorCode, error.message)
    throw error
  }
}

export function soapFault(code: string, message: string): SoapAnswer {
  const fault = `<soapenv:Fault><faultcode>sf:${code}</faultcode><faultstring>${code}: ${escaped(message)}</faultstring></soapenv:Fault>`
  return { status: 500, xml: envelope(fault) }
}

function resultOf(
  org: SimulatedOrg,
  { masterRecord, recordToMergeIds = [] }: MergeRequest,
  refuses: string | null,
): string {
  const { type = '', Id: master = '' } = masterRecord ?? {}
  if (type !== 'Contact' && type !== 'Lead') {
    throw new RequestRefusal('INVALID_TYPE_FOR_OPERATION', 'entity type does not support merge')
  }
  if (recordToMergeIds.length === 0 || recordToMergeIds.length > LOSERS_MAX) {
    throw new RequestRefusal('LIMIT_EXCEEDED', 'up to three records can be merged at once')
  }
  try {
    if (refuses !== null) throw new RowRefusal(refuses, [], `${refuses} of somebody's own words`)
    org.mergeInto(type, master, recordToMergeIds)
  } catch (error) {
    if (!(error instanceof RowRefusal)) throw error
    const { statusCode, message = '' } = error.error
    return `<result><errors><message>${escaped(message)}</message><statusCode>${statusCode}</statusCode></errors><id xsi:nil="true"/><success>false</success></result>`
  }
  const merged = recordToMergeIds.map((id) => `<mergedRecordIds>${id}</mergedRecordIds>`).join('')
  return `<result><id>${master}</id>${merged}<success>true</success></result>`
}

function envelopeIn(text: string): Envelope | undefined {
  return XMLValidator.validate(text) === true ? (parser.parse(text) as Envelope) : undefined
}

function envelope(body: string): string {
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:partner.soap.sforce.com"',
    ' xmlns:sf="urn:fault.partner.soap.sforce.com" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">',
    `<soapenv:Body>${body}</soapenv:Body></soapenv:Envelope>`,
  ].join('')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
