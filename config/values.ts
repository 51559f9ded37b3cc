import { z } from 'zod'

/** Small values with a unit, as people write them. Each parses from text and says in its error what to write. */

const UNIT_MS: { readonly [unit: string]: number } = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const DURATION = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d)$/

/** Milliseconds of `30s`, `1.5h`; undefined for anything else. */
export function parseDuration_ms(text: string): number | undefined {
  const [, amount, unit] = DURATION.exec(text.trim()) ?? []
  return amount === undefined || unit === undefined ? undefined : Math.round(Number(amount) * (UNIT_MS[unit] ?? 0))
}

/** The shortest way to write a duration exactly: `90s`, `5m`. */
export function formatDuration(duration_ms: number): string {
  const unit = ['d', 'h', 'm', 's'].find((name) => duration_ms > 0 && duration_ms % (UNIT_MS[name] ?? 1) === 0) ?? 'ms'
  return `${duration_ms / (UNIT_MS[unit] ?? 1)}${unit}`
}

/** A duration between two bounds, in milliseconds once parsed. */
export function duration(bounds: { readonly min_ms: number; readonly max_ms: number }): z.ZodType<number, string> {
  const { min_ms, max_ms } = bounds
  return z
    .string({ error: 'must be a duration with its unit, as 30s, 5m or 1h' })
    .regex(DURATION, { error: 'must be a duration with its unit, as 30s, 5m or 1h' })
    .transform((text) => parseDuration_ms(text) ?? 0)
    .refine((value) => value >= min_ms && value <= max_ms, {
      error: `must lie between ${formatDuration(min_ms)} and ${formatDuration(max_ms)}`,
    })
}

const RATE = /^([1-9]\d*) ?\/ ?(\d+(?:\.\d+)?)? ?(ms|s|m|h|d)$/

/** How many requests Kith may make of an app: `share` of `requests` in every `per_ms`. */
export interface Rate {
  readonly requests: number
  readonly per_ms: number
  /** The part of the app's budget that is Kith's, 0 to 1: others use the account too. */
  readonly share: number
}

/** `100/10s`, `5/s`; undefined for anything else. */
export function parseRate(text: string): Omit<Rate, 'share'> | undefined {
  const [, requests, amount, unit] = RATE.exec(text.trim()) ?? []
  if (requests === undefined || unit === undefined) return undefined
  const per_ms = parseDuration_ms(`${amount ?? '1'}${unit}`)
  return per_ms === undefined || per_ms < 1 ? undefined : { requests: Number(requests), per_ms }
}

const SHARE_ERROR = 'must be a share, as 5% or 0.05'

/** A share of a whole, 0 to 1 once parsed. */
export const share: z.ZodType<number, number | string> = z
  .union([z.number(), z.string().regex(/^\d+(\.\d+)? ?%$/)], { error: SHARE_ERROR })
  .transform((value) => (typeof value === 'number' ? value : Number.parseFloat(value) / 100))
  .refine((value) => value >= 0 && value <= 1, { error: 'must be a share between 0% and 100%' })

const RATE_ERROR = 'must be a rate, as 100/10s or { requests: 100, per: 10s, share: 50% }'

const rateText: z.ZodType<Rate, string> = z
  .string()
  .refine((text) => parseRate(text) !== undefined, { error: RATE_ERROR })
  .transform((text) => ({ requests: 1, per_ms: 1000, ...parseRate(text), share: 1 }))

const rateMap: z.ZodType<Rate, { requests: number; per: string; share?: number | string | undefined }> = z
  .strictObject({
    requests: z.int().min(1),
    per: duration({ min_ms: 1, max_ms: 86_400_000 }),
    share: share.refine((value) => value > 0, { error: 'must be more than 0%' }).default(1),
  })
  .transform(({ requests, per, share: part }) => ({ requests, per_ms: per, share: part }))

export const rate = z.union([rateText, rateMap], { error: RATE_ERROR })
