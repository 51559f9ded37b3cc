import type { Diagnostic } from '../config/diagnostics.ts'
import { readSource } from '../config/read.ts'
import type { ConnectionConfig } from '../config/types.ts'
import type { Checked } from './check.ts'
import type { Connected } from './connect.ts'
import { failureSentence } from './words.ts'

/** Something found, at a place in a file where there is one. */
export type Finding = Pick<Diagnostic, 'message' | 'advice'> & Partial<Diagnostic> & { readonly connection?: string }

export interface ConnectionFindings {
  readonly app: string
  readonly answered: boolean
  readonly summary: string | null
  readonly fields: number
  /** Canonical fields of which the app cannot keep everything, and why. */
  readonly lossy: { readonly [field: string]: string }
}

/** What a check has found. */
export interface Findings {
  readonly connections: { readonly [name: string]: ConnectionFindings }
  readonly errors: readonly Finding[]
  readonly warnings: readonly Finding[]
}

/** What is to be told of a config that was checked, each thing at its place where an operator wrote it. */
export async function findingsOf({ config: { file }, warnings, connected }: Checked): Promise<Findings> {
  const found: { errors: Finding[]; warnings: Finding[] } = { errors: [], warnings: [...warnings] }
  const connections: { [name: string]: ConnectionFindings } = {}
  for (const item of connected) {
    const { name, app } = item.config
    if (item.failure) {
      const message = failureSentence(name, item.failure)
      found.errors.push({ connection: name, message, advice: '' })
    }
    for (const message of item.report?.warnings ?? []) {
      found.warnings.push({ connection: name, message: `${name}: ${message}`, advice: '' })
    }
    for (const problem of await mappingProblems(item, file)) {
      found[problem.severity === 'error' ? 'errors' : 'warnings'].push(problem.finding)
    }
    connections[name] = {
      app,
      answered: item.report !== null,
      summary: item.report?.summary ?? null,
      fields: item.rules?.lens.fields.size ?? 0,
      lossy: lossyOf(item),
    }
  }
  return { connections, ...found }
}

function lossyOf({ rules }: Connected): { [field: string]: string } {
  const lossy: { [field: string]: string } = {}
  for (const [field, { lossy: why, direction }] of rules?.lens.fields ?? []) {
    if (why !== undefined && direction !== 'in') lossy[field] = why
  }
  return lossy
}

/** What the mapping of a connection says against the account's own fields, each at its place where the operator wrote it. */
async function mappingProblems(
  { config, problems }: Connected,
  configFile: string,
): Promise<{ severity: 'error' | 'warning'; finding: Finding }[]> {
  if (problems.length === 0) return []
  const { mapping, mappingFile, name } = config
  const source =
    mapping === null || mappingFile === null ? null : (await readSource(mappingFile, {}, () => true, '')).source
  const base = isInline(config, configFile) ? ['connections', name, 'mapping'] : []
  return problems.map(({ severity, path, message, advice }) => {
    const at = [...base, ...path]
    // A line of the app's default mapping has no place in a file of the operator's.
    const own = path.length > 1 && source?.at([...base, ...path.slice(0, 2)]) !== undefined
    if (source && own) return { severity, finding: { ...source.place(at), message, advice, connection: name } }
    const where = `the default mapping of ${config.app}, ${path.join('.')}`
    return { severity, finding: { message: `${name}: ${where}: ${message}`, advice, connection: name } }
  })
}

function isInline({ mappingFile }: ConnectionConfig, configFile: string): boolean {
  return mappingFile === configFile
}
