import { CHANNELS, type Channel } from '../engine/core/consent.ts'
import type { ConsentSpec, FieldMapping, Mapping } from './schema.ts'

/** The mapping of the whole name by one text, and the fields that stand for it. */
export const NAME_GROUP = 'name'

type FieldSpec = Extract<FieldMapping, { app: unknown } | { slots: unknown }>

/** A line of the mapping being compiled. */
export interface Line {
  readonly name: string
  readonly spec: FieldSpec
  readonly optional: boolean
  readonly path: readonly (string | number)[]
}

/** The lines of a mapping, shorthands written out. */
export function linesOf({ fields, optional: all }: Mapping): Line[] {
  return Object.entries(fields).flatMap(([name, value]) => {
    if (value === false) return []
    const spec: FieldSpec = typeof value === 'string' || Array.isArray(value) ? { app: value } : value
    return [{ name, spec, optional: spec.optional ?? all ?? false, path: ['fields', name] }]
  })
}

/**
 * Lines that must be there have the first choice of app fields. The whole name comes after its parts, which make it needless,
 * and the display name last, because it is read in the light of all others.
 */
export function inOrder(lines: readonly Line[]): Line[] {
  const rank = ({ name, optional }: Line): number =>
    (name === 'name.display' ? 4 : name === NAME_GROUP ? 2 : 0) + (optional ? 1 : 0)
  return [...lines].sort((a, b) => rank(a) - rank(b))
}

/** The consent fields of a mapping, in the order of their channels. */
export function consentLinesOf({ consent = {} }: Mapping): {
  readonly channel: Channel
  readonly spec: ConsentSpec
  readonly path: readonly (string | number)[]
}[] {
  return CHANNELS.flatMap((channel) => {
    const value = consent[channel]
    if (!value) return []
    return Array.isArray(value)
      ? value.map((spec, index) => ({ channel, spec, path: ['consent', channel, index] }))
      : [{ channel, spec: value, path: ['consent', channel] }]
  })
}
