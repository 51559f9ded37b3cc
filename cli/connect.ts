import { createInterface } from 'node:readline/promises'
import { adviceFor } from '../engine/core/failure.ts'
import type { Household } from '../workers/household.ts'
import { forget, signIn, type Operator, type SignedIn } from '../workers/signing-in.ts'
import { openBrowser } from './browser.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { clock } from './output.ts'
import { sentence, withHousehold } from './session.ts'

interface ConnectOptions {
  readonly forget?: boolean
  readonly paste?: boolean
  readonly browser: boolean
}

export const registerConnect: Register = (program, run) => {
  program
    .command('connect <connection>')
    .description("Signs a connection in to its app: in the browser, or with the client's own credentials.")
    .option('--forget', 'end the sign-in at the app where it lets us, and forget it')
    .option('--paste', 'ask for the address that the browser ends at: where the browser is on another machine')
    .option('--no-browser', 'show the address and open nothing')
    .addHelpText(
      'after',
      `
For connections with clientId and clientSecret in place of a key or token; see docs/connecting.md. What the app hands out is
kept in the database, sealed with KITH_SECRET_KEY, and renewed by itself. A running daemon goes on with it.

Examples:
  kith connect crm
  kith connect crm --paste
  kith connect crm --forget
${EXIT_CODES}`,
    )
    .action((name: string, options: ConnectOptions, command) =>
      run(command, (context) => withHousehold(context, (household) => connect(context, household, name, options))),
    )
}

async function connect(context: Context, household: Household, name: string, options: ConnectOptions): Promise<number> {
  if (options.forget === true) return await forgetIt(context, household, name)
  const signedIn = await signIn(household, name, operatorOf(context, options), context.signal)
  await tell(context, signedIn)
  return EXIT.done
}

function operatorOf({ output, signal }: Context, { paste, browser }: ConnectOptions): Operator {
  return {
    show: async (url, waitsAt) => {
      await output.say(`Sign in and allow access at:\n\n  ${url}\n`)
      if (waitsAt === null) {
        await output.say('The browser then ends at an address that it may not be able to show. Copy that address.')
        return
      }
      await output.say(`Waiting for the browser to come back to ${waitsAt} (Ctrl-C ends it).`)
      if (browser && process.stdout.isTTY === true) openBrowser(url)
    },
    ...(paste === true
      ? {
          pasted: async () => {
            const terminal = createInterface({ input: process.stdin, output: process.stderr })
            try {
              return await Promise.race([terminal.question('Address: ', { signal }), nothingMore(terminal)])
            } finally {
              terminal.close()
            }
          },
        }
      : {}),
  }
}

/** Rejects when the input ends before a line came. */
async function nothingMore(terminal: ReturnType<typeof createInterface>): Promise<never> {
  await new Promise((resolve) => terminal.once('close', resolve))
  throw new OperatorError('no address came in', 'Run it on a terminal, or give the address on standard input.')
}

async function tell({ output }: Context, signedIn: SignedIn): Promise<void> {
  const { connection, title, account, scopes, accessEnds_ms, renews } = signedIn
  if (output.json) {
    const accessEnds = accessEnds_ms === null ? null : new Date(accessEnds_ms).toISOString()
    await output.print({ connection, app: signedIn.app, account, scopes, accessEnds, renews })
    return
  }
  const which = account['id'] === undefined ? '' : `, account ${account['id']}`
  await output.say(`${output.bold(connection)} is signed in to ${title}${which}.`)
  if (scopes !== null) await output.say(`Granted: ${scopes.join(', ')}`)
  if (accessEnds_ms === null) await output.say('It lasts until it is withdrawn in the app.')
  else if (renews) await output.say('It is renewed by itself.')
  else {
    const end = clock(accessEnds_ms)
    await output.say(output.yellow(`The app gave no way to renew it: it ends at ${end}, and you sign in again.`))
  }
  await output.say('See whether it answers with: kith check')
}

async function forgetIt(context: Context, household: Household, name: string): Promise<number> {
  const { output, signal } = context
  const { wasSignedIn, endedThere, failure } = await forget(household, name, signal)
  if (output.json) {
    await output.print({ connection: name, wasSignedIn, endedThere, ...(failure ? { failure } : {}) })
    return EXIT.done
  }
  if (!wasSignedIn) {
    await output.say(`Nobody was signed in for ${name}.`)
    return EXIT.done
  }
  await output.say(`The sign-in of ${output.bold(name)} is forgotten; nothing is read or written there any more.`)
  if (endedThere) await output.say('The app has ended it, too.')
  else {
    const why = failure ? ` (${sentence(failure.message)} ${adviceFor(failure)})` : ''
    await output.say(output.yellow(`The app has not ended it${why}: take the access away in its settings as well.`))
  }
  return EXIT.done
}
