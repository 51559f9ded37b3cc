import { describe, expect, test } from '@jest/globals'
import { jsonSchema } from '../../config/json-schema.ts'
import { starter } from '../../config/starter.ts'
import type { JsonObject } from '../../engine/core/json.ts'
import { APPS, load } from './apps.ts'

describe('the schema for editors', () => {
  const schema = jsonSchema(APPS)
  const text = JSON.stringify(schema)

  test('knows the options of every app beside the common ones', () => {
    const connections = (schema['properties'] as JsonObject)['connections'] as JsonObject
    const apps = (connections['additionalProperties'] as JsonObject)['anyOf'] as JsonObject[]
    expect(apps.map(({ title }) => title)).toEqual(['dav', 'folder'])
    expect(apps[0]).toMatchObject({ required: ['app', 'url', 'username', 'password'], additionalProperties: false })
    expect(Object.keys(apps[0]?.['properties'] as JsonObject)).toEqual(
      expect.arrayContaining(['app', 'direction', 'include', 'mapping', 'url', 'password']),
    )
  })

  test('refers to nothing that is not in it, and every reference is whole after the parts were joined', () => {
    const references = [...text.matchAll(/"\$ref":"#\/\$defs\/([^"]+)"/g)].map(([, name]) => name)
    expect(references.length).toBeGreaterThan(0)
    for (const name of references) expect(Object.keys(schema['$defs'] as JsonObject)).toContain(name)
    expect(text).not.toContain('"$ref":"#"')
  })

  test('allows a number to come from the environment', () => {
    expect(text).toContain(JSON.stringify({ type: 'string', pattern: '\\$\\{' }))
  })
})

test('the starter is a config that works, with the editor line on top and no warning', async () => {
  const written = starter([
    {
      name: 'office',
      app: 'dav',
      options: { url: 'https://x.example/a b', username: 'ada', password: '${OFFICE_PASSWORD}' },
    },
    { name: 'phone', app: 'folder', options: { path: './phone: #1' } },
  ])
  expect(written.split('\n')[0]).toMatch(/^# yaml-language-server: \$schema=\.\//)
  const { config, errors, warnings } = await load(written, { OFFICE_PASSWORD: 'x' })
  expect(errors).toEqual([])
  expect(warnings).toEqual([])
  expect(config?.connections.map(({ name }) => name)).toEqual(['office', 'phone'])
  expect(config?.connections[1]?.options).toEqual({ path: './phone: #1' })
})
