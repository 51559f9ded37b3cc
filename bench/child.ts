import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'

/** The flags that `kith` is started with by its first line: what is measured is what people run. */
export const KITH_FLAGS: readonly string[] =
  readFileSync(new URL('../cli/kith.ts', import.meta.url), 'utf8')
    .split('\n')[0]
    ?.match(/(?<= )--\S+/g) ?? []

/**
 * A part of a bench in a process of its own, so that what it costs is measured by itself. The script calls {@link serve};
 * the bench starts it with {@link Child.start} and asks.
 */
export class Child {
  readonly #process: ChildProcess

  static start(script: string, flags: readonly string[] = []): Child {
    return new Child(
      fork(new URL(script, import.meta.url), [], {
        execArgv: ['--disable-warning=ExperimentalWarning', ...flags],
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      }),
    )
  }

  private constructor(process: ChildProcess) {
    this.#process = process
  }

  async ask<Answer>(question: string, about: unknown = null): Promise<Answer> {
    const ended = once(this.#process, 'exit').then(([code]) => {
      throw new Error(`the process of the bench ended with ${String(code)} at "${question}"`)
    })
    this.#process.send({ question, about })
    const [answer] = (await Promise.race([once(this.#process, 'message'), ended])) as [
      { result: Answer; error?: string },
    ]
    if (answer.error !== undefined) throw new Error(answer.error)
    return answer.result
  }

  async end(): Promise<void> {
    const ended = once(this.#process, 'exit')
    this.#process.disconnect()
    await ended
  }
}

/** Answers the questions of the bench that started this process; one at a time. Ends when the bench lets go. */
export function serve(answers: { readonly [question: string]: (about: never) => Promise<unknown> }): void {
  process.on('message', ({ question, about }: { question: string; about: never }) => {
    const answer = answers[question] ?? (() => Promise.reject(new Error(`no answer to ${question}`)))
    answer(about).then(
      (result) => process.send?.({ result: result ?? null }),
      (error: unknown) => process.send?.({ error: error instanceof Error ? error.stack : String(error) }),
    )
  })
  process.on('disconnect', () => process.exit())
}
