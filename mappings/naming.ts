import { elementsOf, type Catalogue, type Cells } from '../engine/core/catalogue.ts'
import { isBlank, type JsonObject } from '../engine/core/json.ts'
import type { Binding, OpenCells } from './binding.ts'
import { isSpelling, NAME_PARTS, parseName, spellName, squashed } from './names.ts'
import { readPlace, type Place } from './places.ts'

function textOf(cells: Cells, cell: string): string {
  const value = cells[cell]
  return typeof value === 'string' ? squashed(value) : ''
}

/** One app field that holds the whole name. A display name stands in for someone whose parts no one knows. */
export function fullNameBinding(place: Place): Binding {
  const read = (record: JsonObject): string => {
    const raw = readPlace(record, place)
    return typeof raw === 'string' ? squashed(raw) : ''
  }
  return {
    fields: NAME_PARTS,
    places: [place],
    lossy: 'one text holds the whole name, and its parts are a guess',
    get(record, cells) {
      Object.assign(cells, parseName(read(record)))
    },
    put({ cells }, draft) {
      const current = read(draft.before)
      const wanted = spellName(cells) || textOf(cells, 'name.display')
      if (wanted === current) return
      // `Lovelace, Ada` stays as it is where it already says what the parts say.
      const says = parseName(current)
      if (current !== '' && NAME_PARTS.every((part) => squashed(says[part] ?? '') === textOf(cells, part))) return
      draft.write(place, wanted === '' ? null : wanted)
    },
  }
}

/**
 * The text by which an app calls someone (vCard's FN). It says something only where it is not what the parts of the name
 * spell anyway, so that a changed name changes it too.
 *
 * @param required the app lets no one be without: organisation, nickname, e-mail or phone stand in, and are no display name either
 * @param partsOf what a record says of the parts of the name, and of what may stand in for them
 */
export function displayNameBinding(
  catalogue: Catalogue,
  place: Place,
  required: boolean,
  partsOf: (record: JsonObject) => Cells,
): Binding {
  const field = catalogue.field('name.display')
  const standIns = (cells: Cells): string[] => {
    if (!required || spellName(cells) !== '') return []
    const values = ['emails', 'phones'].flatMap((set) =>
      elementsOf(set, cells).map(({ value }) => squashed(String(value))),
    )
    return [textOf(cells, 'organisation'), textOf(cells, 'nickname'), ...values].filter(Boolean)
  }
  /** Whether the text says nothing that the rest of the record does not say. */
  const implied = (text: string, cells: Cells): boolean => isSpelling(text, cells) || standIns(cells).includes(text)
  const get = (record: JsonObject, cells: Cells): string | undefined => {
    const raw = readPlace(record, place)
    if (typeof raw !== 'string' || isBlank(raw)) return undefined
    return implied(squashed(raw), cells) ? undefined : raw
  }
  return {
    fields: [field.name],
    places: [place],
    lossy: 'a display name that the rest of the name spells anyway is not kept apart',
    get(record, cells: OpenCells) {
      const display = get(record, cells)
      if (display !== undefined) cells[field.name] = display
    },
    put({ cells }, draft) {
      const raw = draft.read(place)
      const current = typeof raw === 'string' ? squashed(raw) : ''
      const display = textOf(cells, field.name)
      if (display !== '') {
        if (current !== display) draft.write(place, String(cells[field.name]))
        return
      }
      if (current !== '' && implied(current, cells)) return
      const spelled = spellName(cells) || (standIns(cells)[0] ?? '')
      // Left blank by its owner, it stays blank until the name changes.
      if (current === '' && !draft.isNew && spelled === spellOrStandIn(partsOf(draft.before))) return
      if (current === spelled || (required && spelled === '')) return
      draft.write(place, spelled === '' ? null : spelled)
    },
  }

  function spellOrStandIn(cells: Cells): string {
    return spellName(cells) || (standIns(cells)[0] ?? '')
  }
}
