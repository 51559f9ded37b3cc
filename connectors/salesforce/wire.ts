import { z } from 'zod'

/** Winter '25. Far from retirement, and old enough for every org; jsforce would speak 50.0 by itself. */
export const API_VERSION = '62.0'
export const DATA_PATH = `/services/data/v${API_VERSION}`
/** The streaming API speaks Bayeux here. */
export const STREAMING_PATH = `/cometd/${API_VERSION}`
/** What Kith calls itself to the org: change events name it as the origin of what it wrote. */
export const API_CLIENT = 'Kith'

/** The vendor's limits, and where they are said: see README.md. */
export const LIMITS = {
  /** Records in one request of sObject Collections. */
  collection_max: 200,
  /** Requests for collections and queries in one composite request. */
  composite_max: 5,
} as const

/** The objects that hold people. */
export const SOBJECTS = ['Contact', 'Lead'] as const
export type SObject = (typeof SOBJECTS)[number]

/** Every id says by its first three characters what it is the id of. */
export const ID_PREFIXES: { readonly [name in SObject]: string } = { Contact: '003', Lead: '00Q' }

/** A moment as Salesforce writes it (2026-11-22T03:10:00.000+0000), in milliseconds; whole seconds in practice. */
const moment = z.string().transform((text, context) => {
  const at = Date.parse(text.replace(/([+-]\d\d)(\d\d)$/, '$1:$2'))
  if (!Number.isNaN(at)) return at
  context.addIssue({ code: 'custom', message: 'no date' })
  return z.NEVER
})

/** What every row has, whatever else was asked for. */
export const Row = z.looseObject({
  Id: z.string().min(15),
  IsDeleted: z.boolean(),
  MasterRecordId: z.string().nullable(),
  SystemModstamp: moment,
  LastModifiedDate: moment,
  CreatedDate: moment,
  /** Of leads only. */
  IsConverted: z.boolean().optional(),
  ConvertedContactId: z.string().nullable().optional(),
})
export type Row = z.infer<typeof Row>

/** Pages leave their rows unread: one that cannot be read must not cost the others. */
export const QueryAnswer = z.object({
  totalSize: z.int().nonnegative(),
  done: z.boolean(),
  nextRecordsUrl: z.string().startsWith('/services/data/').optional(),
  records: z.array(z.unknown()),
})
export type QueryAnswer = z.infer<typeof QueryAnswer>

/** A refusal: of a request, in a list. */
export const ApiError = z.object({
  errorCode: z.string(),
  message: z.string().optional(),
  fields: z.array(z.string()).optional().catch(undefined),
})
export type ApiError = z.infer<typeof ApiError>
export const ApiErrors = z.array(ApiError).min(1)

/** A refusal of one record of a collection. */
export const RowError = z.object({
  statusCode: z.string(),
  message: z.string().optional(),
  fields: z.array(z.string()).nullable().optional().catch(undefined),
})
export type RowError = z.infer<typeof RowError>

/** What became of one record of a collection; in the order of the request. */
export const SaveResult = z.object({
  id: z.string().nullable().optional(),
  success: z.boolean(),
  errors: z.array(RowError),
})
export type SaveResult = z.infer<typeof SaveResult>
export const SaveResults = z.array(SaveResult)

export const CompositeAnswer = z.object({
  compositeResponse: z.array(z.object({ body: z.unknown(), httpStatusCode: z.int(), referenceId: z.string() })),
})

export interface Subrequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** From the version on: `/queryAll?q=...` */
  readonly path: string
  readonly referenceId: string
  readonly body?: object
  readonly httpHeaders?: { readonly [name: string]: string }
}

export const FieldDescription = z.object({
  name: z.string().min(1),
  label: z.string(),
  type: z.string(),
  length: z.int().optional().catch(undefined),
  createable: z.boolean().optional(),
  updateable: z.boolean().optional(),
  filterable: z.boolean().optional(),
  unique: z.boolean().optional(),
  externalId: z.boolean().optional(),
  picklistValues: z
    .array(z.object({ value: z.string(), label: z.string().nullable(), active: z.boolean() }))
    .nullable()
    .optional()
    .catch(undefined),
})
export type FieldDescription = z.infer<typeof FieldDescription>

export const Description = z.object({ name: z.string(), fields: z.array(FieldDescription) })
export type Description = z.infer<typeof Description>

/** What the streaming API says: answers and events alike, several in one response. */
export const BayeuxMessage = z.object({
  channel: z.string(),
  clientId: z.string().min(1).optional(),
  subscription: z.string().optional(),
  successful: z.boolean().optional(),
  /** `403::Unknown client`: a number, arguments, a text. */
  error: z.string().optional(),
  advice: z
    .object({
      /** What to do after this: connect again, begin anew, or stay away. */
      reconnect: z.enum(['retry', 'handshake', 'none']).optional().catch(undefined),
      interval: z.number().nonnegative().optional().catch(undefined),
    })
    .optional()
    .catch(undefined),
  /** Why a handshake was denied. */
  ext: z
    .object({ sfdc: z.object({ failureReason: z.string() }) })
    .optional()
    .catch(undefined),
  data: z.unknown().optional(),
})
export type BayeuxMessage = z.infer<typeof BayeuxMessage>
export const BayeuxMessages = z.array(BayeuxMessage)

/** The header of a change event; the fields that come with it are not read. */
export const ChangeEventHeader = z.object({
  entityName: z.string(),
  /** CREATE, UPDATE, DELETE, UNDELETE; with GAP_ before it where nothing but the header came; GAP_OVERFLOW. */
  changeType: z.string(),
  /** Several where one transaction did the same to each of them; `003*` for all there are; none in an overflow. */
  recordIds: z.array(z.string()).optional().catch(undefined),
  /** `com/salesforce/api/rest/62.0;client=Kith`; empty for people at the screen. */
  changeOrigin: z.string().optional().catch(undefined),
})
export type ChangeEventHeader = z.infer<typeof ChangeEventHeader>

export const ChangeEvent = z.object({
  event: z.object({ replayId: z.int() }),
  payload: z.object({ ChangeEventHeader }),
})
