import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/** Of what is sealed here: another way of sealing gets another one. */
const VERSION = 'k1'
const CIPHER = 'aes-256-gcm'
const IV_BYTES = 12
const TAG_BYTES = 16

interface Key {
  /** Names the key without telling anything of it: whether a text was sealed with it. */
  readonly id: string
  readonly key: Uint8Array
}

/**
 * Seals texts with AES-256-GCM: nobody reads or changes them without the key. A text is sealed for one name, and opens under
 * no other, so that rows cannot be swapped.
 */
export class Seal {
  readonly #keys: readonly [Key, ...Key[]]

  /**
   * @param secret 32 random bytes, for what is sealed from now on
   * @param old secrets of before: what was sealed with one of them still opens
   */
  constructor(secret: Uint8Array, old: readonly Uint8Array[] = []) {
    this.#keys = [keyFrom(secret), ...old.map(keyFrom)]
  }

  seal(text: string, name: string): string {
    const [{ id, key }] = this.#keys
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv(CIPHER, key, iv).setAAD(Buffer.from(name))
    const sealed = Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
    return [VERSION, id, sealed.toString('base64url')].join('.')
  }

  /** @throws SealError when no key fits, or the text is not what was sealed for this name */
  open(sealed: string, name: string): string {
    const [version, id, body = ''] = sealed.split('.')
    const fitting = version === VERSION ? this.#keys.find((key) => key.id === id) : undefined
    if (!fitting) throw new SealError('other key')
    const bytes = Buffer.from(body, 'base64url')
    try {
      const decipher = createDecipheriv(CIPHER, fitting.key, bytes.subarray(0, IV_BYTES))
        .setAAD(Buffer.from(name))
        .setAuthTag(bytes.subarray(-TAG_BYTES))
      return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]).toString('utf8')
    } catch {
      throw new SealError('broken')
    }
  }
}

/** A sealed text does not open: it was sealed with a key that is not here, or is not as it was sealed. */
export class SealError extends Error {
  override readonly name = 'SealError'
  readonly reason: 'other key' | 'broken'

  constructor(reason: 'other key' | 'broken') {
    super(`a sealed text does not open: ${reason}`)
    this.reason = reason
  }
}

/** The secret itself seals nothing: two independent values are made of it. */
function keyFrom(secret: Uint8Array): Key {
  const derived = (what: string, bytes: number): Buffer =>
    Buffer.from(hkdfSync('sha256', secret, new Uint8Array(), `kith tokens ${what}`, bytes))
  return { id: derived('id', 6).toString('base64url'), key: derived('key', 32) }
}
