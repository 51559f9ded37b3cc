import { z } from 'zod'

/**
 * What Zendesk's answers look like, as far as Kith reads them. Members that the vendor's description calls plain are
 * null often enough (the description's own notes say so), hence the many `nullish`.
 */

const Text = z.string().nullish()
const Flag = z.boolean().nullish()
const Id = z.number().int()

export const ROLE_END_USER = 'end-user'

export const UserSchema = z.object({
  id: Id,
  name: z.string(),
  email: Text,
  phone: Text,
  /** False once the user was deleted; the row stays until it is deleted for good. */
  active: Flag,
  role: Text,
  alias: Text,
  details: Text,
  notes: Text,
  tags: z.array(z.string()).nullish(),
  external_id: Text,
  organization_id: Id.nullish(),
  locale: Text,
  time_zone: Text,
  suspended: Flag,
  verified: Flag,
  shared_phone_number: Flag,
  user_fields: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string()), z.null()]))
    .nullish(),
  created_at: Text,
  updated_at: Text,
})
export type User = z.infer<typeof UserSchema>

/** A user of a list: looked at one by one, so that an unreadable one costs no other. */
export const ListedSchema = z.looseObject({ id: Id })
export type Listed = z.infer<typeof ListedSchema>

export const IdentitySchema = z.object({
  id: Id,
  user_id: Id,
  type: z.string(),
  value: z.string(),
  primary: Flag,
  verified: Flag,
  created_at: Text,
})
export type Identity = z.infer<typeof IdentitySchema>

const OrganizationSchema = z.object({ id: Id, name: z.string() })

const sideloads = {
  identities: z.array(IdentitySchema).optional(),
  organizations: z.array(OrganizationSchema).optional(),
}

export const UsersSchema = z.object({ users: z.array(ListedSchema), ...sideloads })
export type Users = z.infer<typeof UsersSchema>

export const ExportSchema = z.object({
  users: z.array(ListedSchema),
  after_cursor: z.string().nullish(),
  end_of_stream: z.boolean(),
  ...sideloads,
})

export const OneUserSchema = z.object({ user: ListedSchema, ...sideloads })

export const IdentitiesSchema = z.object({
  identities: z.array(IdentitySchema),
  meta: z.object({ has_more: z.boolean().nullish(), after_cursor: Text }).nullish(),
})

export const OneIdentitySchema = z.object({ identity: IdentitySchema })

/** What became of one row of a job. Which members are there depends on the job and on how it went. */
export const JobResultSchema = z.looseObject({
  id: Id.nullish(),
  index: z.number().int().nullish(),
  status: Text,
  success: Flag,
  error: z.unknown().optional(),
  errors: z.unknown().optional(),
  details: z.unknown().optional(),
})
export type JobResult = z.infer<typeof JobResultSchema>

export const JobSchema = z.object({
  job_status: z.object({
    id: z.string().min(1),
    status: z.string(),
    results: z.union([z.array(JobResultSchema), z.object({ success: z.boolean() })]).nullish(),
  }),
})
export type Job = z.infer<typeof JobSchema>['job_status']

export const UserFieldSchema = z.object({
  key: z.string(),
  type: z.string(),
  title: z.string(),
  active: Flag,
  custom_field_options: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
})
export type UserField = z.infer<typeof UserFieldSchema>

export const UserFieldsSchema = z.object({
  user_fields: z.array(UserFieldSchema),
  meta: z.object({ has_more: z.boolean().nullish(), after_cursor: Text }).nullish(),
})

export const MeSchema = z.object({ user: z.object({ id: Id.nullable(), role: Text }) })

export const CountSchema = z.object({ count: z.object({ value: z.number() }) })

/** `{error, description, details}`; `error` is an object where a parameter itself is refused. */
export const ErrorSchema = z.object({
  error: z.union([z.string(), z.looseObject({ title: Text })]).nullish(),
  description: Text,
  details: z
    .record(z.string(), z.array(z.looseObject({ description: Text, error: Text })))
    .nullish()
    .catch(null),
})
export type ErrorBody = z.infer<typeof ErrorSchema>

/** What the body of an event webhook tells of itself. */
export const EventSchema = z.looseObject({ id: Text, type: Text, subject: Text })

export const RegisteredWebhookSchema = z.object({
  id: z.string().min(1),
  endpoint: z.string(),
  status: z.string(),
  http_method: z.string(),
  request_format: z.string(),
  subscriptions: z.array(z.string()).nullish(),
})
export type RegisteredWebhook = z.infer<typeof RegisteredWebhookSchema>

export const WebhookSchema = z.object({ webhook: RegisteredWebhookSchema })

export const WebhooksSchema = z.object({
  webhooks: z.array(RegisteredWebhookSchema),
  meta: z.object({ has_more: z.boolean().nullish(), after_cursor: Text }).nullish(),
})

export const SigningSecretSchema = z.object({ signing_secret: z.object({ secret: z.string().min(1) }) })
