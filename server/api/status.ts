import { StatusDocument, statusDocument } from '../../workers/documents/status.ts'
import type { ApiRoutes } from './route.ts'

const tags = ['Status']

export const statusRoutes: ApiRoutes = (api, { household }) => {
  api.get(
    '/status',
    {
      config: { role: 'viewer' },
      schema: { tags, summary: 'Where each connection stands. Asks no app.', response: { 200: StatusDocument } },
    },
    () => statusDocument(household, Date.now()),
  )
}
