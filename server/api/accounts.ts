import { z } from 'zod'
import { accountFields } from '../../workers/account-fields.ts'
import { checkOpen } from '../../workers/check.ts'
import { findingsOf } from '../../workers/check-findings.ts'
import { CheckDocument, checkDocument } from '../../workers/documents/check.ts'
import { FieldsDocument, fieldsDocument } from '../../workers/documents/fields.ts'
import { HookDocument, hookDocument } from '../../workers/documents/hooks.ts'
import { hookStates, syncHooks } from '../../workers/subscriptions.ts'
import { failureSentence } from '../../workers/words.ts'
import { ProblemError } from './problems.ts'
import { ActBody, actorOf, ConnectionParams, endingOf, knownConnection, runtimeOf, type ApiRoutes } from './route.ts'

const tags = ['Accounts']

const Hooks = z.object({ hooks: z.array(HookDocument) })

/** What is asked of the apps themselves: whether they answer, which fields they have, what they announce. */
export const accountRoutes: ApiRoutes = (api, house) => {
  const { household } = house
  const ending = endingOf(api)
  api.get(
    '/check',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'Tries each connection, and says what is wrong with the config and its mappings. Changes nothing.',
        description: 'The config is the one in force; a file that was edited since is read when Kith is started again.',
        response: { 200: CheckDocument },
      },
    },
    async () => checkDocument(await findingsOf(await checkOpen(household, ending))),
  )
  api.get(
    '/connections/:connection/fields',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: "The fields of a connection's account, and which of them the mapping uses. Asks the app.",
        params: ConnectionParams,
        response: { 200: FieldsDocument },
      },
    },
    async ({ params }) => {
      const name = knownConnection(house, params.connection)
      const [item] = (await checkOpen(household, ending, name)).connected
      if (!item?.report) {
        const detail = item?.failure ? failureSentence(name, item.failure) : `${name} does not answer`
        throw new ProblemError(409, detail, 'See GET /check.')
      }
      return fieldsDocument(name, item.config.app, accountFields(item.report.fields, item.rules))
    },
  )
  api.get(
    '/hooks',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'What each app announces by webhooks, and what a human must set up. Changes nothing.',
        response: { 200: Hooks },
      },
    },
    async () => {
      runtimeOf(house)
      return { hooks: (await hookStates(household, 'list', household.dataDir, ending)).map(hookDocument) }
    },
  )
  api.post(
    '/hooks/sync',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: 'Registers and repairs webhooks where the app can be told, and lists what a human must do elsewhere.',
        body: ActBody,
        response: { 200: Hooks },
      },
    },
    async (request) => {
      runtimeOf(house)
      if ((household.config.server?.publicUrl ?? null) === null) {
        const advice = 'Add server: with its publicUrl: to kith.yaml, then start Kith again.'
        throw new ProblemError(409, 'the config does not say how the apps reach Kith', advice)
      }
      const states = await syncHooks(household, actorOf(request, request.body), ending)
      return { hooks: states.map(hookDocument) }
    },
  )
}
