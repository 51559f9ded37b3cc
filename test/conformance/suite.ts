import { describe, expect, test } from '@jest/globals'
import { describeFailing } from './failing.ts'
import { FAULTS, type Harness, type World } from './harness.ts'
import { describeMerging } from './merging.ts'
import { describeReading } from './reading.ts'
import { describeWriting } from './writing.ts'

export type { Harness, World } from './harness.ts'

// Titles and bodies come from the groups below, and a skipped test names its reason.
// oxlint-disable jest/valid-title, jest/valid-describe-callback, jest/expect-expect, jest/no-disabled-tests

/**
 * The suite that every connector passes: what engine/core/ports/connector.ts promises, and that what the connector declares
 * is true. A test whose capability or fault is not there is reported as skipped, by name.
 */
export function describeConnector(name: string, harness: Harness): void {
  describe(`the ${name} connector`, () => {
    describeAll(
      new Bench(harness, {
        group: (title, body) => describe(title, body),
        test: (title, body) => test(title, body),
        skip: (title, body) => test.skip(title, body),
      }),
    )
  })
}

/** Reports, by name, that a connector could not be tested here. */
export function skipConnector(name: string, reason: string): void {
  test.skip(`the ${name} connector [${reason}]`, () => undefined)
}

/**
 * Runs the suite in the middle of a test, and returns the titles of what failed: for the tests of the suite itself, which
 * must notice a connector that lies.
 */
export async function findingsOf(harness: Harness): Promise<string[]> {
  const tests: [string, () => Promise<void>][] = []
  const bench = new Bench(harness, {
    group: (_, body) => body(),
    test: (title, body) => void tests.push([title, body]),
    skip: () => undefined,
  })
  describeAll(bench)
  const failed: string[] = []
  for (const [title, body] of tests) await body().catch(() => failed.push(title))
  return failed
}

function describeAll(bench: Bench): void {
  const { harness } = bench
  bench.test('declares what this harness expects of it', undefined, async ({ connector, faults }) => {
    expect(connector.capabilities).toEqual(harness.capabilities)
    expect(connector.find !== undefined).toBe(harness.capabilities.createKey === 'search')
    expect(connector.merge !== undefined).toBe(harness.capabilities.merge === true)
    for (const fault of FAULTS) {
      expect([fault, faults?.[fault] !== undefined]).toEqual([fault, harness.faults.includes(fault)])
    }
  })
  describeReading(bench)
  describeWriting(bench)
  describeMerging(bench)
  describeFailing(bench)
}

/** Where tests are put: jest's own registration, or a list. */
interface Register {
  group(title: string, body: () => void): void
  test(title: string, body: () => Promise<void>): void
  skip(title: string, body: () => Promise<void>): void
}

/** A harness, and a fresh world for each test. */
export class Bench {
  readonly harness: Harness
  readonly #register: Register

  constructor(harness: Harness, register: Register) {
    this.harness = harness
    this.#register = register
  }

  group(title: string, body: () => void): void {
    this.#register.group(title, body)
  }

  /** A test in a fresh world; skipped by name when `missing` names a reason. */
  test(title: string, missing: string | false | undefined, body: (world: World) => Promise<void>): void {
    if (missing) this.#register.skip(`${title} [${missing}]`, () => this.#with(body))
    else this.#register.test(title, () => this.#with(body))
  }

  /** The reason to skip a test that needs a fault, where the harness does not have it. */
  lacks(...faults: Harness['faults'][number][]): string | false {
    const missing = faults.filter((fault) => !this.harness.faults.includes(fault))
    return missing.length > 0 && `this harness has no ${missing.join(', ')}`
  }

  async #with(body: (world: World) => Promise<void>): Promise<void> {
    const world = await this.harness.start()
    try {
      await body(world)
    } finally {
      await world.connector.close()
      await world.stop()
    }
  }
}
