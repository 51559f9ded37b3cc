import { z } from 'zod'
import { CHANNELS, CONSENT_STATES } from '../engine/core/consent.ts'

/**
 * The mapping language: which app field holds which canonical field. One document is a file under `mappings/defaults`, a
 * file of the user's own, or the value of `mapping:` in kith.yaml. How it reads to people: docs/mappings.md.
 */

const appName = z
  .string()
  .min(1)
  .describe('An app field by its name, or a path into one (`N.given`, `ORG.0`) whose other parts are left alone.')

const aliases = z
  .union([appName, z.array(appName).min(1)])
  .describe('An app field, or several names of it: the first that the account has is used.')

const addressParts = z
  .strictObject({
    pobox: aliases.optional(),
    extended: aliases.optional(),
    street: aliases.optional(),
    locality: aliases.optional(),
    region: aliases.optional(),
    postcode: aliases.optional(),
    country: aliases.optional(),
  })
  .describe('One app field for each part of a postal address.')

const slot = z.union([
  aliases,
  z.strictObject({
    app: z.union([aliases, addressParts]),
    label: z.string().min(1).optional().describe('The label that a value in this place has: work, home, mobile.'),
    labelFrom: aliases.optional().describe('The app field that holds the label of the value in this place.'),
  }),
])

const transformOptions = z
  .strictObject({
    date: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
      .optional()
      .describe('Dates in formats of YYYY, MM, DD, M and D, such as DD/MM/YYYY. All are read, the first is written.'),
    boolean: z
      .tuple([z.string().min(1), z.string().min(1)])
      .optional()
      .describe('How the app spells yes and no: [Yes, No].'),
    map: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
      .optional()
      .describe('What each value of the app means here: { app value: our value }. Other values pass as they are.'),
    truncate: z.int().min(1).optional().describe('The longest text, in characters, that the app keeps.'),
    split: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
      .optional()
      .describe('One text holds a set, its elements parted by this; of several separators the first is written.'),
    displayName: z
      .literal('required')
      .optional()
      .describe('As displayName, in an app that lets no one be without: organisation, nickname or e-mail stand in.'),
  })
  .refine((options) => Object.keys(options).length === 1, 'Name exactly one transform, such as { split: ";" }.')

const transform = z
  .union([
    z
      .string()
      .min(1)
      .meta({
        description: 'A transform by its name.',
        examples: [
          'text',
          'date',
          'number',
          'boolean',
          'phone',
          'upper',
          'lower',
          'elements',
          'list',
          'fullName',
          'displayName',
        ],
      }),
    transformOptions,
  ])
  .describe('How the app writes the value. Left out: by the type of the field.')

const rules = {
  transform: transform.optional(),
  each: transform.optional().describe('For a set: the transform of each value in it.'),
  direction: z
    .enum(['both', 'in', 'out'])
    .optional()
    .describe('in: from the app to Kith only. out: from Kith to the app only. Default: both.'),
  blank: z
    .enum(['keep', 'erase'])
    .optional()
    .describe('Whether emptying the field in the app erases the value everywhere. Default: keep.'),
  lossy: z
    .string()
    .min(1)
    .optional()
    .describe('Why a value may come back other than it was sent; silences the warning.'),
  optional: z.boolean().optional().describe('Leave the field out where the account has no such app field.'),
}

const fieldMapping = z.union([
  aliases,
  z.literal(false).describe('Not mapped, although the default mapping of the app has it.'),
  z.strictObject({ app: aliases, ...rules }),
  z.strictObject({
    slots: z.array(slot).min(1).describe('Several app fields hold one set, one value each, in this order.'),
    ...rules,
  }),
])

const consentSlot = z
  .strictObject({
    app: aliases,
    address: aliases.describe('The app field with the address that the consent is about.'),
    states: z
      .record(z.string(), z.enum(CONSENT_STATES))
      .describe(
        'What each value of the app field means; "*" is any other that is not blank. A value not named says nothing.',
      ),
    write: z
      .partialRecord(z.enum(CONSENT_STATES), z.union([z.string(), z.number(), z.boolean()]))
      .optional()
      .describe('What to write for a state; a state not named is never written.'),
    optIn: aliases
      .optional()
      .describe("The app field with the time of the person's own opt-in: the only thing that loosens a restriction."),
    optional: z.boolean().optional().describe('Leave it out where the account has no such app field.'),
  })
  .describe('Where the app keeps whether an address may be written to.')

const consent = z
  .partialRecord(z.enum(CHANNELS), z.union([consentSlot, z.array(consentSlot).min(1), z.literal(false)]))
  .describe('Consent, by channel. It follows its own rules: the most restrictive state stands everywhere.')

const documentShape = {
  fields: z
    .record(z.string(), fieldMapping)
    .describe('Canonical field to app field. `name` stands for all parts of a name (transform fullName).'),
  consent: consent.optional(),
  defaults: z
    .boolean()
    .optional()
    .describe("false: the lines of the app's default mapping do not hold beside these. Default: true."),
  optional: z.boolean().optional().describe('The default of `optional` for all fields.'),
  open: z.boolean().optional().describe('The app takes any field name: none is reported as missing.'),
  values: z
    .enum(['any', 'text'])
    .optional()
    .describe('text: every app field holds one text (a sheet), so that a set needs places or a separator.'),
}

/** One mapping document. `app` may be left out inside kith.yaml, where the connection names it. */
export const mappingSchema = z
  .strictObject({
    app: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
      .optional()
      .describe('The app, or the apps, that the mapping is for.'),
    ...documentShape,
  })
  .describe('Which app field holds which field of a person.')

export type Mapping = z.infer<typeof mappingSchema>
export type FieldMapping = z.infer<typeof fieldMapping>
export type TransformSpec = z.infer<typeof transform>
export type SlotSpec = z.infer<typeof slot>
export type ConsentSpec = z.infer<typeof consentSlot>
export type Aliases = z.infer<typeof aliases>
export type AddressParts = z.infer<typeof addressParts>
