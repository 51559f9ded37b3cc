/**
 * A simulated account as the people see it who work in that app: Kith's page edits here and nowhere else, by the simulator's
 * human side. What reaches the other accounts, Kith has carried there.
 */
export interface Account {
  /** The connection's name in kith.yaml. */
  readonly name: string
  /** The product whose account this plays. */
  readonly product: string
  /** What a record is called there: `contact`, `member`. */
  readonly noun: string
  /** How Kith hears of edits here. */
  readonly hears: 'webhooks' | 'polling'
  readonly fields: readonly AccountField[]
  /** What people can do to a record here besides editing its fields. */
  readonly abilities: readonly Ability[]
  /** All that people see there. */
  readonly records: () => AccountRecord[]
  /** Undefined for one that is not there, or no longer. */
  record(id: string): AccountRecord | undefined
  /** Sets one field; the empty text blanks it. @throws RefusedError */
  edit(id: string, field: Row, value: string): void
  /** @returns the new record's id. @throws RefusedError */
  add(values: RowValues): string
  remove(id: string): void
  /** Puts one record into another, which stays. Only where `abilities` has it. @returns the id that stands */
  merge(id: string, into: string): string
  /** One of the other abilities. @throws RefusedError */
  act(id: string, ability: Ability): void
  /** Has its webhooks sent to this address from now on. */
  follow(hooksUrl: string): Promise<void>
  close(): Promise<void>
}

/** `unsubscribe` and `subscribe` are the person's own doing: the link in a mail, the sign-up form. */
export type Ability = 'merge' | 'unsubscribe' | 'subscribe' | 'bounce'

/** The rows of the page: what several apps mean by fields of their own names. */
export const ROWS = {
  given: 'First name',
  family: 'Last name',
  company: 'Company',
  title: 'Job title',
  email: 'E-mail',
  email2: 'Further e-mail',
  mobile: 'Mobile',
  work: 'Phone',
  street: 'Street',
  city: 'Town',
  postcode: 'Postcode',
  country: 'Country',
  birthday: 'Birthday',
  note: 'Notes',
  tags: 'Tags',
  consent: 'E-mail consent',
  own: 'Its own field',
} as const

export type Row = keyof typeof ROWS
export type RowValues = { readonly [row in Row]?: string }

/** One field of an app. */
export interface AccountField {
  readonly row: Row
  /** By the app's own name. */
  readonly field: string
  readonly kind: 'text' | 'box' | 'choice' | 'state'
  /** The rows that it stands for, where one field holds what others keep in several. */
  readonly rows?: number
  readonly choices?: readonly string[]
  /** Why people cannot type there. */
  readonly readOnly?: string
}

export interface AccountRecord {
  readonly id: string
  readonly name: string
  readonly values: RowValues
  /** What can be done to this one now. */
  readonly abilities: readonly Ability[]
}

/** The app does not take it, and says why. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
}

export function text(row: Row, field: string, more: Partial<AccountField> = {}): AccountField {
  return { row, field, kind: 'text', ...more }
}

/** Values without the blank ones. */
export function filled(values: { readonly [row in Row]?: string | null | undefined }): RowValues {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value != null && value !== ''))
}

/** The texts of a list that people write with commas. */
export function listed(value: string): string[] {
  return [...new Set(value.split(',').map((part) => part.trim()))].filter(Boolean)
}

/** What someone is called by what a record says of them. */
export function calledBy({ given, family, company, email, mobile, work }: RowValues): string {
  const name = [given, family].filter(Boolean).join(' ')
  return name || company || email || mobile || work || 'No name'
}
