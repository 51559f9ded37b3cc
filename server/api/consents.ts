import { z } from 'zod'
import { actOnConsent, consentKeyFor, consentStory } from '../../workers/consent-acts.ts'
import { catalogueOf } from '../../workers/connect.ts'
import { Time } from '../../workers/documents/common.ts'
import { ConsentDocument, consentDocument, ConsentStateWord } from '../../workers/documents/consent.ts'
import { ProblemError } from './problems.ts'
import { ActBody, actorOf, runtimeOf, type ApiRoutes } from './route.ts'

const tags = ['Consent']

const params = z.object({
  address: z.string().max(320).describe('An e-mail address or a phone number, as an app has it.'),
})

export const consentRoutes: ApiRoutes = (api, house) => {
  const { store, config } = house.household
  /** @throws ProblemError 400 */
  const keyOf = (address: string): string => {
    const key = consentKeyFor(catalogueOf(config), address)
    if (key !== null) return key
    throw new ProblemError(400, 'that is neither an e-mail address nor a phone number', 'Write it as an app has it.')
  }
  api.get(
    '/consents/:address',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'Whether an address may be written to: who said what, when, and what stands.',
        params,
        response: { 200: ConsentDocument },
      },
    },
    async ({ params: { address } }) => consentDocument(await consentStory(store, keyOf(address))),
  )
  api.post(
    '/consents/:address',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: "Says what holds for an address. A looser state needs the person's own later opt-in.",
        params,
        body: ActBody.extend({
          state: ConsentStateWord,
          optedIn: Time.nullable().default(null).describe('When the person opted in, as you can prove it.'),
        }),
        response: { 200: ConsentDocument },
      },
    },
    async (request) => {
      const { state, optedIn } = request.body
      const key = keyOf(request.params.address)
      const optIn_ms = optedIn === null ? null : Date.parse(optedIn)
      if (optIn_ms !== null && optIn_ms > Date.now()) throw new ProblemError(400, 'optedIn is no time in the past')
      await actOnConsent(runtimeOf(house), key, { state, optIn_ms, ...actorOf(request, request.body) })
      return consentDocument(await consentStory(store, key))
    },
  )
}
