import { z } from 'zod'
import type { HookState } from '../subscriptions.ts'
import { FailureDocument, failureDocument } from './common.ts'

/** How the webhooks of one connection stand. */
export const HookDocument = z
  .object({
    connection: z.string(),
    app: z.string(),
    url: z.string().nullable().describe('Where they are to be sent; null: the app sends none.'),
    subscriptions: z.array(
      z.object({
        what: z.string(),
        state: z.enum(['right', 'missing', 'wrong']),
        detail: z.string().optional(),
        did: z.enum(['created', 'repaired']).optional(),
      }),
    ),
    byHand: z.array(z.string()).describe('What is left for a human to do, one step each.'),
    failure: FailureDocument.nullable(),
  })
  .meta({ id: 'Hook' })

export function hookDocument(state: HookState): z.infer<typeof HookDocument> {
  const { connection, app, url, subscriptions, byHand, failure } = state
  return {
    connection,
    app,
    url,
    subscriptions: subscriptions.map((one) => ({ ...one })),
    byHand: [...byHand],
    failure: failure && failureDocument(failure),
  }
}
