import type { Household } from '../workers/household.ts'
import type { Decision } from '../workers/review.ts'
import type { Context } from './context.ts'
import { findPerson } from './find-person.ts'
import { operatorOf } from './operator.ts'

/** What is typed after `kith review`. */
export interface ReviewOptions {
  readonly choose?: string
  readonly to?: string
  readonly value?: string
  readonly allLike?: boolean | string
  readonly rule?: boolean
  readonly write?: boolean
  readonly why?: string
  readonly by?: string
  readonly yes?: boolean
  readonly kind?: string
  readonly connection?: string
  readonly limit: number
  readonly all?: boolean
  readonly list?: boolean
}

/** The decision that the options name. */
export async function decisionOf(
  { env }: Pick<Context, 'env'>,
  { store }: Household,
  options: Pick<ReviewOptions, 'to' | 'value' | 'why' | 'by'>,
  choose: string,
): Promise<Decision> {
  return {
    choose,
    by: operatorOf(options.by, env),
    why: options.why ?? '',
    ...(options.to === undefined ? {} : { person: (await findPerson(store, options.to)).id }),
    ...(options.value === undefined ? {} : { value: options.value }),
  }
}
