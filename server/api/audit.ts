import { z } from 'zod'
import { NoSuchRuleError, performMending, previewMending, type Mending } from '../../workers/audit-fix.ts'
import { audit, MONTH_MS, SAMPLES, STALE_MONTHS } from '../../workers/audit.ts'
import {
  AuditDocument,
  auditDocument,
  RepairPreviewDocument,
  repairPreviewDocument,
} from '../../workers/documents/audit.ts'
import { LongLooks } from './long-looks.ts'
import { ProblemError } from './problems.ts'
import { ActBody, actorOf, knownConnection, runtimeOf, ShownMax, type ApiRoutes } from './route.ts'

const tags = ['Audit']

const Rule = z
  .string()
  .min(1)
  .optional()
  .describe('Only this rule, such as emails.malformed; all that have a repair without it.')

export const auditRoutes: ApiRoutes = (api, house) => {
  const { household } = house
  const looks = new LongLooks(api)
  api.get(
    '/audit',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'What is wrong with the data, app by app. Goes through everybody: one at a time.',
        querystring: z.strictObject({
          connection: z.string().optional().describe('Only the records of one connection.'),
          staleMonths: z.coerce
            .number()
            .int()
            .min(1)
            .max(1200)
            .default(STALE_MONTHS)
            .describe('People not changed for so long are stale.'),
          samples: z.coerce
            .number()
            .int()
            .min(0)
            .max(100)
            .default(SAMPLES)
            .describe('How many of each kind are named.'),
          values: z.stringbool().default(false).describe('Samples carry what they say.'),
          read: z.coerce
            .number()
            .int()
            .min(0)
            .max(1000)
            .default(0)
            .describe('Whole records read of each app, to find fields that no mapping reads; 0 asks no app.'),
        }),
        response: { 200: AuditDocument },
      },
    },
    async ({ query: { connection, staleMonths, samples, values, read } }, reply) => {
      const options = {
        ...(connection === undefined ? {} : { connection: knownConnection(house, connection) }),
        stale_ms: staleMonths * MONTH_MS,
        samples_max: samples,
        values,
        read_max: read,
        now_ms: Date.now(),
      }
      return looks.look('audit', reply, async (signal) => auditDocument(await audit(household, options, signal)))
    },
  )
  api.post(
    '/audit/repair/preview',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary:
          'Shows what can be repaired, and what would follow in the apps. Goes through everybody: one at a time.',
        body: z.strictObject({ rule: Rule, limit: ShownMax }),
        response: { 200: RepairPreviewDocument },
      },
    },
    async ({ body: { rule, limit } }, reply) => {
      const samples: Mending[] = []
      const tell = async (mending: Mending): Promise<void> => {
        if (samples.length < limit) samples.push(mending)
      }
      return looks.look('preview of repairs', reply, (signal) =>
        mending(async () => {
          const preview = await previewMending(household, runtimeOf(house), rule, tell, signal)
          return repairPreviewDocument(preview, samples)
        }),
      )
    },
  )
  api.post(
    '/audit/repair',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: 'Repairs what the preview showed, as one act. What follows in the apps is held until it is let go.',
        body: ActBody.extend({
          rule: Rule,
          seen: z
            .string()
            .min(1)
            .describe('The `seen` of the preview: nothing is done where there is something else to repair by now.'),
        }),
        response: {
          200: z.object({
            act: z.string().nullable().describe('What undo takes; null where there was nothing to repair.'),
            people: z.int(),
            held: z.int().describe('Writes that wait for an operator.'),
          }),
        },
      },
    },
    async (request) => {
      const { rule, seen } = request.body
      const wish = { seen, ...actorOf(request, request.body) }
      const left = 'A part of it may be repaired: see GET /acts, then preview what is left.'
      return looks.act('repair', left, (signal) =>
        mending(() => performMending(household, runtimeOf(house), rule, wish, signal)),
      )
    },
  )
}

/** @throws ProblemError 400 where the rule is none */
async function mending<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof NoSuchRuleError)) throw error
    throw new ProblemError(400, error.message, `There are: ${error.known.join(', ') || 'none'}.`)
  }
}
