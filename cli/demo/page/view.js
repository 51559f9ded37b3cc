/** What the page shows, built and kept up to date. Texts are set as text, never as markup. */

/** Which rows show a field of Kith's. */
const ROWS_OF = {
  'name.given': ['given'],
  'name.family': ['family', 'given'],
  'name.display': ['given'],
  organisation: ['company'],
  title: ['title'],
  emails: ['email', 'email2'],
  phones: ['mobile', 'work'],
  addresses: ['street', 'city', 'postcode', 'country'],
  birthday: ['birthday'],
  note: ['note'],
  tags: ['tags'],
  'consent.email': ['consent'],
}

export const byId = (id) => document.getElementById(id)

/** An element with attributes and children; texts become text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children)
  return element
}

/** `0.3 s`, `48 ms`. */
export function duration(ms) {
  return ms < 950 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

/** People, or records, to choose from. */
export function showList(list, lines, choose) {
  list.replaceChildren(
    ...lines.map(({ name, detail, current }, index) =>
      make(
        'li',
        {},
        make(
          'button',
          { type: 'button', onclick: () => choose(index), ...(current ? { 'aria-current': 'true' } : {}) },
          make('span', { dir: 'auto' }, name),
          make('small', { dir: 'auto' }, detail),
        ),
      ),
    ),
  )
}

/** The records of one person side by side: a row for what they mean, a column for each account. */
export class Sheet {
  #place
  #house
  #actions
  #shape = ''
  #cells = new Map()

  /** @param actions what can be done: `edit(account, id, row, value)`, `remove`, `merge`, `act` */
  constructor(place, house, actions) {
    this.#place = place
    this.#house = house
    this.#actions = actions
  }

  /** @returns the cells whose values have changed, unless all is new */
  show(story) {
    const shape = JSON.stringify([
      story.id,
      story.places.map(({ record, why, refused }) => [record?.id, why, refused, record?.abilities]),
    ])
    if (shape !== this.#shape) {
      const same = this.#shape.startsWith(`["${story.id}"`)
      const focused = document.activeElement?.id
      const before = new Map([...this.#cells].map(([key, cell]) => [key, cell.value]))
      this.#build(story)
      this.#shape = shape
      if (focused) byId(focused)?.focus()
      return same
        ? [...this.#cells].filter(([key, cell]) => cell.value !== (before.get(key) ?? '')).map(([key]) => key)
        : []
    }
    const changed = []
    for (const { account, record } of story.places) {
      for (const { row } of this.#account(account).fields) {
        const cell = this.#cells.get(`${account} ${row}`)
        if (cell?.set(record?.values[row] ?? '')) changed.push(`${account} ${row}`)
      }
    }
    return changed
  }

  /** Marks what came from elsewhere, and says whence. */
  mark(account, fields, text) {
    const rows = new Set(fields.flatMap((field) => ROWS_OF[field] ?? []))
    for (const row of rows) this.#cells.get(`${account} ${row}`)?.note(text, 'came')
  }

  arrived(key) {
    this.#cells.get(key)?.arrived()
  }

  clear() {
    this.#shape = ''
    this.#cells.clear()
    this.#place.replaceChildren()
  }

  #account(name) {
    return this.#house.accounts.find((account) => account.name === name)
  }

  #build(story) {
    this.#cells.clear()
    const rows = Object.entries(this.#house.rows)
    const taken = new Map()
    const head = story.places.map(({ account }) => {
      const { product, hears } = this.#account(account)
      const how = hears === 'webhooks' ? 'webhooks' : 'asked every second'
      return make('th', { scope: 'col' }, product, make('small', {}, `${account}, ${how}`))
    })
    const body = rows.map(([row, title], index) => {
      const cells = story.places.flatMap((place) => {
        const { account } = place
        const until = taken.get(account) ?? 0
        if (index < until) return []
        const { fields, product } = this.#account(account)
        if (!place.record) {
          taken.set(account, rows.length)
          const texts = [
            make('p', {}, place.why),
            ...(place.refused ? [make('p', { class: 'error' }, place.refused)] : []),
          ]
          return [make('td', { class: 'absent', rowspan: String(rows.length), 'data-product': product }, ...texts)]
        }
        const field = fields.find((each) => each.row === row)
        if (!field) return [make('td', { class: 'none', 'data-product': product }, 'no such field')]
        taken.set(account, index + (field.rows ?? 1))
        return [this.#cell(place, field, title)]
      })
      return make('tr', {}, make('th', { scope: 'row' }, title), ...cells)
    })
    const foot = story.places.map((place) => {
      const { product } = this.#account(place.account)
      return make('td', { 'data-product': product }, ...this.#buttons(place))
    })
    this.#place.replaceChildren(
      make(
        'table',
        {},
        make('caption', { class: 'unseen' }, `The records of ${story.name} in each account`),
        make('thead', {}, make('tr', {}, make('td', { class: 'corner' }), ...head)),
        make('tbody', {}, ...body),
        make('tfoot', {}, make('tr', {}, make('td', { class: 'corner' }), ...foot)),
      ),
    )
  }

  #cell({ account, record, refused }, field, title) {
    const { product } = this.#account(account)
    const id = `${account}-${field.row}`
    const cell = new Cell(
      field,
      id,
      `${title} in ${product}: ${field.field}`,
      record.values[field.row] ?? '',
      (value) => this.#actions.edit(account, record.id, field.row, value),
    )
    if (refused && field.row === 'given') cell.note(refused, 'bad')
    this.#cells.set(`${account} ${field.row}`, cell)
    cell.element.setAttribute('data-product', product)
    if (field.rows) cell.element.setAttribute('rowspan', String(field.rows))
    return cell.element
  }

  #buttons({ account, record }) {
    if (!record) return []
    const { product } = this.#account(account)
    const words = {
      merge: ['Merge…', `Merge with another record in ${product}`],
      unsubscribe: ['Unsubscribe', `The person unsubscribes in ${product}`],
      subscribe: ['Sign up again', `The person signs up again in ${product}`],
      bounce: ['Let it bounce', `The address bounces in ${product}`],
    }
    const button = (name, text, label, act, kind) =>
      make('button', { type: 'button', id: `${account}-${name}`, 'aria-label': label, class: kind, onclick: act }, text)
    return [
      ...record.abilities.map((ability) => {
        const [text, label] = words[ability]
        const act = () =>
          ability === 'merge' ? this.#actions.merge(account, record) : this.#actions.act(account, record.id, ability)
        return button(ability, text, `${text.replace('…', '')}: ${label}`, act)
      }),
      button('delete', 'Delete…', `Delete in ${product}`, () => this.#actions.remove(account, record), 'danger'),
    ]
  }
}

/** One field of one record. */
class Cell {
  element
  value
  #control
  #note
  #kind

  constructor(field, id, label, value, edit) {
    this.value = value
    this.#kind = field.readOnly === undefined ? field.kind : 'fixed'
    this.#note = make('span', { class: 'note' })
    this.#control = this.#make(field, id, label)
    const name =
      this.#kind === 'fixed' ? make('span', { class: 'label' }, field.field) : make('label', { for: id }, field.field)
    const why = field.readOnly === undefined ? [] : [make('span', { class: 'why' }, field.readOnly)]
    this.element = make('td', {}, name, this.#control, ...why, this.#note)
    this.#put(value)
    if (this.#kind === 'fixed') return
    const commit = () => {
      if (this.#typed() === this.value) return
      this.note('saving', 'came')
      void edit(this.#typed()).then((error) => {
        if (error) this.note(error, 'bad')
        else {
          this.value = this.#typed()
          this.note('edited here', 'came')
        }
      })
    }
    this.#control.addEventListener('change', commit)
    this.#control.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') commit()
      if (event.key === 'Escape') this.#put(this.value)
    })
  }

  /** @returns whether that is news; what somebody is typing stays */
  set(value) {
    if (value === this.value) return false
    const typing = document.activeElement === this.#control && this.#typed() !== this.value
    this.value = value
    if (!typing) this.#put(value)
    return !typing
  }

  note(text, kind) {
    this.#note.textContent = text
    this.#note.classList.toggle('bad', kind === 'bad')
  }

  arrived() {
    this.element.classList.remove('arrived')
    void this.element.offsetWidth
    this.element.classList.add('arrived')
  }

  #make(field, id, label) {
    if (this.#kind === 'fixed') return make('span', { class: 'fixed', id, dir: 'auto' })
    if (this.#kind === 'box') return make('input', { type: 'checkbox', id, 'aria-label': label })
    if (this.#kind === 'choice') {
      const options = ['', ...field.choices].map((choice) => make('option', { value: choice }, choice || '(none)'))
      return make('select', { id, 'aria-label': label }, ...options)
    }
    return make('input', { id, 'aria-label': label, dir: 'auto', autocomplete: 'off', spellcheck: 'false' })
  }

  #typed() {
    if (this.#kind === 'box') return this.#control.checked ? 'true' : ''
    return this.#control.value.trim()
  }

  #put(value) {
    if (this.#kind === 'fixed') this.#control.textContent = value === 'true' ? 'yes' : value || '(blank)'
    else if (this.#kind === 'box') this.#control.checked = value === 'true'
    else this.#control.value = value
  }
}

/** What happened to somebody, newest first. */
export function showLog(list, lines, productOf) {
  const words = { stands: 'changed in', lost: 'lost, from', written: 'written to' }
  list.replaceChildren(
    ...lines.map(({ at_ms, kind, account, title, text, why }) => {
      const at = new Date(at_ms)
      return make(
        'li',
        {},
        make('time', { datetime: at.toISOString() }, at.toLocaleTimeString()),
        make('span', { class: `tag ${kind}` }, `${words[kind]} ${productOf(account)}`),
        title ? `${title}: ` : '',
        make('bdi', {}, text),
        make('small', {}, why),
      )
    }),
  )
  if (lines.length === 0) list.append(make('li', { class: 'quiet' }, 'Nothing yet: all accounts said the same.'))
}

export function showValues(list, values) {
  list.replaceChildren(
    ...values.flatMap(({ title, value, why }) => [
      make('dt', {}, title),
      make('dd', {}, make('bdi', {}, value), make('small', {}, why)),
    ]),
  )
}
