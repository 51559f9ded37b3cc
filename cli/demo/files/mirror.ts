import { watch, type FSWatcher } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CardDavSimulator } from '../../../connectors/carddav/simulator.ts'

const LOOK_MS = 100
/** Editors that save by removing and renaming leave a file away for a moment. */
const ABSENT_MS = 500

/**
 * The server's cards as files, both ways: whoever has no CardDAV program at hand edits them with a text editor. It stands
 * for the disk of the server; Kith knows nothing of it and sees the server only.
 */
export class Mirror {
  readonly #server: CardDavSimulator
  readonly #folder: string
  /** What each file says, as far as is known: a file that says otherwise was edited. */
  readonly #texts = new Map<string, string>()
  readonly #edited = new Map<string, number>()
  #watcher: FSWatcher | undefined
  #timer: NodeJS.Timeout | undefined
  #turn: Promise<void> = Promise.resolve()

  static async start(server: CardDavSimulator, folder: string): Promise<Mirror> {
    const mirror = new Mirror(server, folder)
    await mirror.flush()
    mirror.#watcher = watch(folder, { persistent: false }, (_event, name) => {
      if (name?.endsWith('.vcf') && !name.startsWith('.') && !mirror.#edited.has(name)) {
        mirror.#edited.set(name, Date.now())
      }
    })
    mirror.#watcher.on('error', () => undefined)
    mirror.#timer = setInterval(() => void mirror.flush().catch(() => undefined), LOOK_MS)
    mirror.#timer.unref()
    return mirror
  }

  private constructor(server: CardDavSimulator, folder: string) {
    this.#server = server
    this.#folder = folder
  }

  /** Takes edited files to the server, and writes what the server has that is new. */
  async flush(): Promise<void> {
    this.#turn = this.#turn.catch(() => undefined).then(() => this.#look())
    await this.#turn
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#watcher?.close()
    await this.flush()
  }

  async #look(): Promise<void> {
    for (const [name, seen_ms] of this.#edited) await this.#take(name, seen_ms)
    for (const [name, { text }] of this.#server.cards) {
      if (this.#texts.get(name) === text) continue
      this.#texts.set(name, text)
      const path = join(this.#folder, name)
      await writeFile(`${path}.saving`, text)
      await rename(`${path}.saving`, path)
    }
    for (const name of this.#texts.keys()) {
      if (this.#server.cards.has(name)) continue
      this.#texts.delete(name)
      await rm(join(this.#folder, name), { force: true })
    }
  }

  async #take(name: string, seen_ms: number): Promise<void> {
    const text = await readFile(join(this.#folder, name), 'utf8').catch(() => null)
    if (text === null && this.#texts.has(name) && Date.now() - seen_ms < ABSENT_MS) return
    this.#edited.delete(name)
    if (text === null) {
      if (this.#texts.delete(name)) this.#server.remove(name)
      return
    }
    // Half a card is an editor in the middle of saving: its end is another event.
    if (text === this.#texts.get(name) || !/END:VCARD\s*$/i.test(text)) return
    this.#texts.set(name, text)
    this.#server.put(name, text)
  }
}
