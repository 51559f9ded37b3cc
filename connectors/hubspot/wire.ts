import { z } from 'zod'

/**
 * The version in the paths. The official client writes `v3` into them; any other value here is put in its place, in the form of
 * the dated versions: /crm/objects/2026-09/contacts.
 */
export const API_VERSION: string = 'v3'

/** The vendor's limits, and where they are said: see README.md. */
export const LIMITS = {
  list_max: 100,
  batch_max: 100,
  /** Records per request that asks for the history of properties. */
  history_max: 50,
  search_max: 200,
  lists_max: 500,
  members_max: 250,
  /** Said nowhere; the other batches' own. */
  memberships_max: 100,
} as const

/** Of contacts, as the API of lists names kinds of records. */
export const CONTACTS = '0-1'

/** A moment as HubSpot writes it, in milliseconds. */
const moment = z.string().transform((text, context) => {
  const at = Date.parse(text)
  if (!Number.isNaN(at)) return at
  context.addIssue({ code: 'custom', message: 'no date' })
  return z.NEVER
})

/** What is needed of a contact to announce it. */
export const Head = z.object({
  id: z.string().min(1),
  createdAt: moment,
  updatedAt: moment,
  archived: z.boolean().optional(),
  archivedAt: moment.optional(),
})
export type Head = z.infer<typeof Head>

const PropertyVersion = z.object({ value: z.string().nullable(), timestamp: moment })

export const Contact = Head.extend({
  properties: z.record(z.string(), z.string().nullable()),
  propertiesWithHistory: z.record(z.string(), z.array(PropertyVersion)).optional(),
  objectWriteTraceId: z.string().optional(),
})
export type Contact = z.infer<typeof Contact>

const Paging = z.object({ next: z.object({ after: z.string().min(1) }).optional() }).optional()

/** Pages leave their records unread: one that cannot be read must not cost the others. */
export const ListPage = z.object({ results: z.array(z.unknown()), paging: Paging })

export const SearchPage = z.object({ total: z.int().nonnegative(), results: z.array(z.unknown()), paging: Paging })

/** The vendor: "all fields should be treated as optional in any error parsing". */
const ErrorDetail = z.object({
  code: z.string().optional(),
  in: z.string().optional(),
  context: z.record(z.string(), z.array(z.string())).optional().catch(undefined),
})

export const ApiError = z.object({
  status: z.string().optional(),
  message: z.string().optional(),
  category: z.string().optional(),
  subCategory: z.string().optional().catch(undefined),
  correlationId: z.string().optional(),
  /** Instead of `category` in answers 429. */
  errorType: z.string().optional(),
  policyName: z.string().optional(),
  context: z.record(z.string(), z.array(z.string())).optional().catch(undefined),
  errors: z.array(ErrorDetail).optional().catch(undefined),
})
export type ApiError = z.infer<typeof ApiError>

export const BatchAnswer = z.object({
  status: z.string(),
  results: z.array(z.unknown()),
  numErrors: z.int().optional(),
  errors: z.array(ApiError).optional(),
})
export type BatchAnswer = z.infer<typeof BatchAnswer>

export const Property = z.object({
  name: z.string().min(1),
  label: z.string(),
  type: z.string(),
  fieldType: z.string(),
  calculated: z.boolean().optional(),
  archived: z.boolean().optional(),
  hasUniqueValue: z.boolean().optional(),
  options: z.array(z.object({ label: z.string(), value: z.string(), hidden: z.boolean().optional() })).optional(),
  modificationMetadata: z.object({ readOnlyValue: z.boolean() }).optional(),
})
export type Property = z.infer<typeof Property>

export const PropertyList = z.object({ results: z.array(Property) })

/** Ids are texts in some answers and numbers in the vendor's own examples of others. */
const id = z.union([z.string().min(1), z.number()]).transform(String)

/** A list as search and fetch show it. The times and the size are there where there are any. */
export const ListInfo = z.object({
  listId: id,
  name: z.string(),
  objectTypeId: z.string(),
  processingType: z.string(),
  deletedAt: z.string().nullish(),
  additionalProperties: z.record(z.string(), z.string().nullable()).optional().catch(undefined),
})
export type ListInfo = z.infer<typeof ListInfo>

export const ListSearchPage = z.object({ lists: z.array(ListInfo), offset: z.int(), hasMore: z.boolean() })
export const ListsById = z.object({ lists: z.array(ListInfo) })
export const OneList = z.object({ list: ListInfo })

export const MembersPage = z.object({ results: z.array(z.object({ recordId: id })), paging: Paging })

export const MembershipsAnswer = z.object({
  status: z.literal('COMPLETE'),
  results: z.array(
    z.object({
      recordId: id,
      recordListMemberships: z.array(z.object({ listId: id, lastAddedTimestamp: moment.optional().catch(undefined) })),
    }),
  ),
  errors: z.array(ApiError).optional(),
})

/** The vendor's own spelling of `recordsIdsAdded`. Empty lists may be left out. */
export const MembershipsChanged = z.object({
  recordsIdsAdded: z.array(id).nullish(),
  recordIdsRemoved: z.array(id).nullish(),
  recordIdsMissing: z.array(id).nullish(),
})

/** One event of a webhook; what it says beyond this is not believed, only read. */
export const HookEvent = z.object({
  eventId: z.number(),
  subscriptionId: z.number().optional(),
  portalId: z.number(),
  occurredAt: z.number(),
  subscriptionType: z.string(),
  attemptNumber: z.number().optional(),
  objectId: z.int().optional(),
  primaryObjectId: z.int().optional().catch(undefined),
  mergedObjectIds: z.array(z.int()).optional().catch(undefined),
  newObjectId: z.int().optional().catch(undefined),
})
export type HookEvent = z.infer<typeof HookEvent>

export const HookBody = z.array(HookEvent)
