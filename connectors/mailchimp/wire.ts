import { z } from 'zod'

/** The vendor's limits, and where they are said: see README.md. */
export const LIMITS = {
  /** Members in one page of a listing. */
  list_max: 1000,
  /** Members in one batch subscribe. */
  batch_max: 500,
  /** Requests under way at once, of all programs of one user. */
  connections_max: 10,
} as const

export const STATUSES = ['subscribed', 'unsubscribed', 'cleaned', 'pending', 'transactional', 'archived'] as const
export type Status = (typeof STATUSES)[number]

/** A moment as Mailchimp writes it, in milliseconds: it counts whole seconds. Blank texts stand for "never". */
const moment = z.string().transform((text, context) => {
  const at = text === '' ? 0 : Date.parse(text)
  if (!Number.isNaN(at)) return at
  context.addIssue({ code: 'custom', message: 'no date' })
  return z.NEVER
})

/** An empty object comes as an empty list from servers like this one. */
const dictionary = <T>(value: z.ZodType<T>) =>
  z.preprocess((json) => (Array.isArray(json) && json.length === 0 ? {} : json), z.record(z.string(), value))

/** What is needed of a member to announce it. */
export const Head = z.object({ contact_id: z.string().min(1), status: z.string(), last_changed: moment })
export type Head = z.infer<typeof Head>

const Address = z.object({
  addr1: z.string().optional(),
  addr2: z.string().optional(),
  city: z.string().optional(),
  state: z.string().optional(),
  zip: z.string().optional(),
  country: z.string().optional(),
})

export const Member = Head.extend({
  email_address: z.string().min(1),
  merge_fields: dictionary(z.union([z.string(), z.number(), z.null(), Address])).optional(),
  tags: z.array(z.object({ id: z.number().optional(), name: z.string() })).optional(),
  interests: dictionary(z.boolean()).optional(),
  email_type: z.string().optional(),
  language: z.string().optional(),
  vip: z.boolean().optional(),
  unsubscribe_reason: z.string().optional(),
  timestamp_signup: z.string().optional(),
  ip_signup: z.string().optional(),
  timestamp_opt: z.string().optional(),
  ip_opt: z.string().optional(),
  source: z.string().optional(),
  marketing_permissions: z.array(z.object({ text: z.string(), enabled: z.boolean() })).optional(),
})
export type Member = z.infer<typeof Member>

/** Pages leave their members unread: one that cannot be read must not cost the others. */
export const MembersPage = z.object({ members: z.array(z.unknown()), total_items: z.int().nonnegative() })
export type MembersPage = z.infer<typeof MembersPage>

const BatchError = z.object({
  email_address: z.string(),
  error: z.string().optional(),
  error_code: z.string().optional(),
  field: z.string().optional(),
  field_message: z.string().optional(),
})
export type BatchError = z.infer<typeof BatchError>

export const BatchAnswer = z.object({
  new_members: z.array(z.unknown()),
  updated_members: z.array(z.unknown()),
  errors: z.array(BatchError),
})
export type BatchAnswer = z.infer<typeof BatchAnswer>

/** application/problem+json, as Mailchimp fills it in. */
export const Problem = z.object({
  title: z.string(),
  status: z.number(),
  detail: z.string().optional(),
  errors: z
    .array(z.object({ field: z.string().optional(), message: z.string().optional() }))
    .optional()
    .catch(undefined),
})
export type Problem = z.infer<typeof Problem>

export const MergeField = z.object({
  tag: z.string().min(1),
  name: z.string(),
  type: z.string(),
  required: z.boolean().optional(),
  options: z
    .object({ phone_format: z.string().optional(), choices: z.array(z.string()).optional() })
    .optional()
    .catch(undefined),
})
export type MergeField = z.infer<typeof MergeField>

export const MergeFieldList = z.object({ merge_fields: z.array(MergeField) })

export const CategoryList = z.object({ categories: z.array(z.object({ id: z.string(), title: z.string() })) })

export const InterestList = z.object({ interests: z.array(z.object({ id: z.string(), name: z.string() })) })

export const Audience = z.object({
  id: z.string(),
  name: z.string(),
  double_optin: z.boolean().optional(),
  stats: z.object({ member_count: z.number().optional(), unsubscribe_count: z.number().optional() }).optional(),
})
export type Audience = z.infer<typeof Audience>
