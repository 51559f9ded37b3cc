import swagger from '@fastify/swagger'
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod'
import type { z } from 'zod'
import type { Api } from './route.ts'

/** Where the description of the API is served: to anybody, as it holds nothing of anybody's. */
export const OPENAPI_PATH = '/openapi.json'

const zodToJsonConfig = {
  /** Readers know a date by its format, and a whole number by its type: the rest is how zod says the same. */
  override({ jsonSchema }: { jsonSchema: z.core.JSONSchema.BaseSchema }): void {
    if (jsonSchema.format === 'date-time') delete jsonSchema.pattern
    if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
    if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
  },
}

/** The API describes itself from the very schemas that requests and answers are held against. Comes before the routes. */
export async function describe(api: Api): Promise<void> {
  const named = createJsonSchemaTransformObject({ zodToJsonConfig })
  await api.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Kith admin API',
        version: '1',
        description:
          'What operators do: look, pause, decide, take back, bring back, forget. Every act says why, and is recorded with the ' +
          'name of its token. Acts that change much have a preview, which shows what would follow and changes nothing.',
      },
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer', description: 'Made with: kith tokens add <name> --role <role>' },
        },
      },
    },
    transform: createJsonSchemaTransform({ zodToJsonConfig }),
    transformObject: (document) => onlyUsed(named(document) as object),
  })
  api.get(OPENAPI_PATH, { config: { role: 'anybody' }, schema: { hide: true } }, () => api.swagger())
}

/** What programs that are made from the description call a route: `POST /connections/:connection/pause` is postConnectionsPause. */
export function operationIdOf(method: string, path: string): string {
  const words = path.split(/[/.]/).filter((part) => part !== '' && !part.startsWith(':'))
  const one = path.endsWith('/:id') ? ['one'] : []
  return method.toLowerCase() + [...words, ...one].map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
}

/** Every named schema is made in two forms, for what comes in and for what goes out: those that nothing refers to are left out. */
function onlyUsed<Document extends object>(document: Document): Document {
  const { components } = document as { components?: { schemas?: { [name: string]: unknown } } }
  const schemas = components?.schemas ?? {}
  for (let before = -1; before !== Object.keys(schemas).length;) {
    before = Object.keys(schemas).length
    const text = JSON.stringify(document)
    for (const name of Object.keys(schemas)) {
      if (!text.includes(`"#/components/schemas/${name}"`)) delete schemas[name]
    }
  }
  return document
}
