import { open } from 'node:fs/promises'
import type { Diagnostic } from './diagnostics.ts'
import { CONFIG_BYTES_MAX } from './limits.ts'
import { codeOf } from './secrets.ts'
import { parseSource, Source, type Environment, type Path } from './source.ts'

/**
 * Reads a YAML file of the operator's. Whatever is wrong with it comes back as problems; `value` is then undefined unless
 * the shape could be read.
 *
 * @param literal which values keep their `${...}`
 * @param missing what to advise when there is no such file
 */
export async function readSource(
  file: string,
  env: Environment,
  literal: (path: Path) => boolean,
  missing: string,
): Promise<{ source: Source; problems: Diagnostic[] }> {
  const text = await readText(file)
  if ('reason' in text) {
    const advice = text.code === 'ENOENT' ? missing : text.advice
    const problem = { file, line: 1, column: 1, message: text.reason, advice }
    return { source: parseSource(file, '', env).source, problems: [problem] }
  }
  const { source, problems } = parseSource(file, text.text, env, (path) => !literal(path))
  if (problems.length > 0 || (source.value !== undefined && source.value !== null)) return { source, problems }
  return { source, problems: [{ file, line: 1, column: 1, message: 'the file is empty', advice: missing }] }
}

type Text = { readonly text: string } | { readonly reason: string; readonly code: string; readonly advice: string }

async function readText(file: string): Promise<Text> {
  try {
    await using handle = await open(file)
    const { size } = await handle.stat()
    if (size > CONFIG_BYTES_MAX) {
      return {
        reason: `the file is larger than ${CONFIG_BYTES_MAX} bytes`,
        code: 'EFBIG',
        advice: 'Is it the right file?',
      }
    }
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(await handle.readFile()) }
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
      return { reason: 'the file is not UTF-8 text', code, advice: 'Save it as UTF-8.' }
    }
    return { reason: `the file cannot be read (${code})`, code, advice: 'Check its path and permissions.' }
  }
}
