import { dirname, isAbsolute, join } from 'node:path'
import type { FieldDef } from '../engine/core/catalogue.ts'
import type { Json } from '../engine/core/json.ts'
import type { Path } from './source.ts'

/**
 * What the mapping language complains of in a mapping document that has the right shape, each at its place there: unknown
 * fields, transforms that do not fit. Handed in, since the config knows the shape of mappings only.
 */
export type CheckMapping = (
  document: Json,
  custom: readonly FieldDef[],
) => readonly { readonly path: Path; readonly message: string; readonly advice: string }[]

/** Where a file named in the config stands: beside the config, and spoken of as the config was. */
export function besideConfig(configFile: string, path: string): string {
  return isAbsolute(path) ? path : join(dirname(configFile), path)
}
