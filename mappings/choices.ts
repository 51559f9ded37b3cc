import type { MappingProblem } from './compile.ts'
import type { Line } from './mapping-lines.ts'
import type { Place } from './places.ts'
import type { TransformSpec } from './schema.ts'
import { didYouMean } from './suggest.ts'
import { transformOf } from './transforms.ts'

/** Values named in an advice. */
const SHOWN = 6

/**
 * What a `map` names that the app does not list among a field's values: mostly what people see in place of what the app stores. A
 * warning, as records may still hold values that nobody can choose any more, and some apps take others than they list.
 */
export function unlistedChoices({ name, spec, path }: Line, places: readonly Place[]): MappingProblem[] {
  const at = spec.transform === undefined ? 'each' : 'transform'
  const named = valuesNamed(spec.transform ?? spec.each)
  const options = places.flatMap(({ field }) => field?.options ?? [])
  if (named.length === 0 || options.length === 0) return []
  const values = new Set(options.map(({ value }) => value))
  return named
    .filter((value) => !values.has(value))
    .map((value) => {
      const seen = options.find(({ label }) => label?.toLowerCase() === value.toLowerCase())
      const few = [...values].slice(0, SHOWN).join(', ')
      const app = [...new Set(places.map(({ root }) => `"${root}"`))].join(' and ')
      return {
        path: [...path, at, 'map', value],
        severity: 'warning',
        message: `${name}: ${app} has no value "${value}"`,
        advice: seen
          ? `the app shows "${seen.label}" and stores "${seen.value}": write that`
          : didYouMean(value, values) || `it has ${few}${values.size > SHOWN ? ', ...' : ''}; see kith fields`,
      }
    })
}

function valuesNamed(spec: TransformSpec | undefined): string[] {
  if (spec === undefined) return []
  const { name, options } = transformOf(spec)
  return name === 'map' ? Object.keys(Object(options) as object) : []
}
