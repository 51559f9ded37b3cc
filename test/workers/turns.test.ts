import { expect, test } from '@jest/globals'
import { Turns } from '../../workers/turns.ts'

const chunk = (number: number, connection = 'crm', pass = 1) => ({ connection, pass, chunk: number })

function gate(): { readonly opened: Promise<void>; open(): void; fail(error: Error): void } {
  let open = (): void => undefined
  let fail = (_error: Error): void => undefined
  const opened = new Promise<void>((resolve, reject) => {
    open = resolve
    fail = reject
  })
  return { opened, open, fail }
}

interface Scene {
  readonly written: string[]
  readonly run: (name: string, of: ReturnType<typeof chunk>, ready: Promise<void>) => Promise<void>
}

/** Chunks that write their number down when it is their turn. */
function scene(): Scene {
  const turns = new Turns()
  const written: string[] = []
  return {
    written,
    run: (name, of, ready) =>
      turns.run(of, async (turn) => {
        await ready
        await turn
        written.push(name)
      }),
  }
}

test('chunks of one pass that decide side by side commit in their order', async () => {
  const { written, run } = scene()
  const first = gate()
  const runs = [run('one', chunk(1), first.opened), run('two', chunk(2), Promise.resolve())]
  runs.push(run('three', chunk(3), Promise.resolve()))
  first.open()
  await Promise.all(runs)
  expect(written).toEqual(['one', 'two', 'three'])
})

test('a chunk that fails does not keep the next one waiting, and its failure stays its own', async () => {
  const { written, run } = scene()
  const first = gate()
  const failing = run('one', chunk(1), first.opened)
  const next = run('two', chunk(2), Promise.resolve())
  first.fail(new Error('the app does not answer'))
  await expect(failing).rejects.toThrow('does not answer')
  await next
  expect(written).toEqual(['two'])
})

test('nobody waits for another connection, another pass, or a chunk that is not here', async () => {
  const { written, run } = scene()
  const never = gate()
  const waiting = run('crm 1', chunk(1), never.opened)
  await run('desk 2', chunk(2, 'desk'), Promise.resolve())
  await run('crm, pass 2', chunk(2, 'crm', 2), Promise.resolve())
  await run('crm 7', chunk(7), Promise.resolve())
  expect(written).toEqual(['desk 2', 'crm, pass 2', 'crm 7'])
  never.open()
  await waiting
})
