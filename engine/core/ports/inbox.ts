/** What an app's hook has announced, once it is believed. */
export interface Announced {
  readonly connection: string
  /** Stable over the app's retries; none where the app names none, and then nothing is ever taken for a repetition. */
  readonly eventIds: readonly string[]
  /** Records to be read by their ids. */
  readonly records: readonly string[]
  readonly now_ms: number
}

/** A record that was announced and not read yet; `mark` grows each time it is announced. */
export interface AnnouncedRecord {
  readonly recordId: string
  readonly mark: number
}

/**
 * What hooks have announced, kept until it was acted on: so that an answered hook is neither forgotten with the process that
 * answered it nor acted on twice. Many processes may use it at once. Nothing rests on it but time: whatever it loses, the
 * cursor finds.
 *
 * @throws StoreUnavailableError from any method when the database cannot be reached
 */
export interface Inbox {
  /** Takes an announcement: durable when this resolves. @returns false where each of its events was taken before */
  take(announced: Announced): Promise<boolean>
  /** Records of a connection that were announced and not heard yet, the longest waiting first. */
  waiting(connection: string, limit: number): Promise<AnnouncedRecord[]>
  /** They were read. One that was announced again meanwhile stays. */
  heard(connection: string, records: readonly AnnouncedRecord[]): Promise<void>
  /** Connections of which records wait. */
  connections(): Promise<string[]>
  /** Forgets events seen before `before_ms`, and records that have waited since before then. Returns how many. */
  prune(before_ms: number): Promise<number>
  close(): Promise<void>
}
