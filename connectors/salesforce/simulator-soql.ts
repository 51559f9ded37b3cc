/**
 * As much of SOQL as a simulated org understands: SELECT of columns or COUNT(), FROM one object, WHERE with AND, OR and parentheses,
 * ORDER BY, LIMIT. Anything else is refused as malformed, as Salesforce does.
 */
export interface Query {
  /** null for COUNT(). */
  readonly columns: readonly string[] | null
  readonly object: string
  readonly where: Condition | null
  readonly orderBy: readonly { readonly column: string; readonly descending: boolean }[]
  readonly limit: number | null
}

export type Literal =
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'moment'; readonly value: number }
  | { readonly kind: 'bare'; readonly value: number | boolean | null }

interface Comparison {
  readonly kind: 'compare'
  readonly column: string
  readonly operator: Operator
  readonly values: readonly Literal[]
}

export type Condition =
  | { readonly kind: 'all'; readonly of: readonly Condition[] }
  | { readonly kind: 'any'; readonly of: readonly Condition[] }
  | Comparison

export type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=' | 'IN'

export class MalformedQuery extends Error {}

const TOKEN =
  /\s*(?:('(?:[^'\\]|\\.)*')|(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))|(-?\d+(?:\.\d+)?)|([A-Za-z_][\w.]*)|(<=|>=|!=|[=<>(),]))/y

const UNESCAPED: { readonly [letter: string]: string } = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' }

export function parseSoql(text: string): Query {
  return new Parser(tokens(text)).query()
}

function tokens(text: string): string[] {
  const found: string[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const token = TOKEN.exec(text)
    if (!token) throw new MalformedQuery('unexpected token')
    found.push(token[0].trim())
  }
  return found
}

class Parser {
  readonly #tokens: readonly string[]
  #at = 0

  constructor(list: readonly string[]) {
    this.#tokens = list
  }

  query(): Query {
    this.#expect('SELECT')
    const columns = this.#columns()
    this.#expect('FROM')
    const object = this.#next()
    const where = this.#takes('WHERE') ? this.#any() : null
    const orderBy = this.#takes('ORDER') ? this.#orderBy() : []
    const limit = this.#takes('LIMIT') ? Number(this.#next()) : null
    if (this.#at < this.#tokens.length) throw new MalformedQuery(`unexpected token: ${this.#next()}`)
    return { columns, object, where, orderBy, limit }
  }

  #columns(): string[] | null {
    const first = this.#next()
    if (first.toUpperCase() === 'COUNT') {
      this.#expect('(')
      this.#expect(')')
      return null
    }
    const columns = [first]
    while (this.#takes(',')) columns.push(this.#next())
    return columns
  }

  #orderBy(): Query['orderBy'] {
    this.#expect('BY')
    const columns: { column: string; descending: boolean }[] = []
    do {
      const column = this.#next()
      const descending = this.#takes('DESC')
      if (!descending) this.#takes('ASC')
      columns.push({ column, descending })
    } while (this.#takes(','))
    return columns
  }

  #any(): Condition {
    const of = [this.#all()]
    while (this.#takes('OR')) of.push(this.#all())
    return of.length === 1 ? (of[0] as Condition) : { kind: 'any', of }
  }

  #all(): Condition {
    const of = [this.#one()]
    while (this.#takes('AND')) of.push(this.#one())
    return of.length === 1 ? (of[0] as Condition) : { kind: 'all', of }
  }

  #one(): Condition {
    if (this.#takes('(')) {
      const inner = this.#any()
      this.#expect(')')
      return inner
    }
    const column = this.#next()
    const operator = this.#next().toUpperCase() as Operator
    if (!['=', '!=', '<', '<=', '>', '>=', 'IN'].includes(operator)) throw new MalformedQuery(`unknown operator`)
    if (operator !== 'IN') return { kind: 'compare', column, operator, values: [literal(this.#next())] }
    this.#expect('(')
    const values = [literal(this.#next())]
    while (this.#takes(',')) values.push(literal(this.#next()))
    this.#expect(')')
    return { kind: 'compare', column, operator, values }
  }

  #next(): string {
    const token = this.#tokens[this.#at++]
    if (token === undefined) throw new MalformedQuery('unexpected end of query')
    return token
  }

  #takes(word: string): boolean {
    if (this.#tokens[this.#at]?.toUpperCase() !== word) return false
    this.#at++
    return true
  }

  #expect(word: string): void {
    if (!this.#takes(word)) throw new MalformedQuery(`expecting ${word}`)
  }
}

function literal(token: string): Literal {
  if (token.startsWith("'")) {
    const value = token.slice(1, -1).replace(/\\(.)/gs, (_, letter: string) => UNESCAPED[letter] ?? letter)
    return { kind: 'text', value }
  }
  if (/^\d{4}-/.test(token)) return { kind: 'moment', value: Date.parse(token) }
  if (/^-?\d/.test(token)) return { kind: 'bare', value: Number(token) }
  const word = token.toLowerCase()
  if (word === 'true' || word === 'false') return { kind: 'bare', value: word === 'true' }
  if (word === 'null') return { kind: 'bare', value: null }
  throw new MalformedQuery(`unexpected token: ${token}`)
}

/** @param valueOf a column's value: texts, numbers, truth values, and moments as {@link Date} */
export function holds(condition: Condition, valueOf: (column: string) => unknown): boolean {
  if (condition.kind === 'all') return condition.of.every((one) => holds(one, valueOf))
  if (condition.kind === 'any') return condition.of.some((one) => holds(one, valueOf))
  const value = comparable(valueOf(condition.column))
  const wanted = condition.values.map(({ value: each }) => comparable(each))
  const [first = null] = wanted
  switch (condition.operator) {
    case '=':
      return value === first
    case '!=':
      return value !== first
    case 'IN':
      return wanted.includes(value)
    case '<':
      return value !== null && first !== null && value < first
    case '<=':
      return value !== null && first !== null && value <= first
    case '>':
      return value !== null && first !== null && value > first
    case '>=':
      return value !== null && first !== null && value >= first
  }
}

/** Texts are compared without regard to case, moments in whole seconds. */
export function comparable(value: unknown): string | number | boolean | null {
  if (value instanceof Date) return Math.floor(value.getTime() / 1000) * 1000
  if (typeof value === 'string') return value.toLowerCase()
  if (typeof value === 'number' || typeof value === 'boolean') return value
  return null
}
