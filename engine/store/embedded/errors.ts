/** The database cannot be had. The message says what is wrong and what to do next; it never holds a password. */
export class DatabaseError extends Error {
  override readonly name: string = 'DatabaseError'
}

/** Somebody else owns the data folder, and the caller wanted to be its only owner. */
export class DataInUseError extends DatabaseError {
  override readonly name = 'DataInUseError'
  /** The owner's process id; null if it could not be told. */
  readonly pid: number | null

  constructor(dataDir: string, pid: number | null) {
    const who = pid === null ? 'another Kith' : `another Kith (process ${pid})`
    super(`The data in ${dataDir} are in use by ${who}. Stop it first, or choose another folder with KITH_DATA.`)
    this.pid = pid
  }
}

/**
 * Node's error code (`EACCES`), or Postgres' (`28P01`); undefined for anything else. Looks at the shape, not the class: a
 * library's error may come from another realm (jest runs tests in one of their own).
 */
export function codeOf(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}

/** An error's message, or whatever was thrown in words. */
export function messageOf(error: unknown): string {
  const message = typeof error === 'object' && error !== null && 'message' in error ? error.message : undefined
  return typeof message === 'string' ? message : String(error)
}

/** What to do about a file operation that failed in the data folder. */
export function folderError(folder: string, error: unknown): DatabaseError {
  const code = codeOf(error)
  const advice =
    code === 'EACCES' || code === 'EPERM'
      ? 'This user may not use the folder: start Kith as its owner, or choose another folder with KITH_DATA.'
      : code === 'ENOSPC' || code === 'EDQUOT'
        ? 'The disk is full: make room, or choose a folder on another disk with KITH_DATA.'
        : code === 'EROFS'
          ? 'The disk is read-only: choose a folder on another one with KITH_DATA.'
          : 'Choose another folder with KITH_DATA, or name a Postgres of your own with DATABASE_URL.'
  return new DatabaseError(`The data folder ${folder} cannot be used (${code ?? 'unknown error'}). ${advice}`, {
    cause: error,
  })
}

/** Postgres speaks the C locale here, so its words can be relied on. The first that fits is the cause. */
const CAUSES: readonly (readonly [RegExp, string])[] = [
  [/No space left on device|Disk quota exceeded/, 'The disk is full: make room and start again.'],
  [/could not bind|Address already in use/, 'The port was taken by another program: start again.'],
  [
    /database files are incompatible/,
    'The data were made by another version of Postgres: use that version of Kith, or restore from a backup.',
  ],
  [
    /invalid locale|locale .* (?:not|does not)/i,
    'The host lacks a locale: install the C.UTF-8 locale, or name a Postgres of your own with DATABASE_URL.',
  ],
  [
    /error while loading shared libraries|Library not loaded|not found \(required by/,
    'The host lacks a library of the shipped Postgres: run npm install again with install scripts allowed, or name a Postgres of your own with DATABASE_URL.',
  ],
  [
    /could not create shared memory|could not resize shared memory|out of memory|Cannot allocate memory/i,
    'The host has too little memory for Postgres: free some, or name a Postgres of your own with DATABASE_URL.',
  ],
  [
    /Permission denied|Operation not permitted|has wrong ownership|has invalid permissions/,
    'The database folder has the wrong owner or mode: give it back to the user Postgres runs as, with mode 0700.',
  ],
]

/** An error of one of Postgres' programs, from the last lines it wrote. */
export function programError(what: string, lines: readonly string[]): DatabaseError {
  const output = lines.join('\n')
  const advice = CAUSES.find(([pattern]) => pattern.test(output))?.[1]
  const last = lines.slice(-6).join(' | ')
  return new DatabaseError(
    `${what}. ${advice ?? 'Name a Postgres of your own with DATABASE_URL if this cannot be helped.'}` +
      (last === '' ? '' : ` It said: ${last}`),
  )
}
