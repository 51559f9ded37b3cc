import type { FastifyReply } from 'fastify'
import { ProblemError } from './problems.ts'
import { endingOf, stopping, type Api } from './route.ts'

/**
 * What goes through everybody and takes its time: of each kind one at once, so that whoever looks cannot take the place of the
 * daemon's own work. It ends early when Kith does.
 */
export class LongLooks {
  readonly #ending: AbortSignal
  readonly #underWay = new Set<string>()

  constructor(api: Api) {
    this.#ending = endingOf(api)
  }

  /**
   * Looks something up for whoever waits for it, and for nobody else.
   * @param work comes to its end when it is told to
   * @throws ProblemError 409 while there is another of that kind
   */
  async look<Result>(
    kind: string,
    reply: FastifyReply,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    return this.#one(kind, 'Ask again when Kith is back.', () => work(this.until(reply)))
  }

  /**
   * Does something that is brought to its end though whoever asked has gone.
   * @param left what to do where it was ended with Kith
   * @throws ProblemError 409 while there is another of that kind
   */
  async act<Result>(kind: string, left: string, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    return this.#one(kind, left, () => work(this.#ending))
  }

  /**
   * The same for what ends after its answer has begun.
   * @returns what says that it has ended
   * @throws ProblemError 409 while there is another of that kind
   */
  begin(kind: string): () => void {
    if (this.#underWay.has(kind)) {
      throw new ProblemError(409, `another ${kind} is under way`, 'Try again when it is done.')
    }
    this.#underWay.add(kind)
    return () => void this.#underWay.delete(kind)
  }

  /** Aborted when whoever asked has gone, or Kith is stopping. */
  until(reply: FastifyReply): AbortSignal {
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    return AbortSignal.any([this.#ending, gone.signal])
  }

  async #one<Result>(kind: string, left: string, work: () => Promise<Result>): Promise<Result> {
    const end = this.begin(kind)
    try {
      const result = await work()
      // What was ended early is no answer.
      if (this.#ending.aborted) throw stopping(left)
      return result
    } finally {
      end()
    }
  }
}
