import { ROLES, type AccessToken, type Role } from '../engine/core/access.ts'
import { grantAccess, revokeAccess, type AccessDesk } from '../workers/access.ts'
import { ActRefusedError } from '../workers/acts.ts'
import { accessDocument } from '../workers/documents/access.ts'
import type { Household } from '../workers/household.ts'
import { newId } from '../workers/new-id.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { operatorOf } from './operator.ts'
import { ago, clock, table } from './output.ts'
import { untilOf } from './pause.ts'
import { withHousehold } from './session.ts'
import { plain } from './words.ts'

interface TokenOptions {
  readonly role?: string
  readonly expires?: string
  readonly why?: string
  readonly by?: string
  readonly all?: boolean
}

const ACTIONS = ['list', 'add', 'revoke'] as const

export const registerTokens: Register = (program, run) => {
  program
    .command('tokens')
    .argument('[action]', 'list, add or revoke', 'list')
    .argument('[name]', 'with add and revoke: who uses the token')
    .description('Who may use the admin API: makes tokens, lists them, revokes them.')
    .option('--role <role>', `with add: ${ROLES.join(', ')}`)
    .option('--expires <time>', 'with add: when it ends: 90d, 2027-01-31; otherwise when it is revoked')
    .option('--why <text>', 'why, for the record')
    .option('--by <name>', 'who does it; otherwise the name you are logged in with')
    .option('--all', 'with list: revoked and expired ones, too')
    .addHelpText(
      'after',
      `
viewer    looks, and previews what an act would lead to
operator  acts: pause, resume, review, merge, undo, approve, clean up, consent, backup
admin     also what cannot be taken back: forget, restore, tokens

A token is shown once, when it is made; Kith keeps only a digest of it. What is done with it is recorded under its name.
The API is served by kith start where kith.yaml has a section admin:, see docs/api.md.

Examples:
  kith tokens add dashboard --role viewer
  kith tokens add ada --role operator --expires 90d --why "on call"
  kith tokens revoke dashboard
${EXIT_CODES}`,
    )
    .action((action: string, name: string | undefined, options: TokenOptions, command) =>
      run(command, (context) =>
        withHousehold(context, (household) => tokens(context, household, action, name, options)),
      ),
    )
}

async function tokens(
  context: Context,
  household: Household,
  word: string,
  name: string | undefined,
  options: TokenOptions,
): Promise<number> {
  const action = ACTIONS.find((known) => known === word)
  if (!action) throw new OperatorError(`"${word}" is nothing to do with tokens`, `Say ${ACTIONS.join(', ')}.`)
  if (action === 'list') return list(context, household, options.all === true)
  if (name === undefined || name.trim() === '') {
    throw new OperatorError('say whose token it is', `For example: kith tokens ${action} dashboard`)
  }
  try {
    const work = action === 'add' ? add : revoke
    return await work(context, household, name.trim(), options)
  } catch (error) {
    if (!(error instanceof ActRefusedError)) throw error
    throw new OperatorError(error.message, 'See: kith tokens')
  }
}

async function list({ output }: Context, { access }: Household, all: boolean): Promise<number> {
  const now_ms = Date.now()
  const found = (await access.list()).map((token) => [token, accessDocument(token, now_ms)] as const)
  const shown = found.filter(([, { state }]) => all || state === 'valid')
  if (output.json) {
    await output.print({ tokens: shown.map(([, document]) => document) })
    return EXIT.done
  }
  if (shown.length === 0) {
    await output.say('Nobody has a token. Make one with: kith tokens add <name> --role viewer')
    return EXIT.done
  }
  const rows = shown.map(([token, { state }]) => row(token, state, now_ms))
  await output.say(table(['name', 'role', '', 'made', 'by', 'expires', 'used'], rows))
  return EXIT.done
}

function row(token: AccessToken, state: string, now_ms: number): string[] {
  const { name, role, made_ms, madeBy, expires_ms, used_ms } = token
  const expires = expires_ms === null ? '-' : clock(expires_ms)
  return [plain(name), role, state, clock(made_ms), plain(madeBy), expires, ago(used_ms, now_ms)]
}

async function add(context: Context, household: Household, name: string, options: TokenOptions): Promise<number> {
  const { output, env } = context
  const { token, secret } = await grantAccess(deskOf(household), {
    name,
    role: roleOf(options.role),
    expires_ms: untilOf(options.expires, Date.now()),
    by: operatorOf(options.by, env),
    why: options.why ?? '',
  })
  if (output.json) {
    await output.print({ token: accessDocument(token, Date.now()), secret })
    return EXIT.done
  }
  await output.complain(`The token of ${plain(name)} (${token.role}). It is shown this once:`)
  await output.say(secret)
  if (household.config.admin === null) {
    await output.complain(
      'The admin API is not served yet: add a section admin: {} to kith.yaml, then start Kith again.',
    )
  }
  return EXIT.done
}

async function revoke(context: Context, household: Household, name: string, options: TokenOptions): Promise<number> {
  const { output, env } = context
  const by = operatorOf(options.by, env)
  const token = await revokeAccess(deskOf(household), { name, by, why: options.why ?? '' })
  if (output.json) await output.print({ token: accessDocument(token, Date.now()) })
  await output.say(`Revoked: ${plain(name)}. The next request with it is refused.`)
  return EXIT.done
}

function roleOf(word: string | undefined): Role {
  const role = ROLES.find((known) => known === word)
  if (role) return role
  const what = word === undefined ? 'say what the token may do' : `there is no role ${word}`
  throw new OperatorError(what, `Add --role with one of: ${ROLES.join(', ')}.`)
}

/** Neither an app nor a queue is needed for it. */
function deskOf({ store, access }: Household): AccessDesk {
  return { store, access, now: Date.now, newId }
}
