import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { SECRET_BYTES_MAX } from './limits.ts'

/** Whether a secret is written as `file:./path`. */
export function namesFile(written: string | undefined): boolean {
  return written?.startsWith('file:') ?? false
}

/**
 * The secret in the file that `file:./path` names, without the line end that editors put there.
 * @returns the secret, or the reason why it cannot be had
 */
export async function readSecret(reference: string, baseDir: string): Promise<{ secret: string } | { reason: string }> {
  const path = resolve(baseDir, reference.slice('file:'.length))
  try {
    const { size } = await stat(path)
    if (size > SECRET_BYTES_MAX) return { reason: `is larger than ${SECRET_BYTES_MAX} bytes` }
    const secret = (await readFile(path, 'utf8')).replace(/\r?\n$/, '')
    return secret === '' ? { reason: 'is empty' } : { secret }
  } catch (error) {
    return { reason: `cannot be read (${codeOf(error)})` }
  }
}

/** The system's word for what went wrong with a file: ENOENT, EACCES. */
export function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown error'
}
