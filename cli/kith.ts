#!/usr/bin/env -S node --max-semi-space-size=8 --heap-growing-percent=100
import module from 'node:module'

const [major = 0] = process.versions.node.split('.').map(Number)
if (major < 24) {
  process.stderr.write(
    `kith: this is Node ${process.versions.node}; Kith needs 24 or newer.\n` +
      'Run it as: npx kith (in the folder of Kith, after npm install, it brings its own Node)\n',
  )
  process.exit(1)
}
// What was compiled once is not compiled again: half of the time to start.
module.enableCompileCache?.()
// Only now: what follows is written for the Node that it needs.
const { main } = await import('./main.ts')
await main(process.argv)
