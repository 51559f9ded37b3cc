import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'

/**
 * The import rule of the house. The linter knows most of it as patterns of text; here every import is resolved to the file
 * it means, so that no spelling slips through. Types count: a room that knows another's types knows the other.
 */

interface Room {
  /** The paths that belong to the room; the first room that fits is a file's. */
  readonly owns: RegExp
  /** What its files may import, besides the room itself. */
  readonly mayImport: RegExp
  /** Whether packages and Node's own modules may be imported. */
  readonly packages: boolean
  readonly because: string
}

const ROOMS: { readonly [name: string]: Room } = {
  core: {
    owns: /^engine\/core\//,
    mayImport: /^$/,
    packages: false,
    because: 'the core is pure: it imports nothing but itself',
  },
  store: {
    owns: /^engine\/store\//,
    mayImport: /^engine\/core\//,
    packages: true,
    because: 'the store stands on the core alone',
  },
  mappings: {
    owns: /^mappings\//,
    mayImport: /^engine\/core\//,
    packages: true,
    because: 'a mapping stands on the core alone',
  },
  connectors: {
    owns: /^connectors\//,
    mayImport: /^engine\/core\//,
    packages: true,
    because: 'a connector stands on the core alone',
  },
  config: {
    owns: /^config\//,
    mayImport: /^(engine\/core\/|mappings\/schema\.ts$|connectors\/app\.ts$)/,
    packages: true,
    because: 'the config knows the core, the shape of mappings and what an app is, and runs none of them',
  },
  workers: {
    owns: /^workers\//,
    mayImport: /^(engine|mappings|connectors|config)\//,
    packages: true,
    because: 'the workers join the rooms below them and know none above',
  },
  server: {
    owns: /^server\//,
    mayImport: /^(engine\/core|config|workers)\//,
    packages: true,
    because: 'the server stands on the workers',
  },
  demo: {
    owns: /^cli\/demo/,
    mayImport: /^(cli|engine\/core|config|workers|server)\/|^connectors\/[^/]+\/simulator/,
    packages: true,
    because: 'the demo stands on the workers, and may run simulators',
  },
  cli: {
    owns: /^cli\//,
    mayImport: /^(engine\/core|config|workers|server)\//,
    packages: true,
    because: 'the commands stand on the workers',
  },
  proof: {
    owns: /^(test|bench)\//,
    mayImport: /^/,
    packages: true,
    because: 'tests may import everything',
  },
}

const SIMULATOR = /^connectors\/(?:[^/]+\/)?simulator/
const RUNS_SIMULATORS = /^(test|bench)\/|^cli\/demo/

export interface Breach {
  readonly file: string
  readonly line: number
  readonly imports: string
  readonly because: string
}

/** What is wrong with the imports of one file, given by its path from the project's folder. */
export function breachesIn(file: string, text: string): Breach[] {
  const room = Object.values(ROOMS).find(({ owns }) => owns.test(file))
  if (!room) return [{ file, line: 1, imports: '', because: 'this folder is no room of the house: give it a rule' }]
  return importsOf(text).flatMap(({ specifier, line }) => {
    const because = specifier === null ? unresolvable(room) : objection(room, file, specifier)
    return because === null ? [] : [{ file, line, imports: specifier ?? '', because }]
  })
}

/** A specifier that is put together at run time may be anything: only those who may import everything write one. */
function unresolvable(room: Room): string | null {
  return room === ROOMS['proof'] ? null : 'an import that is put together at run time cannot be checked'
}

function objection(room: Room, file: string, specifier: string): string | null {
  if (!specifier.startsWith('.') && !specifier.startsWith('/')) return room.packages ? null : room.because
  const target = posix.normalize(posix.join(posix.dirname(file), specifier))
  const simulator = SIMULATOR.test(file)
  if (SIMULATOR.test(target) && !simulator && !RUNS_SIMULATORS.test(file)) {
    return 'only tests, bench and the demo run simulators'
  }
  if (simulator && dirname(target) === dirname(file) && /\/(index|client)\.ts$/.test(target)) {
    return 'a simulator that imports the client shares its mistakes'
  }
  return room.owns.test(target) || room.mayImport.test(target) ? null : room.because
}

const STATEMENT = /^[ \t]*(?:import|export)\b(?:[^'"`;]*?\bfrom)?\s*(['"])([^'"\n]+)\1/gm
const CALL = /\bimport\s*\(\s*(?:(['"])([^'"\n]+)\1\s*[,)])?/g

function importsOf(text: string): { specifier: string | null; line: number }[] {
  // Comments in place, so that lines keep their numbers.
  const code = text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/^\s*\/\/.*$/gm, '')
  return [...code.matchAll(STATEMENT), ...code.matchAll(CALL)].map((match) => ({
    specifier: match[2] ?? null,
    line: code.slice(0, match.index + match[0].length).split('\n').length,
  }))
}

const ROOM_FOLDERS = ['config', 'mappings', 'engine', 'connectors', 'workers', 'server', 'cli', 'bench', 'test']

/** Every breach in the project. */
export function breaches(project: string): Breach[] {
  return ROOM_FOLDERS.flatMap((folder) => sources(project, folder)).flatMap((file) =>
    breachesIn(file, readFileSync(join(project, file), 'utf8')),
  )
}

/** The TypeScript files of a folder, as paths from the project's; none where the folder does not exist yet. */
export function sources(project: string, folder: string): string[] {
  try {
    return readdirSync(join(project, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => posix.join(folder, name))
      .sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
