import { join } from 'node:path'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { ADMIN_READ_MS_MAX } from '../../config/limits.ts'
import { backUp, backupName, FileThereError } from '../../workers/backup.ts'
import { backupStanding } from '../../workers/backup-clock.ts'
import { BackupError } from '../../workers/backup-file.ts'
import { backupsIn, isBackupName } from '../../workers/backup-folder.ts'
import type { Preview } from '../../workers/bring-back.ts'
import {
  BackupDocument,
  backupDocument,
  BackupsDocument,
  backupsDocument,
  faultyDocument,
  VerifiedDocument,
  verifiedDocument,
} from '../../workers/documents/backup.ts'
import { BroughtBackDocument, broughtBackDocument, RestoreDocument } from '../../workers/documents/restore.ts'
import { readNow } from '../../workers/read-now.ts'
import { previewRestoreTo, restoreTo, type RestoreToWish } from '../../workers/restore-to.ts'
import { verifyBackup } from '../../workers/restore.ts'
import { Seen } from '../../workers/seen.ts'
import { fieldsOf } from './pauses.ts'
import { LongLooks } from './long-looks.ts'
import { notFound, ProblemError } from './problems.ts'
import {
  ActBody,
  actorOf,
  ConnectionParams,
  endingOf,
  knownConnection,
  Limit,
  runtimeOf,
  ShownMax,
  stopping,
  type ApiRoutes,
  type House,
} from './route.ts'

const tags = ['Backups']

const FileName = z
  .string()
  .min(1)
  .max(120)
  .describe('The name of a file in the folder of backups, as GET /backups lists it.')

const Wish = z.strictObject({
  file: FileName,
  fields: z.array(z.string()).min(1).optional().describe('Only these fields; nobody is created again then.'),
  people: z
    .array(z.string().min(1).max(200))
    .min(1)
    .optional()
    .describe('Only these people: ids, whole names, addresses or numbers, as they were then.'),
  overEdits: z.boolean().default(false).describe('Also take back what others than this connection have changed since.'),
})

/** A restore goes on where it was ended: what is as it was already is not done twice. */
const LEFT = 'No file half made is left. Ask again when Kith is back.'

const WHOLE =
  'Brings the records of one connection back to a backup. A whole backup is put back into an empty Kith from the command line alone: ' +
  'kith restore.'

export const backupRoutes: ApiRoutes = (api, house) => {
  const { household } = house
  const { config, databaseUrl } = household
  const ending = endingOf(api)
  const long = new LongLooks(api)
  api.get(
    '/backups',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'The backups in the folder that the config names, and how the scheduled ones stand.',
        querystring: z.strictObject({ limit: Limit }),
        response: { 200: BackupsDocument },
      },
    },
    async ({ query: { limit } }) => {
      const files = config.backup === null ? [] : await backupsIn(config.backup.folder)
      return backupsDocument(config.backup, await backupStanding(household), files, limit)
    },
  )
  api.post(
    '/backups',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: 'Makes a backup in the folder that the config names. Answers when it is whole.',
        body: z.strictObject({
          file: z
            .string()
            .max(120)
            .optional()
            .describe('Its name, ending in .backup.gz; otherwise one is made of the time.'),
        }),
        response: { 201: BackupDocument },
      },
    },
    async ({ body }, reply) => {
      const folder = folderOf(house)
      const name = body.file ?? backupName(Date.now())
      if (!isBackupName(name)) {
        const advice =
          'Letters, digits, dots and dashes, ending in .backup.gz; not kith-auto-..., which are deleted in turn.'
        throw new ProblemError(400, '/file: this is no name for a backup', advice)
      }
      const made = await long.act('backup', LEFT, (signal) =>
        backUp(household, join(folder, name), { signal }).catch((error: unknown) => {
          throw whyNot(error, signal)
        }),
      )
      return reply.code(201).send(backupDocument(made, name))
    },
  )
  api.post(
    '/backups/:file/verify',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary:
          'Proves that a backup restores: reads it whole, and restores it into a database that is dropped afterwards.',
        params: z.object({ file: FileName }),
        body: z.strictObject({}),
        response: { 200: VerifiedDocument },
      },
    },
    async ({ params }) => {
      const path = await pathOf(house, params.file)
      return long.act('backup', LEFT, async (signal) => {
        try {
          return verifiedDocument(params.file, await verifyBackup(path, databaseUrl, { signal }))
        } catch (error) {
          if (!(error instanceof BackupError)) throw whyNot(error, signal)
          return faultyDocument(params.file, error.fault, reasonOf(error, path, params.file))
        }
      })
    },
  )
  api.post(
    '/connections/:connection/restore/preview',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'Shows what would become again what it was, what would be left, and what would be written where.',
        description: WHOLE,
        params: ConnectionParams,
        body: Wish.extend({ limit: ShownMax }),
        response: {
          200: RestoreDocument.extend({
            more: z.boolean().describe('There are more people than are listed.'),
            seen: z.string().describe('Names what was shown to POST /connections/{connection}/restore.'),
          }),
        },
      },
    },
    async ({ params, body }) => {
      const wish = await wishOf(house, params.connection, body)
      // What people did there a moment ago, and is not known yet, cannot be brought back.
      await readNow(house.daemon(), wish.connection, ADMIN_READ_MS_MAX)
      const shown = await preview(house, wish, body.limit, ending)
      return { ...shown.document(null), more: shown.more, seen: shown.seen }
    },
  )
  api.post(
    '/connections/:connection/restore',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary: "Brings a connection's records back to a backup, as one act. All writes then wait behind a brake.",
        description: WHOLE,
        params: ConnectionParams,
        body: ActBody.extend({ ...Wish.shape, seen: z.string().describe('What the preview answered as `seen`.') }),
        response: { 200: RestoreDocument.omit({ people: true }) },
      },
    },
    async (request) => long.act('restore', LEFT, (signal) => restore(house, request, request.body, signal)),
  )
}

async function restore(
  house: House,
  request: Pick<FastifyRequest, 'access' | 'params'>,
  body: z.infer<typeof Wish> & z.infer<typeof ActBody> & { readonly seen: string },
  signal: AbortSignal,
): Promise<Omit<z.infer<typeof RestoreDocument>, 'people'>> {
  const { connection } = request.params as z.infer<typeof ConnectionParams>
  const wish = await wishOf(house, connection, body)
  const shown = await preview(house, wish, 0, signal)
  if (shown.seen !== body.seen) {
    const advice = 'Look at it again: POST /connections/{connection}/restore/preview.'
    throw new ProblemError(409, 'it would bring back something else by now', advice)
  }
  const { writes, left } = shown.document(null)
  if (shown.nothing) return { act: null, values: 0, created: 0, left, writes }
  try {
    const done = await restoreTo(runtimeOf(house), wish, actorOf(request, body), { signal })
    return { act: done.act, values: done.values, created: done.created, left: done.left, writes }
  } catch (error) {
    throw whyNot(error, signal)
  }
}

async function preview(house: House, wish: RestoreToWish, limit: number, signal: AbortSignal): Promise<Shown> {
  const shown = new Shown(limit)
  try {
    for await (const one of previewRestoreTo(runtimeOf(house), wish, { signal })) shown.add(one)
  } catch (error) {
    if (!(error instanceof BackupError)) throw whyNot(error, signal)
    const name = wish.file.replace(/^.*[\\/]/, '')
    throw new ProblemError(409, reasonOf(error, wish.file, name))
  }
  return shown
}

/** What a preview has shown so far: all of it counts, and some of it is listed. */
class Shown {
  readonly #limit: number
  readonly #people: z.infer<typeof BroughtBackDocument>[] = []
  readonly #writes = new Map<string, number>()
  readonly #hash = new Seen()
  #seen: string | undefined
  #records = 0
  #sums = { values: 0, created: 0, left: 0 }

  constructor(limit: number) {
    this.#limit = limit
  }

  add(one: Preview): void {
    const { personId, recordId, back, left, again, reason } = one.part
    this.#records++
    this.#sums.values += back.length
    this.#sums.created += again.length
    this.#sums.left += left.length + (reason === undefined ? 0 : 1)
    this.#hash.add([personId, recordId, back.map(({ cell, now, was }) => [cell, now, was]), again])
    for (const { connection, op, fields } of one.writes) {
      this.#hash.add([connection, op, fields])
      const key = `${connection}: ${op}`
      this.#writes.set(key, (this.#writes.get(key) ?? 0) + 1)
    }
    if (this.#people.length < this.#limit) this.#people.push(broughtBackDocument(one))
  }

  get nothing(): boolean {
    return this.#sums.values + this.#sums.created === 0
  }

  get more(): boolean {
    return this.#records > this.#limit
  }

  get seen(): string {
    return (this.#seen ??= this.#hash.end())
  }

  document(act: string | null): z.infer<typeof RestoreDocument> {
    return { act, ...this.#sums, writes: Object.fromEntries(this.#writes), people: this.#people }
  }
}

async function wishOf(house: House, name: string, wish: z.infer<typeof Wish>): Promise<RestoreToWish> {
  const connection = knownConnection(house, name)
  const { file, fields, people, overEdits } = wish
  return {
    file: await pathOf(house, file),
    connection,
    fields: fields === undefined ? null : fieldsOf(house.household, fields),
    people: people ?? null,
    overEdits,
  }
}

function folderOf({ household: { config } }: House): string {
  if (config.backup) return config.backup.folder
  throw new ProblemError(
    409,
    'the config names no folder for backups',
    'Add a section backup: to kith.yaml, then start Kith again.',
  )
}

/** Only what is listed is there: a name that leads elsewhere is in no list. @throws ProblemError 404 */
async function pathOf(house: House, name: string): Promise<string> {
  const folder = folderOf(house)
  const found = (await backupsIn(folder)).find((file) => file.name === name)
  if (!found) throw notFound('there is no such backup', 'See GET /backups.')
  return join(folder, found.name)
}

/** The folder is the operator's to know: a file is told by its name. */
function reasonOf({ message }: BackupError, path: string, name: string): string {
  return message.replaceAll(path, name)
}

function whyNot(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return stopping(LEFT)
  if (error instanceof FileThereError)
    return new ProblemError(409, 'there is a backup of that name already', 'Choose another name.')
  const { code } = Object(error) as { code?: unknown }
  if (typeof code !== 'string' || !/^E[A-Z]+$/.test(code)) return error
  return new ProblemError(
    409,
    `the folder of backups cannot be written to (${code})`,
    'Look at the folder and the disk.',
  )
}
