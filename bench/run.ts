import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { apiCalls } from './api-calls.ts'
import { announced } from './announced.ts'
import { books } from './books.ts'
import { coldStart } from './cold-start.ts'
import { hooks } from './hooks.ts'
import { machine } from './machine.ts'
import { peakMemory } from './peak-memory.ts'
import { printFinding, printTable, reached, type Finding } from './report.ts'
import { route } from './route.ts'

const HELP = `npm run bench -- [options]

  --only route,books,start,memory,announced,hooks,calls   these benches only
  --size 1000       cards in each address book; 10000 takes an hour or more on Radicale
  --paired          the address books hold the same cards from the start, so that 10000 are done in minutes
  --people 10000    people in the memory apps of the route, and in the Salesforce org of the calls
  --large 100000    people in the larger run of the memory bench
  --runs 3          runs of each bench, of which the median is told
  --json FILE       writes everything measured there, too

What is measured, and what was found: docs/benchmarks.md`

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    size: { type: 'string', default: '1000' },
    paired: { type: 'boolean', default: false },
    people: { type: 'string', default: '10000' },
    large: { type: 'string', default: '100000' },
    runs: { type: 'string', default: '3' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
const size = count(values.size)
const people = count(values.people)
const large = count(values.large)
const runs = count(values.runs)

const BENCHES: { readonly [name: string]: () => Promise<Finding> } = {
  route: () => route({ people, runs: Math.max(3, runs), stages: true }),
  books: () => books({ size, runs: size > 1000 ? 1 : runs, paired: values.paired }),
  start: () => coldStart({ people: 100, runs: Math.max(3, runs) }),
  memory: () => peakMemory({ sizes: [10_000, large] }),
  announced: () => announced({ people: 1000, edits: 200 }),
  calls: () => apiCalls({ people }),
  hooks: () => hooks({ people: 1000, seconds: 20, hooksPerSecond: 50 }),
}

await main()

async function main(): Promise<void> {
  if (values.help) return say(HELP)
  const chosen = values.only?.split(',') ?? Object.keys(BENCHES)
  const unknown = chosen.filter((name) => !Object.hasOwn(BENCHES, name))
  if (unknown.length > 0) throw new RangeError(`no bench named ${unknown.join(', ')}; see --help`)
  const facts = machine()
  const { versions, ...rest } = facts
  const rows = Object.entries({ ...rest, ...versions }).map(([name, value]) => [name, String(value)])
  say(printTable({ title: 'The machine', headings: ['', ''], rows }))
  const findings: Finding[] = []
  for (const name of chosen) {
    const finding = await (BENCHES[name] as () => Promise<Finding>)()
    findings.push(finding)
    say(printFinding(finding))
  }
  const goals = findings.flatMap(({ figures }) => figures).filter((figure) => figure.goal)
  say(`\n${goals.filter(reached).length} of ${goals.length} goals reached`)
  if (values.json !== undefined) {
    mkdirSync(dirname(values.json), { recursive: true })
    writeFileSync(values.json, `${JSON.stringify({ machine: facts, findings }, null, 2)}\n`)
  }
}

function count(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`${text} is no count`)
  return value
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
