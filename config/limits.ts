import type { BrakeLimits } from '../engine/core/brakes.ts'

/**
 * Every limit and default number of Kith that is not an app's own, each with its unit and its reason. What an operator may
 * change has its place in kith.yaml; the rest is here so that no number hides in code. The pause between attempts and the
 * number of them are in engine/core/failure.ts: the simulation counts on them.
 */

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** A tripped brake drops nothing; so the defaults are low enough to stop a mistake and high enough for a day's work. */
export const BRAKES: BrakeLimits = {
  // A clean-up by hand is a few records; a broken filter or an emptied book is a good part of them.
  deletes: { share: 0.05, min: 10 },
  // An import of a hundred people is a common day; a doubled address book is not.
  creates: { share: 0.2, min: 100 },
  // A script that rewrites one field everywhere is the most frequent accident in a CRM.
  fieldShare: { share: 0.3, min: 50 },
  window_ms: HOUR_MS,
  // A human who changes his mind does it twice or three times; two apps that quarrel never stop.
  flips_max: 6,
}

/** Records, events or people that one job carries: large enough that a chunk costs a handful of statements, small enough
 * that what one transaction locks is free again within some ten milliseconds. */
export const CHUNK_MAX = 100

/** Time between two reads of a connection. A read without changes is one small request, whatever the size of the book. */
export const POLL_MS = MINUTE_MS
export const POLL_MS_MIN = SECOND_MS
export const POLL_MS_MAX = DAY_MS

/** How long a claimed write may stay unanswered before its answer counts as lost: longer than any request may take. */
export const LEASE_MS = 2 * MINUTE_MS

/** How often a commit that lost its compare-and-set is loaded, merged and tried anew before its job is put back. */
export const COMMIT_ATTEMPTS_MAX = 5

/** How often a chunk that came before its predecessor waits for it before the pass is read anew, and how long each time. */
export const EARLY_ATTEMPTS_MAX = 50
export const EARLY_REST_MS = 50

/** Staged records matched, or people planned, in one commit: a larger round is a longer transaction. */
export const MATCH_ROUND_MAX = 200

/** How often a process looks how many others draw on the same accounts: rate budgets are divided among them. */
export const SHARERS_MS = 5 * SECOND_MS

/** Time between two sweeps: they find what lost nudges and dead workers left behind. */
export const SWEEP_MS = 15 * SECOND_MS

/** Apply jobs that one worker process runs at once: two keep a core and its database connection busy together. */
export const APPLY_CONCURRENCY = 4

/** How long SIGTERM waits for jobs under way; what is then unfinished is found by the sweep after the next start. */
export const DRAIN_MS_MAX = 20 * SECOND_MS

/** How long `kith pause` waits for writes under way: an answer that was lost is found out about when its lease has run out. */
export const PAUSE_WAIT_MS = LEASE_MS + 30 * SECOND_MS

/** A pause without an end that is older than this is told loudly: a clean-up takes a day or two, and is then forgotten. */
export const PAUSE_FORGOTTEN_MS = 7 * DAY_MS

/** How long settled writes and change-log entries are kept for `kith why`. */
export const LOG_KEEP_MS = 400 * DAY_MS

/** A key that this many people hold (info@, a switchboard) tells nobody apart. */
export const SHARED_FROM = 3

/** The part before the @ of addresses that belong to a role rather than a person: never a key. */
export const ROLE_ADDRESSES: readonly string[] = [
  'abuse',
  'accounts',
  'admin',
  'billing',
  'contact',
  'hello',
  'help',
  'hostmaster',
  'info',
  'mail',
  'marketing',
  'no-reply',
  'noreply',
  'office',
  'postmaster',
  'sales',
  'service',
  'support',
  'team',
  'webmaster',
]

/** The HTTP server: for this machine only, unless the config says otherwise; the port is "Kith" on a telephone's keys. */
export const SERVER_HOST = '127.0.0.1'
export const SERVER_PORT = 5484

/** The admin API has a port of its own, so that opening the one for webhooks to the internet does not open this one. */
export const ADMIN_HOST = '127.0.0.1'
export const ADMIN_PORT = 5485
/** Requests of one sender: a page that looks every second from several tabs fits well. */
export const ADMIN_RATE = { requests: 1200, per_ms: MINUTE_MS }
/** How long a request waits for an app to be read once more, before it answers from what is known. */
export const ADMIN_READ_MS_MAX = 20 * SECOND_MS
/** How long a stream waits for whoever reads it: it keeps a snapshot of the database open. */
export const ADMIN_STALL_MS_MAX = 30 * SECOND_MS
/** Whoever sends slower than this keeps a socket for nothing; apps send a hook in one packet. */
export const SERVER_HEADERS_MS_MAX = 5 * SECOND_MS
export const SERVER_REQUEST_MS_MAX = 10 * SECOND_MS
/** Sockets open at once; an app keeps ten or so. */
export const SERVER_CONNECTIONS_MAX = 500

/** A hook: the largest that is known of is a hundred events of HubSpot's, some 60 KiB. */
export const HOOK_BODY_BYTES_MAX = 1024 * 1024
/** Hooks of one connection from one sender: far above what an app sends, far below what Kith can answer. */
export const HOOK_RATE = { requests: 1000, per_ms: 10 * SECOND_MS } as const
/** At most one pull in this time comes of hooks: each costs a request of the app's budget. */
export const HOOK_PULL_MS = 2 * SECOND_MS
/** How long an event is known again. A request can be replayed for 5 minutes; an app that got no answer comes back sooner. */
export const HOOK_SEEN_MS = HOUR_MS

/** kith.yaml, a mapping file: larger ones are some other file named by mistake. */
export const CONFIG_BYTES_MAX = 1024 * 1024
/** Nodes of a YAML file after its aliases are followed: a few lines of aliases can otherwise fill the memory. */
export const CONFIG_NODES_MAX = 100_000
/** Levels of a YAML file, its aliases followed; one that names itself has no end. */
export const CONFIG_DEPTH_MAX = 64
/** A secret read from a file; service-account keys are some 3 KiB. */
export const SECRET_BYTES_MAX = 64 * 1024
/** Filters within filters. */
export const INCLUDE_DEPTH_MAX = 16

/** A backup is a file of everything: one a day is worth its place on the disk, one a minute is not. */
export const BACKUP_EVERY_MS = DAY_MS
export const BACKUP_EVERY_MS_MIN = 10 * MINUTE_MS
export const BACKUP_EVERY_MS_MAX = 31 * DAY_MS
/** Two weeks of daily ones: long enough to find out late. */
export const BACKUP_KEEP = 14
/** Time until a backup that failed is tried again: a disk that is full is not emptied by asking. */
export const BACKUP_RETRY_MS = 10 * MINUTE_MS
