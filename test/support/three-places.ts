import { join } from 'node:path'
import type { Contact } from './contacts.ts'
import { TestHousehold, type YamlDocument } from './household.ts'
import { Book, Folder, Sheet } from './places.ts'

/** Brakes that never trip: for tests of anything else. */
export const NO_BRAKES = {
  deletes: { share: 1, min: 1_000_000 },
  creates: { share: 1, min: 1_000_000 },
  field: { share: 1, min: 1_000_000 },
  flips: 1000,
}

export interface ThreePlaces {
  readonly home: TestHousehold
  readonly sheet: Sheet
  readonly phone: Folder
  readonly office: Book
  readonly close: () => Promise<void>
}

/** A sheet, a folder of vCards and a CardDAV book, and a household over them. */
export async function threePlaces(
  people: {
    readonly sheet?: readonly Contact[]
    readonly phone?: readonly Contact[]
    readonly office?: readonly Contact[]
  },
  more: YamlDocument = {},
  env: { readonly [name: string]: string } = {},
): Promise<ThreePlaces> {
  const dir = TestHousehold.folder()
  const sheet = new Sheet('sheet', join(dir, 'contacts.csv'), people.sheet)
  const phone = new Folder('phone', join(dir, 'phone'), people.phone)
  const office = await Book.open('office', people.office)
  const home = await TestHousehold.make(dir, [sheet, phone, office], { brakes: NO_BRAKES, ...more }, env)
  const close = async (): Promise<void> => {
    try {
      await home.close()
    } finally {
      await office.server.close()
    }
  }
  return { home, sheet, phone, office, close }
}
