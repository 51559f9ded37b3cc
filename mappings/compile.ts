import { Catalogue, type FieldDef } from '../engine/core/catalogue.ts'
import type { JsonObject } from '../engine/core/json.ts'
import type { AppField } from '../engine/core/ports/connector.ts'
import type { ConsentSlot, Direction, Lens, LensField } from '../engine/core/ports/lens.ts'
import { unlistedChoices } from './choices.ts'
import { consentSlot } from './consents.ts'
import { scalarBinding, type Binding, type OpenCells } from './binding.ts'
import { lensOf } from './lens.ts'
import { elements, list, listBinding, split, type ListFormat } from './lists.ts'
import { consentLinesOf, inOrder, linesOf, NAME_GROUP, type Line } from './mapping-lines.ts'
import { NAME_PARTS } from './names.ts'
import { phoneNormaliser } from './normalise.ts'
import { displayNameBinding, fullNameBinding } from './naming.ts'
import { AppFields, overlaps, placeName, type Place } from './places.ts'
import { probe } from './probe.ts'
import type { AddressParts, Aliases, Mapping, SlotSpec, TransformSpec } from './schema.ts'
import { slotsBinding, type Slot } from './slots.ts'
import { didYouMean } from './suggest.ts'
import {
  makeTransform,
  NAME_TRANSFORMS,
  SET_TRANSFORMS,
  TRANSFORM_NAMES,
  transformOf,
  wrongTransform,
  type Transform,
} from './transforms.ts'

/** Something wrong, or worth knowing, about a mapping. */
export interface MappingProblem {
  /** Where in the mapping document: keys and indexes, to find the position in the YAML by. */
  readonly path: readonly (string | number)[]
  readonly severity: 'error' | 'warning'
  readonly message: string
  /** What to do about it. */
  readonly advice: string
}

export interface CompileOptions {
  /** The whole connection is read only, or write only: narrows every field. Default: both. */
  readonly direction?: Direction
}

/** A mapping line that cannot be used: its problem is noted, and the rest goes on. */
class UnusableLine extends Error {
  readonly problem: Pick<MappingProblem, 'message' | 'advice'> & { readonly at: readonly (string | number)[] }

  constructor(at: readonly (string | number)[], message: string, advice: string) {
    super(message)
    this.problem = { at, message, advice }
  }
}

/**
 * Compiles a mapping (checked by the schema before) for one account. Lines with an error are left out of the lens; whether
 * to go on without them is the caller's to decide.
 *
 * @param available the fields that the account has, as the connector reports them
 */
export function compileLens(
  mapping: Mapping,
  catalogue: Catalogue,
  available: readonly AppField[],
  options: CompileOptions = {},
): { lens: Lens; problems: MappingProblem[] } {
  const compiler = new Compiler(mapping, catalogue, available, options)
  return { lens: compiler.lens, problems: compiler.problems }
}

/**
 * What is wrong with a mapping whatever the account: unknown fields and transforms, transforms that do not fit, two fields
 * in one place. For a config that is checked without its apps.
 *
 * @param custom the fields that the config declares
 */
export function checkMapping(mapping: Mapping, custom: readonly FieldDef[]): MappingProblem[] {
  const catalogue = new Catalogue(phoneNormaliser(undefined), custom)
  const { problems } = compileLens({ ...mapping, open: true, optional: false }, catalogue, [])
  return problems.filter(({ severity }) => severity === 'error')
}

class Compiler {
  readonly lens: Lens
  readonly problems: MappingProblem[] = []
  readonly #mapping: Mapping
  readonly #catalogue: Catalogue
  readonly #appFields: AppFields
  readonly #claims: { place: Place; field: string; writes: boolean }[] = []
  readonly #bindings: { binding: Binding; rule: LensField; line: Line }[] = []

  constructor(mapping: Mapping, catalogue: Catalogue, available: readonly AppField[], options: CompileOptions) {
    this.#mapping = mapping
    this.#catalogue = catalogue
    this.#appFields = new AppFields(available, mapping.open ?? false)
    for (const line of inOrder(linesOf(mapping))) this.#compile(line, options.direction ?? 'both')
    this.lens = lensOf(this.#bindings, this.#consents(options.direction ?? 'both'))
    this.#probe()
  }

  #compile(line: Line, connection: Direction): void {
    const claimed = this.#claims.length
    try {
      if (line.name === NAME_GROUP && this.#mapped('name.given', 'name.family')) {
        if (line.optional) return
        throw new UnusableLine(
          [],
          'name stands for all parts of a name, and parts are mapped too',
          'keep one of the two',
        )
      }
      const direction = this.#direction(line, connection)
      const binding = this.#bind(line, direction)
      if (!binding) return
      const readOnly = binding.places.find(({ field }) => field?.writable === false)
      if (readOnly && direction !== 'in' && !line.optional)
        throw new UnusableLine(
          [],
          `${line.name} is to be written, and the app field "${readOnly.root}" is read-only`,
          'add direction: in',
        )
      const lossy = line.spec.lossy ?? binding.lossy
      const rule: LensField = {
        direction: readOnly ? 'in' : direction,
        blank: line.spec.blank ?? 'keep',
        ...(lossy === undefined ? {} : { lossy }),
      }
      this.#bindings.push({ binding, rule, line })
      this.problems.push(...unlistedChoices(line, binding.places))
    } catch (error) {
      this.#claims.length = claimed
      if (!(error instanceof UnusableLine)) throw error
      const { at, message, advice } = error.problem
      this.problems.push({ path: [...line.path, ...at], severity: 'error', message, advice })
    }
  }

  /** Consent fields: read whatever the direction, for a restriction counts wherever it was told. */
  #consents(connection: Direction): { slot: ConsentSlot; places: Place[] }[] {
    const all: { slot: ConsentSlot; places: Place[] }[] = []
    for (const { channel, spec, path } of consentLinesOf(this.#mapping)) {
      try {
        const optional = spec.optional ?? this.#mapping.optional ?? false
        const state = this.#find(spec.app, [...path, 'app'], optional)
        const address = this.#find(spec.address, [...path, 'address'], optional)
        const optIn = spec.optIn === undefined ? undefined : this.#find(spec.optIn, [...path, 'optIn'], optional)
        if (!state || !address) continue
        const writes = connection !== 'in' && Object.keys(spec.write ?? {}).length > 0
        const holder = this.#claims.find((claim) => writes && claim.writes && overlaps(claim.place, state))
        if (holder)
          throw new UnusableLine(
            [...path, 'app'],
            `${holder.field} and consent both write the app field "${placeName(state)}"`,
            'map consent here only',
          )
        const field = this.#catalogue.field(channel === 'email' ? 'emails' : 'phones')
        const keyOf = (address: string): string | null => {
          const normal = this.#catalogue.normal(field, address)
          return normal === '' ? null : `${channel}:${normal}`
        }
        const places = { state, address, ...(optIn ? { optIn } : {}) }
        all.push({ slot: consentSlot(channel, spec, places, keyOf), places: Object.values(places) })
      } catch (error) {
        if (!(error instanceof UnusableLine)) throw error
        const { at, message, advice } = error.problem
        this.problems.push({ path: at, severity: 'error', message, advice })
      }
    }
    return all
  }

  /** An app field that is only named, not claimed: the address is mapped as one of the person's too. */
  #find(names: Aliases, at: readonly (string | number)[], optional: boolean): Place | undefined {
    const wanted = Array.isArray(names) ? names : [names]
    const [place] = this.#appFields.find(wanted)
    if (place || optional) return place
    throw this.#noSuchField(wanted, at)
  }

  #noSuchField(wanted: readonly string[], at: readonly (string | number)[]): UnusableLine {
    const names = wanted.map((name) => `"${name}"`).join(' or ')
    const advice = didYouMean(wanted[0] ?? '', this.#appFields.names)
    return new UnusableLine(
      at,
      `the account has no field named ${names}`,
      advice || 'see kith check for the fields it has',
    )
  }

  #mapped(...fields: string[]): boolean {
    return this.#bindings.some(({ binding }) => fields.some((field) => binding.fields.includes(field)))
  }

  #direction({ spec }: Line, connection: Direction): Direction {
    const own = spec.direction ?? 'both'
    if (connection === 'both' || own === connection) return own
    if (own === 'both') return connection
    throw new UnusableLine(
      ['direction'],
      `the field is mapped ${own} only, and the connection ${connection} only: it never moves`,
      'drop the line, or one of the two directions',
    )
  }

  /** @returns undefined for an optional line that the account has nothing for */
  #bind(line: Line, direction: Direction): Binding | undefined {
    const { name, spec } = line
    if (name === NAME_GROUP) {
      if (!('app' in spec)) throw new UnusableLine([], 'a name has no slots', 'write name: { app: Name }')
      const { name: transform } = transformOf(spec.transform ?? 'fullName')
      if (transform !== 'fullName')
        throw new UnusableLine(['transform'], 'a whole name takes fullName only', 'leave it out')
      const place = this.#claim(line, spec.app, ['app'], direction)
      return place && fullNameBinding(place)
    }
    if (!this.#catalogue.has(name)) throw this.#unknownField(name)
    const field = this.#catalogue.field(name)
    if (spec.each !== undefined && !field.set)
      throw new UnusableLine(
        ['each'],
        `${name} holds one value, and each is for sets`,
        'write transform instead of each',
      )
    return field.set ? this.#bindSet(line, field, direction) : this.#bindScalar(line, field, direction)
  }

  #unknownField(name: string): UnusableLine {
    const names = [...this.#catalogue.fields].map((field) => field.name)
    const advice = name.startsWith('custom.')
      ? `declare ${name} under fields: in kith.yaml`
      : 'see docs/mappings.md for the fields there are; own fields start with custom.'
    return new UnusableLine([], `there is no field named ${name}`, didYouMean(name, names) || advice)
  }

  #bindScalar(line: Line, field: FieldDef, direction: Direction): Binding | undefined {
    const { name, spec } = line
    if (!('app' in spec))
      throw new UnusableLine(
        ['slots'],
        `${name} holds one value, and slots are for sets`,
        `write ${name}: { app: ... }`,
      )
    const known = spec.transform === undefined ? undefined : this.#known(spec.transform, ['transform'])
    if (known && SET_TRANSFORMS.includes(known))
      throw new UnusableLine(
        ['transform'],
        `${known} is for sets, and ${name} holds one value`,
        'leave the transform out',
      )
    if (known && NAME_TRANSFORMS.includes(known)) {
      if (known !== 'displayName' || name !== 'name.display') {
        const right = known === 'fullName' ? NAME_GROUP : 'name.display'
        throw new UnusableLine(['transform'], `${known} is for ${right}, not for ${name}`, `map ${right} with it`)
      }
      const place = this.#claim(line, spec.app, ['app'], direction)
      if (!place || !spec.transform) return undefined
      const required = transformOf(spec.transform).options === 'required'
      return displayNameBinding(this.#catalogue, place, required, (record) => this.#partsOf(record))
    }
    const place = this.#claim(line, spec.app, ['app'], direction)
    if (!place) return undefined
    const transform = this.#transform(spec.transform, field, place, ['transform'])
    const cuts = field.type === 'text' || field.type === 'multiline'
    return scalarBinding(this.#catalogue, field, place, transform, cuts ? lengthOf(place) : undefined)
  }

  #bindSet(line: Line, field: FieldDef, direction: Direction): Binding | undefined {
    const { name, spec } = line
    const each = (place: Place | undefined): Transform =>
      this.#transform(spec.each, { ...field, set: false }, place, ['each'])
    if ('slots' in spec) {
      if (spec.transform !== undefined)
        throw new UnusableLine(['transform'], 'slots hold one value each', 'write each instead of transform')
      return this.#bindSlots(line, spec.slots, field, direction, each)
    }
    const known = spec.transform === undefined ? undefined : this.#known(spec.transform, ['transform'])
    if (known !== undefined && !SET_TRANSFORMS.includes(known))
      throw new UnusableLine(
        ['transform'],
        `${known} is for one value, and ${name} is a set`,
        `write each: ${known} for its values, and transform only for how the set is held (${SET_TRANSFORMS.join(', ')})`,
      )
    if (known === undefined && this.#mapping.values === 'text')
      return this.#bindSlots(line, [spec.app], field, direction, each)
    if (field.type === 'address' && known !== undefined && known !== 'elements')
      throw new UnusableLine(['transform'], `${known} holds texts, and an address has parts`, 'use slots or elements')
    const format = this.#format(spec.transform)
    const place = this.#claim(line, spec.app, ['app'], direction)
    return (
      place && listBinding(this.#catalogue, field, place, format, spec.each === undefined ? undefined : each(place))
    )
  }

  #format(spec: TransformSpec | undefined): ListFormat {
    const { name, options } = transformOf(spec ?? 'elements')
    if (name === 'elements') return elements
    if (name === 'list') return list
    if (options === undefined)
      throw new UnusableLine(['transform'], 'split needs to know the separator', 'write transform: { split: ";" }')
    return split(Array.isArray(options) ? (options as string[]) : [String(options)])
  }

  #bindSlots(
    line: Line,
    specs: readonly SlotSpec[],
    field: FieldDef,
    direction: Direction,
    each: (place: Place | undefined) => Transform,
  ): Binding | undefined {
    const slots: Slot[] = []
    let first: Place | undefined
    for (const [index, spec] of specs.entries()) {
      const { app, label, labelFrom } =
        typeof spec === 'string' || Array.isArray(spec) ? { app: spec, label: undefined, labelFrom: undefined } : spec
      const at = ['slots', index, 'app']
      const isParts = typeof app === 'object' && !Array.isArray(app)
      if (isParts !== (field.type === 'address'))
        throw new UnusableLine(
          at,
          isParts ? `${field.name} have no parts` : 'an address needs an app field for each part',
          isParts ? 'name one app field' : 'write app: { street: Street, locality: City, postcode: ZIP }',
        )
      const value = isParts ? this.#claimParts(line, app, at, direction) : this.#claim(line, app, at, direction)
      if (!value) continue
      first ??= 'root' in value ? value : value[0]?.place
      const labelAt =
        labelFrom && this.#claim({ ...line, optional: true }, labelFrom, ['slots', index, 'labelFrom'], direction)
      slots.push({ value, ...(label === undefined ? {} : { label }), ...(labelAt ? { labelFrom: labelAt } : {}) })
    }
    return slots.length === 0 ? undefined : slotsBinding(this.#catalogue, field, slots, each(first))
  }

  #claimParts(
    line: Line,
    parts: AddressParts,
    at: readonly (string | number)[],
    direction: Direction,
  ): { part: string; place: Place }[] | undefined {
    const found: { part: string; place: Place }[] = []
    for (const [part, names] of Object.entries(parts)) {
      const place = names && this.#claim(line, names, [...at, part], direction)
      if (place) found.push({ part, place })
    }
    return found.length === 0 ? undefined : found
  }

  /** Finds the app field and keeps others from writing it. An optional line makes do with what is there and free. */
  #claim(line: Line, names: Aliases, at: readonly (string | number)[], direction: Direction): Place | undefined {
    const wanted = Array.isArray(names) ? names : [names]
    const found = this.#appFields.find(wanted)
    const writes = direction !== 'in'
    const holder = (place: Place): string | undefined =>
      this.#claims.find((it) => (line.optional || (writes && it.writes)) && overlaps(it.place, place))?.field
    const place = line.optional ? found.find((it) => !holder(it)) : found[0]
    if (!place) {
      if (line.optional) return undefined
      throw this.#noSuchField(wanted, at)
    }
    const other = holder(place)
    if (other !== undefined)
      throw new UnusableLine(
        at,
        `${other === line.name ? `${other} twice` : `${other} and ${line.name} both`} write the app field "${placeName(place)}"`,
        'map each app field once; give one of the two direction: in if it is only to be read',
      )
    this.#claims.push({ place, field: line.name, writes })
    return place
  }

  #known(spec: TransformSpec, at: readonly (string | number)[]): string {
    const { name } = transformOf(spec)
    if (TRANSFORM_NAMES.includes(name)) return name
    const advice = didYouMean(name, TRANSFORM_NAMES) || `the transforms are ${TRANSFORM_NAMES.join(', ')}`
    throw new UnusableLine(at, `there is no transform named ${name}`, advice)
  }

  #transform(
    spec: TransformSpec | undefined,
    field: FieldDef,
    place: Place | undefined,
    at: readonly (string | number)[],
  ): Transform {
    if (spec !== undefined) {
      const name = this.#known(spec, at)
      if (SET_TRANSFORMS.includes(name) || NAME_TRANSFORMS.includes(name))
        throw new UnusableLine(at, `${name} is not for the single values of ${field.name}`, 'leave it out')
      const wrong = wrongTransform(spec, field)
      if (wrong) throw new UnusableLine(at, wrong.message, wrong.advice)
    }
    try {
      return makeTransform(spec, { catalogue: this.#catalogue, field, appField: place?.field })
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      throw new UnusableLine(at, error.message, 'see docs/mappings.md')
    }
  }

  /** What the record says of the parts of a name and of what may stand in for them. */
  #partsOf(record: JsonObject): OpenCells {
    const cells: OpenCells = {}
    const relevant = new Set<string>([...NAME_PARTS, 'organisation', 'nickname', 'emails', 'phones'])
    for (const { binding } of this.#bindings)
      if (binding.fields.some((field) => relevant.has(field))) binding.get(record, cells)
    return cells
  }

  /** Names what loses information without saying so, by sending sample values out and reading them back. */
  #probe(): void {
    for (const { binding, rule, line } of this.#bindings) {
      if (rule.direction === 'in' || rule.lossy !== undefined) continue
      for (const name of binding.fields) {
        const found = probe(this.lens, this.#catalogue, this.#catalogue.field(name))
        if (!found) continue
        const app = binding.places.map((place) => `"${placeName(place)}"`).join(', ')
        this.problems.push({
          path: line.path,
          severity: 'warning',
          message:
            found === 'lossy'
              ? `${name} loses information on its way to ${app} and back`
              : `${name} and ${app} never settle: each trip there and back changes the value again`,
          advice:
            found === 'lossy'
              ? 'choose another transform, or say why that is well with lossy: "..."'
              : 'choose another transform, or give the field direction: in or out',
        })
      }
    }
  }
}

function lengthOf(place: Place): number | undefined {
  return place.path.length === 0 ? place.field?.length_max : undefined
}
