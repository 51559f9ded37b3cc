/**
 * The vCard format, for every app that keeps contacts as vCards. Reading is generous (2.1, 3.0 and 4.0 as programs really
 * write them); writing changes the lines it must and leaves every other byte alone.
 */
export { parseCard, splitCards, type Card, type ContentLine, type Param, type Version } from './lines.ts'
export { cardFields, VCARD_FIELDS } from './fields.ts'
export { newCard, patchCard } from './patch.ts'
export { decodeFile, encodeFile, type CardFile } from './charset.ts'
