import { stringify } from 'yaml'
import type { JsonObject } from '../engine/core/json.ts'

export interface StarterConnection {
  readonly name: string
  readonly app: string
  readonly options: JsonObject
}

/**
 * The text of a first kith.yaml. Secrets belong into it as `${NAME}` or `file:./path` only.
 * @param schema where the editor finds the JSON schema, relative to the file
 */
export function starter(connections: readonly StarterConnection[], schema = './.kith/kith.schema.json'): string {
  const lines = connections.map(({ name, app, options }) => {
    const flow = stringify({ [name]: { app, ...options } }, { collectionStyle: 'flow', lineWidth: 0 }).trim()
    // The outer braces are the file's own map.
    return `  ${flow.slice(1, -1).trim()}`
  })
  return `# yaml-language-server: $schema=${schema}

# The accounts to keep in agreement, each under a name of your own.
connections:
${lines.join('\n')}

# Everything below is optional, and shows the defaults or an example.

# Phone numbers written without a country code are read as numbers of this country.
# region: DE

# Who wins, field by field: latest (the default), fill, manual, { owner: connection }, { prefer: [connection, connection] }
# fields:
#   title: { owner: ${connections[0]?.name ?? 'crm'} }

# The first sync waits for: kith approve
# approval: first
`
}
