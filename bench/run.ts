import { route } from './route.ts'
import { printFinding } from './report.ts'
console.log(printFinding(await route({ people: 5000, runs: 3, stages: true })))
process.exit(0)
