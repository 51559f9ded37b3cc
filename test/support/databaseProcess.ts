import { openDatabase, type DatabaseOptions } from '../../engine/store/embedded/database.ts'

/**
 * A process that opens a database with the options of its first argument, says so in one line of JSON, and closes it when
 * its standard input ends. It ignores Ctrl-C, as Kith does while it drains.
 */
process.on('SIGINT', () => undefined)
const write = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`)
try {
  const database = await openDatabase(JSON.parse(process.argv[2] ?? '{}') as DatabaseOptions)
  write({ owner: database.owner, url: database.url })
  process.stdin.resume()
  await new Promise((resolve) => process.stdin.once('end', resolve))
  await database.close()
  write({ closed: true })
} catch (error) {
  write({ error: error instanceof Error ? error.message : String(error) })
}
