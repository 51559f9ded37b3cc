import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vdir } from '../../connectors/vdir/index.ts'
import type { JsonObject } from '../../engine/core/json.ts'
import { editCard, printCard, sampleCard, showCard } from './cards.ts'
import type { World } from './harness.ts'
import { describeConnector } from './suite.ts'

async function start(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'kith-vdir-'))
  let added = 0
  const load = (id: string): Promise<string> => readFile(join(folder, id), 'utf8')
  const save = (id: string, text: string): Promise<void> => writeFile(join(folder, id), text)
  const add = async (fields: JsonObject): Promise<string> => {
    added += 1
    const uid = `contact ${added}`
    await save(`${uid}.vcf`, printCard(uid, fields))
    return `${uid}.vcf`
  }
  return {
    connector: vdir.connect({ path: '.' }, { connection: 'phone', baseDir: folder, now: Date.now }),
    human: {
      add,
      addAll: (all) => Promise.all(all.map(add)),
      edit: async (id, fields) => save(id, editCard(await load(id), fields)),
      remove: (id) => rm(join(folder, id)),
      list: async () => {
        const names = (await readdir(folder)).filter((name) => name.endsWith('.vcf'))
        return Promise.all(names.toSorted().map(async (id) => ({ id, fields: showCard(await load(id)) })))
      },
    },
    faults: {
      breakRecord: async (id) => {
        const good = await load(id)
        await save(id, good.slice(0, 40))
        return () => save(id, good)
      },
    },
    stop: () => rm(folder, { recursive: true }),
  }
}

describeConnector('vdir', {
  capabilities: {
    deletes: 'inventory',
    hints: true,
    createKey: 'id',
    precondition: true,
    times: 'record',
    readBatch_max: 200,
    writeBatch_max: 100,
    writes_concurrent_max: 1,
    archive: false,
    create: true,
    delete: true,
  },
  faults: ['breakRecord'],
  start,
  sample: sampleCard,
  editable: 'TITLE',
  bystander: 'FN',
  multiline: 'NOTE',
  many: 1100,
  secrets: [],
})
