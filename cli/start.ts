import { setTimeout as pause } from 'node:timers/promises'
import { approvePlan, isApproved, markPlanned, prepareApproval } from '../workers/approve.ts'
import { Daemon } from '../workers/daemon.ts'
import type { Household } from '../workers/household.ts'
import { takeLead } from '../workers/lead.ts'
import { Meter } from '../workers/meter.ts'
import { runToQuiet } from '../workers/quiet.ts'
import type { Log } from '../workers/runtime.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { announce, dataOf, loggedEvents } from './daemon-report.ts'
import { EXIT } from './errors.ts'
import { processLog } from './logging.ts'
import { serve, Telling, type Served } from './serving.ts'
import { atWork, withHousehold } from './session.ts'

/** How long the lead is tried to be had again after the database went away; it may only be starting anew. */
const LEAD_LOST_MS_MAX = 60_000

export const registerStart: Register = (program, run) => {
  program
    .command('start')
    .description('The daemon: keeps everything in agreement until it is stopped (SIGTERM or Ctrl-C).')
    .addHelpText(
      'after',
      `
Logs to standard output: plain lines on a terminal, else one JSON object a line.
On SIGTERM it finishes what is under way and exits with 0; a second signal ends it at once, and loses nothing either.

Examples:
  kith start
  kith start >> kith.log &
${EXIT_CODES}`,
    )
    .action((_options: object, command) => run(command, start))
}

async function start(context: Context): Promise<number> {
  const log = processLog(context.output.json)
  const meter = new Meter()
  const telling = new Telling(loggedEvents(log))
  const work = async (household: Household): Promise<number> => {
    const lead = await Lead.take(household, log)
    let served: Served | null = null
    try {
      await prepareApproval(household)
      announce(log, household, dataOf(household, context.env))
      // Before the apps are reached: what hooks announce meanwhile waits in the inbox.
      served = await serve(household, { meter, telling, log })
      await household.connect(undefined, context.signal)
      for (const { config, failure } of household.connected) {
        if (failure) log.failure('connection failed', config.name, failure)
      }
      const daemon = await Daemon.start(household, { leads: true })
      served?.attach(daemon)
      const ended = Promise.race([lead.lost, aborted(context.signal)])
      try {
        await beginApproval(household, daemon, log, context.signal)
        await ended
        log.info('stopping')
      } finally {
        await served?.close()
        await daemon.stop()
      }
      if (lead.isLost) {
        log.warn('stopped', { reason: 'the database went away, or another daemon has taken over' })
        return EXIT.wrong
      }
      log.info('stopped')
      return EXIT.done
    } finally {
      await served?.close()
      await lead.release()
    }
  }
  return withHousehold(context, work, { log, apps: meter.apps, events: telling.events })
}

/** Where the config has not been approved yet: says what to do, or (with `approval: auto`) approves the first plan. */
async function beginApproval(household: Household, daemon: Daemon, log: Log, signal: AbortSignal): Promise<void> {
  if (await isApproved(household)) return
  if (household.config.approval !== 'auto') {
    log.warn('held', { reason: 'nothing is written until approved', next: 'kith plan, then kith approve' })
    return
  }
  await runToQuiet(daemon, { delivered: false, signal })
  if (signal.aborted) return
  await markPlanned(household)
  log.info('approved', { writes: await approvePlan(household), reason: 'approval: auto' })
  for (const { name } of household.config.connections) await daemon.queues.wakeDeliver(name)
}

/** The daemon's lead: tried to be had again when the database goes away for a moment, as it does when it changes its owner. */
class Lead {
  readonly lost: Promise<void>
  isLost = false
  readonly #household: Household
  readonly #log: Log
  readonly #ending = new AbortController()
  #giveUp: () => void = () => undefined
  #release: () => Promise<void> = () => Promise.resolve()

  static async take(household: Household, log: Log): Promise<Lead> {
    const lead = new Lead(household, log)
    const taken = await takeLead(household, 'start', lead.#onLost)
    if (taken.kind === 'theirs') throw atWork(taken.leader)
    lead.#release = taken.release
    return lead
  }

  private constructor(household: Household, log: Log) {
    this.#household = household
    this.#log = log
    this.lost = new Promise((resolve) => {
      this.#giveUp = () => {
        this.isLost = true
        resolve()
      }
    })
  }

  async release(): Promise<void> {
    this.#ending.abort()
    await this.#release()
  }

  readonly #onLost = (): void => {
    this.#log.warn('database lost', { next: 'it is tried again' })
    void this.#again()
  }

  async #again(): Promise<void> {
    const { signal } = this.#ending
    for (const end = Date.now() + LEAD_LOST_MS_MAX; Date.now() < end && !signal.aborted;) {
      try {
        const taken = await takeLead(this.#household, 'start', this.#onLost)
        if (taken.kind === 'theirs') break
        this.#release = taken.release
        if (signal.aborted) await taken.release()
        this.#log.info('database back')
        return
      } catch {
        await pause(500, undefined, { signal }).catch(() => undefined)
      }
    }
    if (!signal.aborted) this.#giveUp()
  }
}

export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
