import { excluder, type Erasure } from '../engine/core/erasure.ts'
import type { Link, Store } from '../engine/core/ports/store.ts'
import { ActRefusedError } from './acts.ts'
import { erasureSteps, type ErasureStep } from './erasures.ts'
import { waive, type ForgetWish } from './forget.ts'
import type { Runtime } from './runtime.ts'

/** An erasure as it stands. */
export interface ErasureNews {
  readonly erasure: Erasure
  /** Of an open one: where each record stands. */
  readonly steps: readonly ErasureStep[]
  /** Records that somebody has made of the person since, and that it keeps out. */
  readonly back: readonly Link[]
}

/** Erasures as they stand, newest first. */
export async function erasureNews(
  runtime: Pick<Runtime, 'store' | 'rules'>,
  filter: Parameters<Store['erasures']>[0],
): Promise<ErasureNews[]> {
  const { store } = runtime
  const erasures = await store.erasures(filter)
  const ids = new Set(erasures.map(({ id }) => id))
  const back: Link[] = []
  if (ids.size > 0) {
    for await (const link of store.links({ state: 'erased' })) if (ids.has(excluder(link) ?? '')) back.push(link)
  }
  const news: ErasureNews[] = []
  for (const erasure of erasures) {
    const steps = erasure.state === 'open' ? await erasureSteps(runtime, erasure) : []
    news.push({ erasure, steps, back: back.filter((link) => excluder(link) === erasure.id) })
  }
  return news
}

/**
 * A connection of an open erasure is not waited for any more; see {@link waive}.
 * @throws ActRefusedError where nothing waits for it
 */
export async function waiveConnection(
  runtime: Runtime,
  erasure: Erasure,
  connection: string,
  wish: ForgetWish,
): Promise<void> {
  const steps = erasure.state === 'open' ? await erasureSteps(runtime, erasure) : []
  if (!steps.some((step) => step.connection === connection && step.state === 'waiting')) {
    throw new ActRefusedError(`nothing of the erasure waits for ${connection}`)
  }
  await waive(runtime, erasure, connection, wish)
}
