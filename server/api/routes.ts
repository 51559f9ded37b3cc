import { accessRoutes } from './access.ts'
import { accountRoutes } from './accounts.ts'
import { actRoutes } from './acts.ts'
import { auditRoutes } from './audit.ts'
import { backtestRoutes } from './backtest.ts'
import { backupRoutes } from './backups.ts'
import { consentRoutes } from './consents.ts'
import { erasureRoutes } from './erasures.ts'
import { exportRoutes } from './export.ts'
import { healthRoutes } from './health.ts'
import { mergeRoutes } from './merge.ts'
import { parkedRoutes } from './parked.ts'
import { pauseRoutes } from './pauses.ts'
import { peopleRoutes } from './people.ts'
import { planRoutes } from './plan.ts'
import { reviewRoutes } from './review.ts'
import type { ApiRoutes } from './route.ts'
import { statusRoutes } from './status.ts'
import { undoRoutes } from './undo.ts'

/** Every capability of the API, in the order in which its description tells them. */
export const routes: readonly ApiRoutes[] = [
  statusRoutes,
  healthRoutes,
  peopleRoutes,
  planRoutes,
  pauseRoutes,
  reviewRoutes,
  mergeRoutes,
  undoRoutes,
  parkedRoutes,
  consentRoutes,
  auditRoutes,
  erasureRoutes,
  exportRoutes,
  backupRoutes,
  backtestRoutes,
  accountRoutes,
  actRoutes,
  accessRoutes,
]
