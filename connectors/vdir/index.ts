import { resolve } from 'node:path'
import { z } from 'zod'
import type { App } from '../app.ts'
import { VdirConnector } from './connector.ts'

const options = z.strictObject({
  path: z.string().min(1).describe('The folder that holds one .vcf file per contact; relative to kith.yaml.'),
})

export type VdirOptions = z.infer<typeof options>

/** A folder with one .vcf file per contact: a phone's export, vdirsyncer, khard, Evolution. */
export const vdir: App<VdirOptions> = {
  name: 'vdir',
  title: 'Folder of vCards',
  options,
  secrets: [],
  account: ({ path }, { baseDir }) => resolve(baseDir, path),
  connect: ({ path }, { baseDir, now }) => new VdirConnector(resolve(baseDir, path), now),
}
