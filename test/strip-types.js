import { stripTypeScriptTypes } from 'node:module'

/** Jest's view of our TypeScript: what Node itself makes of it. */
export default { process: (source) => ({ code: stripTypeScriptTypes(source) }) }
