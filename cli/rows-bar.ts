import { Presets, SingleBar } from 'cli-progress'

const PLAIN_MS = 10_000

/** Shows how many rows of a file are done: a bar where standard error is a terminal, a line now and then where it is not. */
export class RowsBar {
  readonly #what: string
  readonly #bar: SingleBar | null
  #begun = false
  /** Counted from the first row: until then the database may have had to be started. */
  #told_ms: number | null = null

  /** @param what is done with them: `written`, `read` */
  constructor(what: string) {
    this.#what = what
    const format = ` {bar} {value}/{total} rows ${what}`
    this.#bar =
      process.stderr.isTTY === true
        ? new SingleBar(
            { format, stream: process.stderr, clearOnComplete: true, hideCursor: true },
            Presets.shades_grey,
          )
        : null
  }

  readonly show = (rows: number, total: number): void => {
    if (this.#bar) {
      if (!this.#begun) this.#bar.start(total, rows)
      this.#begun = true
      this.#bar.update(rows)
      return
    }
    this.#told_ms ??= Date.now()
    if (Date.now() - this.#told_ms > PLAIN_MS) {
      this.#told_ms = Date.now()
      process.stderr.write(`${rows.toLocaleString('en-GB')} of ${total.toLocaleString('en-GB')} rows ${this.#what}\n`)
    }
  }

  end(): void {
    this.#bar?.stop()
  }
}
