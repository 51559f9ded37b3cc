import { spawn } from 'node:child_process'

/** How each system opens an address with the browser of whoever sits there. */
const OPENERS: { readonly [platform in NodeJS.Platform]?: readonly [string, ...string[]] } = {
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
  linux: ['xdg-open'],
}

/** Opens an address in the browser, where there is one. Whether it worked cannot be known: the address is shown as well. */
export function openBrowser(url: string): void {
  const [command, ...args] = OPENERS[process.platform] ?? []
  if (command === undefined) return
  const child = spawn(command, [...args, url], { stdio: 'ignore', detached: true })
  // No such program, as on a server.
  child.on('error', () => undefined)
  child.unref()
}
