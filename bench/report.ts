/** One measured figure beside its goal. */
export interface Figure {
  readonly what: string
  readonly value: number
  readonly unit: string
  /** What is to be reached, and on which side of it the value shall lie. */
  readonly goal?: { readonly most: number } | { readonly least: number }
  /** Each run's value, where there were several. */
  readonly runs?: readonly number[]
  readonly remark?: string
}

/** What one bench found. */
export interface Finding {
  readonly title: string
  readonly figures: readonly Figure[]
  /** Tables that show where the time went. */
  readonly tables?: readonly Table[]
}

export interface Table {
  readonly title: string
  readonly headings: readonly string[]
  readonly rows: readonly (readonly (string | number)[])[]
}

export function reached({ value, goal }: Figure): boolean | null {
  if (!goal) return null
  return 'most' in goal ? value <= goal.most : value >= goal.least
}

export function printFinding(finding: Finding): string {
  const rows = finding.figures.map((figure) => {
    const verdict = reached(figure)
    const goal = figure.goal ? ('most' in figure.goal ? `≤ ${figure.goal.most}` : `≥ ${figure.goal.least}`) : ''
    const runs = figure.runs && figure.runs.length > 1 ? figure.runs.map(short).join(' ') : ''
    const mark = verdict === null ? '' : verdict ? 'reached' : 'NOT REACHED'
    return [figure.what, `${short(figure.value)} ${figure.unit}`.trim(), goal, mark, figure.remark ?? runs]
  })
  const main = printTable({ title: finding.title, headings: ['', 'median', 'goal', '', 'runs'], rows })
  return [main, ...(finding.tables ?? []).map(printTable)].join('\n')
}

/** A table as Markdown, its columns lined up: to be read in a terminal and kept in docs/benchmarks.md. */
export function printTable({ title, headings, rows }: Table): string {
  const texts = [headings, ...rows].map((row) => row.map((cell) => (typeof cell === 'number' ? short(cell) : cell)))
  const widths = headings.map((_, column) => Math.max(3, ...texts.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  return [`\n${title}\n`, line(texts[0] ?? []), rule, ...texts.slice(1).map(line)].join('\n')
}

/** Three digits that count are all that a shared machine can tell. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return 'none'
  if (Number.isInteger(value) || Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return Number(value.toPrecision(3)).toString()
}
