import type { Household } from '../workers/household.ts'
import type { ReviewItem } from '../workers/review-items.ts'
import type { Decided } from '../workers/review-round.ts'
import { amendedConfig, ruleFor, writeConfig } from '../workers/review-rules.ts'
import { confirm } from './ask.ts'
import type { Context } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import type { ReviewOptions } from './review-decision.ts'

/** Shows the rule that would decide such cases; with `--write`, the difference it makes, and puts it into kith.yaml. */
export async function showRule(
  context: Context,
  { config, store }: Household,
  item: ReviewItem,
  choose: string,
  options: Pick<ReviewOptions, 'write' | 'yes'>,
  decided?: Decided,
): Promise<number> {
  const { output, configFile, env } = context
  const told = decided ? { decided: decided.acts.length, ...decided } : {}
  const rule = await ruleFor(config, store, item, choose)
  if ('none' in rule) {
    if (output.json) await output.print({ ...told, rule: null, why: rule.none })
    await output.say(rule.none)
    return EXIT.done
  }
  await output.say(`\n${rule.yaml}\n\n${output.dim(`It would say: ${rule.meaning}.`)}`)
  if (options.write !== true) {
    if (output.json) await output.print({ ...told, rule: rule.yaml, meaning: rule.meaning, written: false })
    return EXIT.done
  }
  const amended = await amendment(configFile, rule.amendment)
  await output.say(`\n${amended.diff.map((line) => coloured(output, line)).join('\n')}\n`)
  const answer =
    options.yes === true || amended.diff.length === 0 ? true : await confirm(context, `Write it into ${configFile}?`)
  const written = answer === true && amended.diff.length > 0
  if (written) await writeConfig({ configFile, env }, amended)
  if (output.json) await output.print({ ...told, rule: rule.yaml, meaning: rule.meaning, diff: amended.diff, written })
  if (written) await output.say(`Written into ${configFile}. Start Kith again; kith plan shows what it changes.`)
  else if (amended.diff.length === 0) await output.say(`${configFile} says so already.`)
  else await output.say('Nothing was written. Write it with: --rule --write --yes')
  return written || amended.diff.length === 0 ? EXIT.done : EXIT.held
}

async function amendment(file: string, rule: Parameters<typeof amendedConfig>[1]) {
  try {
    return await amendedConfig(file, rule)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new OperatorError(
      `the rule cannot be put into ${file}: ${error.message}`,
      'Write the lines above in by hand.',
    )
  }
}

function coloured(output: Context['output'], line: string): string {
  return line.startsWith('+') ? output.green(line) : line.startsWith('-') ? output.red(line) : output.dim(line)
}
