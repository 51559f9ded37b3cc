import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, RawServerDefault } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Daemon } from '../../workers/daemon.ts'
import type { Household } from '../../workers/household.ts'
import type { Runtime } from '../../workers/runtime.ts'
import { notFound, ProblemError } from './problems.ts'

/** The API's scope of the server: schemas are zod's. */
export type Api = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>

/** The routes of one capability. */
export type ApiRoutes = (api: Api, house: House) => void

/** What routes work on. */
export interface House {
  readonly household: Household
  /** The workers of this process. @throws ProblemError 503 until they have started */
  readonly daemon: () => Daemon
}

/** @throws ProblemError 503 until the workers have started */
export function runtimeOf({ daemon }: House): Runtime {
  return daemon().runtime
}

/** What every act must say besides what it does. */
export const ActBody = z.strictObject({
  why: z.string().trim().min(1).max(2000).describe('Why, for the record.'),
  onBehalfOf: z
    .string()
    .trim()
    .min(1)
    .max(200)
    .optional()
    .describe('Who has decided it, where the token is that of a program many people use.'),
})

/** Who acts, and why, as it is recorded. */
export function actorOf(
  { access }: Pick<FastifyRequest, 'access'>,
  { why, onBehalfOf }: z.infer<typeof ActBody>,
): { readonly by: string; readonly why: string } {
  if (access === null) throw new ProblemError(401, 'a token is missing')
  return { by: onBehalfOf === undefined ? access.name : `${onBehalfOf} (${access.name})`, why }
}

export const ConnectionParams = z.object({ connection: z.string().describe('The name of a connection in kith.yaml.') })

/** @throws ProblemError 404 */
export function knownConnection({ household }: House, name: string): string {
  const names = household.config.connections.map((one) => one.name)
  if (!names.includes(name)) {
    throw notFound(`there is no connection named ${name}`, `The config has: ${names.join(', ')}.`)
  }
  return name
}

/** How many items of a list are answered. */
export const Limit = z.coerce.number().int().min(1).max(1000).default(50).describe('How many at most.')

/** The same in a body. */
export const ShownMax = z
  .int()
  .min(1)
  .max(1000)
  .default(50)
  .describe('How many of each are listed at most; all are counted.')

/** Aborted when the API is about to close: what is under way comes to an end. */
export function endingOf(api: Api): AbortSignal {
  const ending = new AbortController()
  api.addHook('preClose', async () => ending.abort())
  return ending.signal
}

/** What a request that was ended with Kith is answered. */
export function stopping(advice: string): ProblemError {
  return new ProblemError(503, 'Kith is stopping', advice)
}
