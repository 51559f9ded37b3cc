/**
 * Keeps formulas out of spreadsheets. A cell that begins with = + - @ or a tab is run as a formula by Excel and LibreOffice,
 * also where its text came from a web form; a leading apostrophe makes it plain text (OWASP, "CSV injection").
 *
 * The guard round-trips exactly: `unguard(guard(value)) === value` for every text. Names that begin with an apostrophe
 * ('t Hooft) stay as they are, and so do phone numbers and negative numbers, which no program can be harmed by.
 */
export function guard(value: string): string {
  return needsGuard(value) ? `'${value}` : value
}

/** The value of a cell's text: without the apostrophe that {@link guard} put there. */
export function unguard(text: string): string {
  return text.startsWith("'") && needsGuard(text.slice(1)) ? text.slice(1) : text
}

// Apostrophes in front are looked through, or a value that is itself "'=1" would come back as "=1".
function needsGuard(value: string): boolean {
  const bare = value.replace(/^'+/, '')
  if (/^[\t\r\n]/.test(bare) || /^\s*[=@\uFF1D\uFF0B\uFF0D\uFF20]/.test(bare)) return true
  return /^\s*[+-]/.test(bare) && !HARMLESS.test(bare)
}

/** A sign, then digits and what people write between the digits of a phone number. */
const HARMLESS = /^ *[+-][\d \u00a0().\-/]*$/
