import type { YAMLError } from 'yaml'

interface Words {
  readonly message: string
  readonly advice: string
}

const QUOTE = 'Put the value in double quotes.'

/**
 * The YAML parser's errors in the operator's words. They are told by their codes: the parser's own messages may quote the
 * text around the error, and that may be a secret (I15).
 */
const WORDS: { readonly [code in YAMLError['code']]?: Words } = {
  TAB_AS_INDENT: { message: 'a tab is used for indentation', advice: 'Indent with spaces; YAML does not allow tabs.' },
  DUPLICATE_KEY: { message: 'this name is written twice in one map', advice: 'Keep one of the two.' },
  BAD_INDENT: {
    message: 'the indentation does not fit the lines above, or a bracket or brace is not closed',
    advice: 'Indent all names of one map alike, and close what is open.',
  },
  BAD_SCALAR_START: { message: 'a plain value cannot start with this character', advice: QUOTE },
  BAD_DQ_ESCAPE: {
    message: 'this backslash sequence is not known',
    advice: 'Write \\\\ for a backslash, or use single quotes.',
  },
  BLOCK_AS_IMPLICIT_KEY: {
    message: 'a second "name: value" stands on one line',
    advice: 'Start a new line, or put the value in double quotes.',
  },
  BLOCK_IN_FLOW: { message: 'a block cannot stand between braces', advice: 'Write { name: value, name: value }.' },
  MISSING_CHAR: {
    message: 'a closing bracket, brace, quote, comma or colon is missing',
    advice: 'Look at this line and the one above.',
  },
  MULTILINE_IMPLICIT_KEY: {
    message: 'a name must stand on one line, before its colon',
    advice: 'Look for a missing colon.',
  },
  MULTIPLE_DOCS: { message: 'the file holds several documents', advice: 'Remove the line "---" and what follows it.' },
  TAG_RESOLVE_FAILED: {
    message: 'YAML tags ("!name") mean nothing here',
    advice: `Remove it. If it is text: ${QUOTE}`,
  },
  BAD_DIRECTIVE: { message: 'this line starts with "%"', advice: QUOTE },
}

/** An alias that names nothing; the parser tells it only when the document is turned into data. */
export const NO_ANCHOR: Words = {
  message: 'this alias names no anchor',
  advice: `If the text shall start with "*": ${QUOTE}`,
}

const OTHERWISE: Words = {
  message: 'this is not valid YAML',
  advice: 'Check indentation, brackets and quotes here and on the line above.',
}

/** What a syntax error says and advises. */
export function explainSyntax(error: YAMLError, text: string): Words {
  // The parser tells a tab before a name as a lack of something else.
  const line = text.slice(text.lastIndexOf('\n', error.pos[0] - 1) + 1).split('\n', 1)[0] ?? ''
  if (/^ *\t/.test(line)) return WORDS.TAB_AS_INDENT ?? OTHERWISE
  return WORDS[error.code] ?? OTHERWISE
}
