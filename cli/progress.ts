import { Presets, SingleBar } from 'cli-progress'
import { count } from './output.ts'
import type { Tally } from './tally.ts'

const PLAIN_MS = 10_000

/** Shows how far a run is: a bar where standard error is a terminal, a line now and then where it is not. */
export class Progress {
  readonly #tally: Tally
  readonly #bar: SingleBar | null
  #told_ms = Date.now()

  constructor(tally: Tally) {
    this.#tally = tally
    const format = ' {bar} {value}/{total} written, {read} read'
    this.#bar =
      process.stderr.isTTY === true
        ? new SingleBar(
            { format, stream: process.stderr, clearOnComplete: true, hideCursor: true },
            Presets.shades_grey,
          )
        : null
    this.#bar?.start(0, 0, { read: 0 })
  }

  readonly show = (): void => {
    const { planned, settled, read } = this.#tally
    if (this.#bar) {
      this.#bar.setTotal(planned)
      this.#bar.update(settled, { read })
    } else if (Date.now() - this.#told_ms > PLAIN_MS) {
      this.#told_ms = Date.now()
      process.stderr.write(`${count(read, 'record')} read, ${settled} of ${count(planned, 'write')} done\n`)
    }
  }

  end(): void {
    this.#bar?.stop()
  }
}
