import { z } from 'zod'

/**
 * What the People API (v1, revision 20251117) says on the wire, as far as Kith listens. Objects are loose: what else an item
 * holds is handed back when its field is replaced, since an update replaces fields whole.
 */

/** Read in one request, and written in one request, at most (discovery document: batchGet, batchCreateContacts, ...). */
export const PAGE_MAX = 1000
export const GROUP_PAGE_MAX = 1000
export const READ_MAX = 200
export const CREATE_MAX = 200
export const UPDATE_MAX = 200
export const DELETE_MAX = 500

/** The group that every contact of the address book is in, unless people take it out. */
export const MY_CONTACTS = 'contactGroups/myContacts'

const text = z.string().optional()

const sourceSchema = z.looseObject({
  type: text,
  id: text,
  etag: text,
  updateTime: text,
})

const fieldMetadataSchema = z.looseObject({
  primary: z.boolean().optional(),
  sourcePrimary: z.boolean().optional(),
  verified: z.boolean().optional(),
  source: sourceSchema.optional(),
})
const item = { metadata: fieldMetadataSchema.optional() }

const dateSchema = z.looseObject({
  year: z.number().int().optional(),
  month: z.number().int().optional(),
  day: z.number().int().optional(),
})

/** What every answer about a person has, whatever else was asked for. */
export const personHeadSchema = z.looseObject({
  resourceName: z.string().regex(/^people\/[^/]+$/),
  etag: text,
  metadata: z
    .looseObject({
      deleted: z.boolean().optional(),
      previousResourceNames: z.array(z.string()).optional(),
      sources: z.array(sourceSchema).optional(),
    })
    .optional(),
})

export const personSchema = personHeadSchema.extend({
  names: z
    .array(
      z.looseObject({
        ...item,
        givenName: text,
        familyName: text,
        middleName: text,
        honorificPrefix: text,
        honorificSuffix: text,
        unstructuredName: text,
        displayName: text,
        displayNameLastFirst: text,
      }),
    )
    .optional(),
  nicknames: z.array(z.looseObject({ ...item, value: text, type: text })).optional(),
  emailAddresses: z.array(z.looseObject({ ...item, value: text, type: text, formattedType: text })).optional(),
  phoneNumbers: z
    .array(z.looseObject({ ...item, value: text, type: text, formattedType: text, canonicalForm: text }))
    .optional(),
  addresses: z
    .array(
      z.looseObject({
        ...item,
        type: text,
        formattedType: text,
        formattedValue: text,
        poBox: text,
        extendedAddress: text,
        streetAddress: text,
        city: text,
        region: text,
        postalCode: text,
        country: text,
        countryCode: text,
      }),
    )
    .optional(),
  organizations: z
    .array(
      z.looseObject({
        ...item,
        name: text,
        department: text,
        title: text,
        type: text,
        current: z.boolean().optional(),
      }),
    )
    .optional(),
  birthdays: z.array(z.looseObject({ ...item, date: dateSchema.optional(), text })).optional(),
  urls: z.array(z.looseObject({ ...item, value: text, type: text, formattedType: text })).optional(),
  biographies: z.array(z.looseObject({ ...item, value: text, contentType: text })).optional(),
  memberships: z
    .array(
      z.looseObject({
        ...item,
        contactGroupMembership: z.looseObject({ contactGroupId: text, contactGroupResourceName: text }).optional(),
      }),
    )
    .optional(),
  userDefined: z.array(z.looseObject({ ...item, key: text, value: text })).optional(),
  externalIds: z.array(z.looseObject({ ...item, type: text, value: text, formattedType: text })).optional(),
  clientData: z.array(z.looseObject({ ...item, key: text, value: text })).optional(),
})
export type Person = z.infer<typeof personSchema>
export type PersonSource = z.infer<typeof sourceSchema>

/** A google.rpc.Status: 0, or none, is success. */
export const statusSchema = z.looseObject({ code: z.number().int().optional(), message: text })
export type Status = z.infer<typeof statusSchema>

/** Persons inside are judged one by one: one that cannot be read must not spoil the rest. */
export const personResponseSchema = z.looseObject({
  person: z.unknown().optional(),
  requestedResourceName: text,
  status: statusSchema.optional(),
  httpStatusCode: z.number().int().optional(),
})
export type PersonResponse = z.infer<typeof personResponseSchema>

export const connectionsSchema = z.looseObject({
  connections: z.array(z.unknown()).optional(),
  nextPageToken: text,
  nextSyncToken: text,
  totalItems: z.number().int().optional(),
})

export const batchGetSchema = z.looseObject({ responses: z.array(personResponseSchema).optional() })
export const batchCreateSchema = z.looseObject({ createdPeople: z.array(personResponseSchema).optional() })
export const batchUpdateSchema = z.looseObject({ updateResult: z.record(z.string(), personResponseSchema).optional() })
export const emptySchema = z.looseObject({})

export const groupSchema = z.looseObject({
  resourceName: z.string(),
  name: text,
  groupType: text,
  memberCount: z.number().int().optional(),
  memberResourceNames: z.array(z.string()).optional(),
})
export type Group = z.infer<typeof groupSchema>
export const groupsSchema = z.looseObject({
  contactGroups: z.array(groupSchema).optional(),
  nextPageToken: text,
})

/** The body of an answer that is no 2xx (google.rpc.Status inside `error`). */
export const errorSchema = z.object({
  error: z.looseObject({
    code: z.number().int().optional(),
    status: text,
    message: text,
    details: z.array(z.looseObject({ '@type': text })).optional(),
  }),
})
