import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Certificate } from '../engine/core/erasure.ts'
import type { Runtime } from './runtime.ts'

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

/** A copy beside the data: the store has the certificate whatever becomes of it. */
export async function keepCopy(
  { keepCertificate, log }: Pick<Runtime, 'keepCertificate' | 'log'>,
  certificate: Certificate,
): Promise<void> {
  try {
    await keepCertificate?.(certificate)
  } catch (error) {
    log.warn('the file of a certificate could not be written', {
      erasure: certificate.erasure,
      error: error instanceof Error ? error.name : 'unknown',
    })
  }
}

/** A file that lies where certificates do, and is none. The message names the file, and holds no personal value. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError'
}

const CertificateFile = z.object({
  erasure: z.string().min(1),
  opened: z.iso.datetime(),
  closed: z.iso.datetime(),
  by: z.string(),
  records: z.array(
    z.object({
      connection: z.string(),
      record: z.string(),
      outcome: z.enum(['erased', 'deleted', 'gone', 'waived']),
      at: z.iso.datetime(),
    }),
  ),
  barred: z.array(z.string().regex(/^[0-9a-f]{64}$/)),
  purged: z.record(z.string(), z.int()),
  lifted: z.iso.datetime().optional(),
})

/**
 * Every certificate in a folder, in the order of their names; none where there is no such folder.
 * @throws CertificateError for one that cannot be read: whoever it is of would come back unseen
 */
export async function readCertificates(folder: string): Promise<Certificate[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return []
    throw new CertificateError(`${folder} cannot be read (${error.code ?? 'unknown'})`)
  })
  const files = names.filter((name) => /^erasure-.*\.json$/.test(name)).sort()
  return Promise.all(files.map((name) => readCertificate(join(folder, name))))
}

async function readCertificate(path: string): Promise<Certificate> {
  try {
    const { lifted, ...rest } = CertificateFile.parse(JSON.parse(await readFile(path, 'utf8')))
    return { ...rest, ...(lifted === undefined ? {} : { lifted }) }
  } catch {
    throw new CertificateError(`${path} is no certificate of an erasure, or is damaged`)
  }
}

/** Those that bar somebody still, each once. A lifted one says so. */
export function standing(certificates: readonly Certificate[]): Certificate[] {
  const lifted = new Set(certificates.flatMap((one) => (one.lifted === undefined ? [] : [one.erasure])))
  const byId = new Map(certificates.map((one) => [one.erasure, one]))
  return [...byId.values()].filter(({ erasure }) => !lifted.has(erasure))
}
