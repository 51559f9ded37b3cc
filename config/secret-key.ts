import { FailureError } from '../engine/core/failure.ts'
import { namesFile, readSecret } from './secrets.ts'
import type { Environment } from './source.ts'

/** The key that sign-ins are sealed with, and the keys of before, by which older ones still open. */
export interface SecretKeys {
  readonly key: Uint8Array
  readonly old: readonly Uint8Array[]
}

export const SECRET_KEY = 'KITH_SECRET_KEY'
/** Separated by commas. */
export const OLD_SECRET_KEYS = 'KITH_SECRET_KEY_OLD'

const KEY_BYTES = 32
const MAKE = 'Make one with: openssl rand -base64 32'

/**
 * The keys of the environment: 32 random bytes each, in base64 or hex, or `file:./path` of a file that holds them. Nothing is
 * made of a password: a key that can be guessed keeps nothing.
 *
 * @throws FailureError (`auth`) that says which variable is wrong and how, and nothing of its content
 */
export async function readSecretKeys(env: Environment, baseDir: string): Promise<SecretKeys> {
  const written = env[SECRET_KEY] ?? ''
  if (written === '') {
    const advice = `${MAKE}; keep it with your other secrets, and set ${SECRET_KEY} to it (or to file:./path) wherever Kith runs`
    throw refused('NO-KEY', `${SECRET_KEY} is not set, and sign-ins are sealed with it`, advice)
  }
  const old = (env[OLD_SECRET_KEYS] ?? '').split(',').filter((one) => one.trim() !== '')
  return {
    key: await keyFrom(SECRET_KEY, written.trim(), baseDir),
    old: await Promise.all(old.map((one) => keyFrom(OLD_SECRET_KEYS, one.trim(), baseDir))),
  }
}

async function keyFrom(variable: string, written: string, baseDir: string): Promise<Uint8Array> {
  let text = written
  if (namesFile(written)) {
    const found = await readSecret(written, baseDir)
    if (!('secret' in found)) {
      throw refused('BAD-KEY', `the file of ${variable} ${found.reason}`, 'Check its path and permissions.')
    }
    text = found.secret.trim()
  }
  const key = bytesOf(text)
  if (key) return key
  throw refused('BAD-KEY', `${variable} is not a key: that is ${KEY_BYTES} random bytes in base64 or hex`, MAKE)
}

/** Base64 with either alphabet, padded or not. */
function bytesOf(text: string): Uint8Array | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  const plain = text.replace(/=+$/, '')
  const bytes = /^[A-Za-z0-9+/_-]{43}$/.test(plain) ? Buffer.from(plain, 'base64') : undefined
  return bytes?.length === KEY_BYTES ? bytes : undefined
}

function refused(code: string, message: string, advice: string): FailureError {
  return new FailureError({ kind: 'auth', code, message, advice })
}
