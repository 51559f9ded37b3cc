import type { Random } from '../random.ts'
import { human } from '../household.ts'
import { TRAITS, type Trait, type Who } from './account.ts'
import type { CompanyWorld } from './world.ts'

const HUMANS = 18
const TITLES = ['CTO', 'Analyst', 'Head of Sales', 'Buyer', null]

/** Something that a human typed and that nobody has typed over, removed or merged since: it must not vanish (I3). */
export interface TypedText {
  readonly account: string
  readonly id: string
  readonly trait: Trait
  /** Unlike anything else that anybody types: digits of a number, else a text. */
  readonly text: string
}

/** Who must not be written to, as somebody told it: as long as the person has not signed up again. */
export interface Restricted {
  readonly account: string
  readonly id: string
  /** The one that it was told about, and those that the record was given afterwards: Kith may have read it only then. */
  readonly addresses: readonly string[]
}

/** The people who work in the accounts, and what they remember of it. */
export class Staff {
  readonly #world: CompanyWorld
  readonly #random: Random
  #typed: TypedText[] = []
  #restricted: Restricted[] = []
  /** `account id` of every record that a human has made, and of those that a human has taken away. */
  readonly made = new Set<string>()
  readonly removed = new Set<string>()
  /** `account id` of those that a user has set free, with or without a reason. */
  readonly freed = new Set<string>()
  /** Addresses that somebody has signed up with again. */
  readonly signedUp = new Set<string>()
  readonly acts = new Map<string, number>()
  merges = 0
  #serial = 0

  constructor(world: CompanyWorld, random: Random) {
    this.#world = world
    this.#random = random
  }

  get typed(): readonly TypedText[] {
    return this.#typed
  }

  get restricted(): readonly Restricted[] {
    return this.#restricted
  }

  /** The accounts as they were before Kith came: overlapping, and none of them whole. */
  moveIn(): void {
    for (let index = 0; index < HUMANS; index++) {
      for (const name of this.#world.accounts.keys()) if (this.#random.chance(0.35)) this.#add(name, index)
    }
  }

  /** One thing that somebody does somewhere. */
  act(): void {
    const random = this.#random
    const name = random.pick([...this.#world.accounts.keys()])
    const ids = this.#world.account(name).ids()
    const draw = random.next()
    if (ids.length === 0 || draw < 0.08) return this.#add(name, random.below(HUMANS + 6))
    const id = random.pick(ids)
    if (draw < 0.13) return this.#remove(name, id)
    if (draw < 0.17) return this.#bringBack(name)
    if (draw < 0.21) return this.#merge(name, id, random.pick(ids))
    if (draw < 0.31) return this.#restrict(name, id)
    if (draw < 0.34) return this.#loosen(name, id)
    if (draw < 0.37) return this.#signUp(name, id)
    return this.#edit(name, id)
  }

  #did(what: string, name: string, id: string): void {
    this.acts.set(what, (this.acts.get(what) ?? 0) + 1)
    this.#world.note(`human in ${name}: ${what} ${id}`)
  }

  #add(name: string, index: number): void {
    const random = this.#random
    const { given, family, email, phone } = human(index)
    const who: Who = {
      given,
      family,
      email: email !== null && random.chance(0.2) ? email.toUpperCase() : email,
      phone: random.chance(0.7) ? phone : null,
      title: random.pick(TITLES),
    }
    const id = this.#world.account(name).add(who, random)
    if (id === null) return
    this.made.add(`${name} ${id}`)
    this.#did('add', name, `${id} (${index})`)
  }

  #remove(name: string, id: string): void {
    if (!this.#world.account(name).remove(id)) return
    this.removed.add(`${name} ${id}`)
    this.#forget(name, id)
    this.#did('remove', name, id)
  }

  #bringBack(name: string): void {
    const gone = [...this.removed].flatMap((key) => (key.startsWith(`${name} `) ? [key.slice(name.length + 1)] : []))
    if (gone.length === 0) return
    const id = this.#world.account(name).bringBack(this.#random.pick(gone))
    if (id === null) return
    this.made.add(`${name} ${id}`)
    this.#did('bring back', name, id)
  }

  #merge(name: string, loser: string, winner: string): void {
    if (loser === winner) return
    const merged = this.#world.account(name).merge(loser, winner)
    if (!merged) return
    for (const id of [loser, winner]) this.#forget(name, id)
    for (const id of merged.gone) this.removed.add(`${name} ${id}`)
    this.made.add(`${name} ${merged.stands}`)
    this.merges++
    this.#did('merge', name, `${loser} into ${winner}, which is ${merged.stands}`)
  }

  #restrict(name: string, id: string): void {
    const how = this.#random.chance(0.7) ? ('unsubscribe' as const) : ('bounce' as const)
    // Said once more, it says nothing.
    if (this.#world.account(name).mailable(id) === false) return
    const address = this.#world.account(name).restrict(id, how)
    if (address === null) return
    this.#restricted.push({ account: name, id, addresses: [address.toLowerCase()] })
    this.signedUp.delete(address.toLowerCase())
    this.#did(how, name, id)
  }

  /** Whether it had been heard by then nobody knows: the ledger is what is held against it afterwards. */
  #loosen(name: string, id: string): void {
    if (!this.#world.account(name).loosen(id)) return
    this.#restricted = this.#restricted.filter((one) => one.account !== name || one.id !== id)
    this.freed.add(`${name} ${id}`)
    this.#did('loosen', name, id)
  }

  #signUp(name: string, id: string): void {
    const [address] = this.#world.account(name).see(id)?.emails ?? []
    if (address === undefined || !this.#world.account(name).optIn(address)) return
    this.#restricted = this.#restricted.filter((one) => !one.addresses.includes(address.toLowerCase()))
    this.freed.add(`${name} ${id}`)
    this.signedUp.add(address.toLowerCase())
    this.#did('sign up', name, id)
  }

  #edit(name: string, id: string): void {
    const trait = this.#random.pick(TRAITS)
    const { typed, text } = this.#words(trait)
    if (!this.#world.account(name).edit(id, trait, typed)) return
    // An address or number may be one of several: the others stay, and so do tags.
    if (trait !== 'tag' && (trait !== 'email' || !SEVERAL.has(name))) {
      this.#typed = this.#typed.filter((one) => one.account !== name || one.id !== id || one.trait !== trait)
    }
    this.#typed.push({ account: name, id, trait, text })
    if (trait === 'email') {
      this.#restricted = this.#restricted.map((one) =>
        one.account === name && one.id === id ? { ...one, addresses: [...one.addresses, text] } : one,
      )
    }
    this.#did(`edit ${trait}`, name, `${id} ${typed}`)
  }

  #words(trait: Trait): { typed: string; text: string } {
    const n = ++this.#serial
    switch (trait) {
      case 'email':
        return { typed: `New${n}@example.org`, text: `new${n}@example.org` }
      case 'phone':
        return { typed: `+49 30 7${100_000 + n}`, text: `49307${100_000 + n}` }
      case 'tag':
        return { typed: `tag-${n}x`, text: `tag-${n}x` }
      default:
        return { typed: `${trait}-${n}x`, text: `${trait}-${n}x` }
    }
  }

  #forget(name: string, id: string): void {
    this.#typed = this.#typed.filter((one) => one.account !== name || one.id !== id)
    this.#restricted = this.#restricted.filter((one) => one.account !== name || one.id !== id)
  }
}

/** Where a new address stands beside the others. */
const SEVERAL: ReadonlySet<string> = new Set(['google', 'zendesk'])
