import { confirm as ask, isCancel } from '@clack/prompts'
import type { Context } from './context.ts'

/**
 * Asks before something is done, where somebody can answer.
 *
 * @returns null where nobody can: no terminal, or JSON is printed
 */
export async function confirm(context: Context, question: string): Promise<boolean | null> {
  if (!canAsk(context)) return null
  const answer = await ask({ message: question, initialValue: false, signal: context.signal })
  return !isCancel(answer) && answer
}

/** Whether somebody sits there who can answer. */
export function canAsk({ output }: Pick<Context, 'output'>): boolean {
  return !output.json && process.stdin.isTTY === true && process.stdout.isTTY === true
}
