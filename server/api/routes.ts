import { accessRoutes } from './access.ts'
import { actRoutes } from './acts.ts'
import { pauseRoutes } from './pauses.ts'
import { reviewRoutes } from './review.ts'
import type { ApiRoutes } from './route.ts'
import { statusRoutes } from './status.ts'

/** Every capability of the API, in the order in which its description tells them. */
export const routes: readonly ApiRoutes[] = [statusRoutes, pauseRoutes, reviewRoutes, actRoutes, accessRoutes]
