import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Certificate } from '../engine/core/erasure.ts'

/**
 * Writes a certificate into its folder, whole or not at all.
 * @returns the file's path
 */
export async function writeCertificate(folder: string, certificate: Certificate): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = certificatePath(folder, certificate.erasure)
  const part = `${path}.part`
  await writeFile(part, `${JSON.stringify(certificate, null, 2)}\n`, { mode: 0o600 })
  await rename(part, path)
  return path
}

export function certificatePath(folder: string, erasure: string): string {
  return join(folder, `erasure-${erasure}.json`)
}
