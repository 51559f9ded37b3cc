import { sql as tables } from './0001-tables.ts'
import { sql as commit } from './0002-commit.ts'
import { sql as tokens } from './0003-tokens.ts'
import { sql as inbox } from './0004-inbox.ts'
import { sql as apart } from './0005-apart.ts'
import { sql as undo } from './0006-undo.ts'
import { sql as pause } from './0007-pause.ts'
import { sql as erasure } from './0008-erasure.ts'
import { sql as access } from './0009-access.ts'
import { sql as excluded } from './0010-excluded.ts'

/** In the order in which they run. One that has been released is never edited: what is to change gets a number of its own. */
export const migrations: readonly { readonly number: number; readonly name: string; readonly sql: string }[] = [
  { number: 1, name: 'tables', sql: tables },
  { number: 2, name: 'commit', sql: commit },
  { number: 3, name: 'tokens', sql: tokens },
  { number: 4, name: 'inbox', sql: inbox },
  { number: 5, name: 'apart', sql: apart },
  { number: 6, name: 'undo', sql: undo },
  { number: 7, name: 'pause', sql: pause },
  { number: 8, name: 'erasure', sql: erasure },
  { number: 9, name: 'access', sql: access },
  { number: 10, name: 'excluded', sql: excluded },
]
