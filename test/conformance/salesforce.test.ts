import { connectSalesforce, salesforce } from '../../connectors/salesforce/index.ts'
import { startSalesforceSimulator } from '../../connectors/salesforce/simulator.ts'
import { customField } from '../../connectors/salesforce/simulator-fields.ts'
import type { SimulatedRow } from '../../connectors/salesforce/simulator-org.ts'
import type { Pacer } from '../../connectors/pacer.ts'
import type { JsonObject } from '../../engine/core/json.ts'
import type { Capabilities } from '../../engine/core/ports/connector.ts'
import { FAULTS, type World } from './harness.ts'
import { describeConnector } from './suite.ts'

const CAPABILITIES: Capabilities = {
  deletes: 'feed',
  hints: false,
  createKey: 'search',
  precondition: false,
  times: 'record',
  readBatch_max: 200,
  writeBatch_max: 200,
  writes_concurrent_max: 2,
  archive: true,
  create: true,
  delete: true,
  merge: true,
}

const TOKEN = '00D!correct-horse'
const KEY_FIELD = 'Kith_Key__c'
const DAY_MS = 24 * 60 * 60_000
const NAMES = ['Ada', 'Żółć', '李', "D'Arcy", 'محمد']
/** The limits have tests of their own. */
const unpaced: Pacer = { run: (work) => work(), cool: () => undefined }

function sample(n: number): JsonObject {
  return {
    FirstName: `${NAMES[n % NAMES.length]}`,
    LastName: n % 3 === 1 ? 'von und zu\\' : `Lovelace ${n}`,
    Remark__c: `No. ${n} "quoted"`,
    Description: n % 4 === 2 ? 'two\nlines' : null,
    Email: `person.${n}@example.org`,
    Phone: n % 2 === 0 ? `+49 30 ${1000000 + n}` : null,
    MailingStreet: n % 2 === 1 ? `${n} Main St\nRear building` : null,
    Score__c: n % 2 === 0 ? n : null,
    HasOptedOutOfEmail: n % 5 === 4,
    LeadSource: n % 4 === 3 ? 'Web' : 'Other',
  }
}

/** People who came by the web are leads here; leads call the street by another name. */
function typed(fields: JsonObject): JsonObject {
  const isLead = fields['LeadSource'] === 'Web'
  const named = Object.entries(fields).map(([name, value]) => [
    isLead && name === 'MailingStreet' ? 'Street' : name,
    value,
  ])
  return { ...Object.fromEntries(named), ...(isLead ? { Company: 'Acme' } : {}) } as JsonObject
}

function shown({ object, values }: SimulatedRow): JsonObject {
  const street = object === 'Lead' ? 'Street' : 'MailingStreet'
  const names = ['FirstName', 'LastName', 'Remark__c', 'Description', 'Email', 'Phone', 'HasOptedOutOfEmail']
  return {
    ...Object.fromEntries(names.map((name) => [name, values.get(name) ?? null])),
    MailingStreet: values.get(street) ?? null,
  }
}

async function start(options: object, keyField: string | undefined, pagesOf: number): Promise<World> {
  let ahead_ms = 0
  const now = (): number => Date.now() + ahead_ms
  const simulator = await startSalesforceSimulator({
    accessToken: TOKEN,
    now,
    ...(keyField === undefined ? {} : { keyField }),
    custom: [customField('Remark__c', 'string', 255), customField('Score__c', 'double', 0)],
  })
  const { org, faults } = simulator
  faults.page_max = pagesOf
  return {
    connector: connectSalesforce(
      salesforce.options.parse({ accessToken: TOKEN, instanceUrl: simulator.url, usageMax: 1, keyField, ...options }),
      { connection: 'crm', baseDir: '.', now, pacer: unpaced },
      { retries_max: 0 },
    ),
    human: {
      add: (fields) => org.create(fields['LeadSource'] === 'Web' ? 'Lead' : 'Contact', typed(fields)).Id,
      edit: (id, fields) => void org.update(id, fields),
      remove: (id) => org.remove(id),
      merge: (loser, winner) => org.merge(loser, winner),
      list: () => org.living().map((row) => ({ id: row.Id, fields: shown(row) })),
    },
    faults: {
      loseNextAnswer: () => void (faults.lostAnswers = 1),
      rateLimit: (retryAfter_ms) => {
        const retry = retryAfter_ms === undefined ? {} : { retryAfter: String(retryAfter_ms / 1000) }
        const message = 'ConcurrentRequests (Concurrent API Requests) Limit exceeded.'
        faults.fail = { status: 403, times: 1, errorCode: 'REQUEST_LIMIT_EXCEEDED', message, ...retry }
      },
      serverError: () => void (faults.fail = { status: 500, times: 1 }),
      partialFailure: () => void (faults.partial = true),
      refuseCredentials: () => void (faults.revoked = true),
      // Nothing expires a cursor but its age: the recycle bin is emptied after 15 days.
      expireCursor: () => void (ahead_ms += 16 * DAY_MS),
      truncateListing: () => void (faults.cut = 0.5),
      breakRecord: (id) => {
        faults.unreadable.add(id)
        org.touchBySystem(id)
        return () => {
          faults.unreadable.delete(id)
          org.touchBySystem(id)
        }
      },
    },
    clear: () => void Object.assign(faults, { lostAnswers: 0, fail: null, cut: null, revoked: false, partial: false }),
    calls: () => simulator.traffic.length,
    stop: () => simulator.close(),
  }
}

const orgs: readonly (readonly [string, object, string | undefined])[] = [
  ['contacts and leads', {}, undefined],
  ['leads first, with a field for the key', { objects: ['lead', 'contact'] }, KEY_FIELD],
]

for (const [name, options, keyField] of orgs) {
  describeConnector(`salesforce (${name})`, {
    capabilities: { ...CAPABILITIES, createKey: keyField === undefined ? 'search' : 'id' },
    faults: FAULTS,
    start: () => start(options, keyField, 100),
    sample,
    editable: 'Remark__c',
    bystander: 'FirstName',
    multiline: 'Description',
    refused: () => ({ ...sample(1), Email: 'no address at all', Remark__c: 'a private word' }),
    merges: true,
    many: 250,
    secrets: [TOKEN],
  })
}
