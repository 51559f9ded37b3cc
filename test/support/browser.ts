import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium, type Browser } from 'playwright-core'

/** Debian's browser, or the one that the environment names; null where there is none. */
export const CHROMIUM: string | null =
  process.env['KITH_TEST_CHROMIUM'] ??
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .flatMap((folder) => [join(folder, 'chromium'), join(folder, 'chromium-browser')])
    .find((file) => existsSync(file)) ??
  null

/** A browser without windows that speaks to nobody but the page. */
export function openBrowser(): Promise<Browser> {
  if (CHROMIUM === null) throw new Error('there is no chromium here')
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}
