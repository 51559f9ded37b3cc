import { elementsOf, type Catalogue, type Element, type FieldDef } from '../engine/core/catalogue.ts'
import { isBlank, type Json, type JsonObject } from '../engine/core/json.ts'
import type { Binding } from './binding.ts'
import { addElement, keyed } from './elements.ts'
import { readPlace, type Draft, type Place } from './places.ts'
import type { Transform } from './transforms.ts'

/** A place for one element of a set: an app field, or for an address one for each part. */
export interface Slot {
  readonly value: Place | readonly { readonly part: string; readonly place: Place }[]
  readonly label?: string
  readonly labelFrom?: Place
}

const ADDRESS_PARTS = 7

/**
 * Several app fields that hold one value each. An element stays in its place for as long as the person has it; places that
 * come free are filled by the elements that have none, those with the place's own label first. What finds no place is left
 * out.
 */
export function slotsBinding(catalogue: Catalogue, field: FieldDef, slots: readonly Slot[], each: Transform): Binding {
  const places = slots.flatMap(({ value, labelFrom }) => [
    ...('root' in value ? [value] : value.map(({ place }) => place)),
    ...(labelFrom ? [labelFrom] : []),
  ])
  const ports = slots.map((slot) => slotPort(slot, each))
  const partial = slots.some(({ value }) => !('root' in value) && value.length < ADDRESS_PARTS)
  const room = slots.length === 1 ? 'one place' : `${slots.length} places`
  const lossy = `the app has ${room} for it${partial ? ', and not for every part' : ''}`
  return {
    fields: [field.name],
    places,
    lossy: each.lossy === undefined ? lossy : `${lossy}; ${each.lossy}`,
    get(record, cells) {
      for (const port of ports) {
        const value = port.read((place) => readPlace(record, place))
        if (value === undefined) continue
        const label = port.label((place) => readPlace(record, place))
        const found = keyed(catalogue, field, label === undefined ? { value } : { value, label })
        if (found) addElement(cells, found)
      }
    },
    put(wanted, draft) {
      const read = (place: Place): Json | undefined => draft.read(place)
      const elements = wanted.elements(field.name)
      const placed = new Set<Element>()
      const free: SlotPort[] = []
      for (const port of ports) {
        const value = port.read(read)
        const key = value === undefined ? undefined : keyed(catalogue, field, { value })?.key
        if (value !== undefined && key === undefined) continue
        const element = key === undefined ? undefined : elements.get(key)
        if (!element) free.push(port)
        else if (!placed.has(element)) {
          placed.add(element)
          port.relabel(draft, element, false)
        }
      }
      if (free.length === 0) return
      const rest =
        placed.size < elements.size ? elementsOf(field.name, wanted.cells).filter((it) => !placed.has(it)) : []
      const chosen = new Map<SlotPort, Element>()
      // An element that would come back as another one of the person's does not fit: the app could not tell the two apart.
      const fits = (port: SlotPort, element: Element): boolean => {
        const value = port.carry(element.value)
        const key = value === undefined ? undefined : keyed(catalogue, field, { value })?.key
        return key !== undefined && (elements.get(key) ?? element) === element
      }
      const choose = (element: Element, wants: (port: SlotPort) => boolean): boolean => {
        const port = free.find((it) => !chosen.has(it) && wants(it) && fits(it, element))
        if (port) chosen.set(port, element)
        return port !== undefined
      }
      const unmatched = rest.filter(
        (element) => typeof element.label !== 'string' || !choose(element, (port) => port.fixed === element.label),
      )
      for (const element of unmatched)
        if (!choose(element, (port) => port.fixed === undefined)) choose(element, () => true)
      for (const port of free) {
        const element = chosen.get(port)
        if (!element && port.read(read) === undefined) continue
        port.write(draft, element?.value ?? null)
        port.relabel(draft, element, true)
      }
    },
  }
}

type Read = (place: Place) => Json | undefined

/** A slot made ready: how its value and its label are read and written. */
interface SlotPort {
  readonly fixed: string | undefined
  read(at: Read): Json | undefined
  label(at: Read): string | null | undefined
  /** The value as it comes back from here; undefined where it does not fit at all. */
  carry(value: Json): Json | undefined
  write(draft: Draft, value: Json): void
  /** @param fresh the element is new here: a label that it does not speak of is blanked */
  relabel(draft: Draft, element: Element | undefined, fresh: boolean): void
}

function slotPort({ value: at, label: fixed, labelFrom }: Slot, each: Transform): SlotPort {
  const labelAt = (read: Read): string | null | undefined => (labelFrom ? labelText(read(labelFrom)) : fixed)
  const shared = {
    fixed,
    label: labelAt,
    relabel(draft, element, fresh) {
      if (!labelFrom) return
      const wanted = element?.label ?? null
      if (element?.label === undefined && !fresh) return
      if (labelText(draft.read(labelFrom)) !== (wanted === null ? null : labelText(wanted)))
        draft.write(labelFrom, wanted)
    },
  } satisfies Partial<SlotPort>
  if ('root' in at) {
    const get = (raw: Json | undefined): Json | undefined =>
      raw === undefined || isBlank(raw) ? undefined : each.get(raw)
    return {
      ...shared,
      read: (read) => get(read(at)),
      carry: (value) => get(each.put(value, undefined)),
      write: (draft, value) => draft.write(at, value === null ? null : (each.put(value, draft.read(at)) ?? null)),
    }
  }
  const parts = (read: (part: string, place: Place) => Json | undefined): Json | undefined => {
    const address: JsonObject = {}
    for (const { part, place } of at) {
      const raw = read(part, place)
      if (raw !== undefined && !isBlank(raw)) address[part] = raw
    }
    return Object.keys(address).length === 0 ? undefined : address
  }
  const partOf = (value: Json, part: string): Json =>
    typeof value === 'object' && value !== null && !Array.isArray(value) ? (value[part] ?? null) : null
  return {
    ...shared,
    read: (read) => parts((_, place) => read(place)),
    carry: (value) => parts((part) => partOf(value, part)),
    write(draft, value) {
      for (const { part, place } of at) draft.write(place, isBlank(partOf(value, part)) ? null : partOf(value, part))
    },
  }
}

/** `* Work` and `Work` are the label work: sheets mark the preferred one by a star. */
function labelText(raw: Json | undefined): string | null {
  if (typeof raw !== 'string') return null
  return (
    raw
      .replace(/^\*\s*/, '')
      .trim()
      .toLowerCase() || null
  )
}
