import { byId, duration, make, Sheet, showList, showLog, showValues } from './view.js'

/** Several things happen to somebody at once: they are shown together. */
const REST_MS = 25
const SAID_MS = 6000
const REACH_MS = 2500
const ROWS_ADDED = ['given', 'family', 'company', 'title', 'email', 'mobile', 'work']

const house = await ask('GET', '/api/accounts')
const productOf = (name) => house.accounts.find((account) => account.name === name)?.product ?? name

let chosen = null
let people = []
/** A record that was just added here, and whose person is not known yet. */
let added = null

const sheet = new Sheet(byId('sheet'), house, {
  edit: (account, id, row, value) => trying('PUT', recordPath(account, id), { row, value }),
  act: (account, id, ability) => act('POST', `${recordPath(account, id)}/act`, { ability }),
  remove: (account, record) => askToDelete(account, record),
  merge: (account, record) => askToMerge(account, record),
})

function recordPath(account, id) {
  return `/api/accounts/${account}/records${id === undefined ? '' : `/${encodeURIComponent(id)}`}`
}

async function ask(method, path, body) {
  const response = await fetch(path, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })
  const answer = await response.json()
  if (!response.ok) throw new Error(answer.error ?? 'it could not be done')
  return answer
}

/** @returns what is wrong, or null */
async function trying(method, path, body) {
  try {
    await ask(method, path, body)
    return null
  } catch (error) {
    return error.message
  }
}

async function act(method, path, body) {
  const error = await trying(method, path, body)
  if (error) say(error)
  await refresh()
  return error
}

let saidTimer
function say(text) {
  byId('said').textContent = text
  clearTimeout(saidTimer)
  saidTimer = setTimeout(() => (byId('said').textContent = ''), SAID_MS)
}

let searches = 0
async function search() {
  const mine = ++searches
  const query = byId('query').value.trim()
  const answer = await ask('GET', `/api/people?q=${encodeURIComponent(query)}`)
  if (mine !== searches) return
  people = answer.people
  const many = people.length >= 60 ? ', the first of them' : ''
  byId('found').textContent = `${people.length === 1 ? '1 person' : `${people.length} people`}${many}`
  showPeople()
}

function showPeople() {
  const lines = people.map(({ id, name, detail, accounts }) => ({
    name,
    detail: `${detail || 'no details'}, in ${accounts.length} of ${house.accounts.length}`,
    current: id === chosen,
  }))
  showList(byId('list'), lines, (index) => void choose(people[index].id))
}

async function showDoubtful() {
  const { doubtful } = await ask('GET', '/api/doubtful')
  byId('review').hidden = doubtful.length === 0
  const lines = doubtful.map(({ account, record, id, reason }) => ({
    name: record?.name ?? id,
    detail: `${productOf(account)}: ${reason}`,
  }))
  showList(byId('doubtful'), lines, (index) => {
    const [first] = doubtful[index].candidates
    if (first) void choose(first.id)
  })
}

async function choose(id, focus = true) {
  if (chosen !== id) sheet.clear()
  chosen = id
  showPeople()
  await show()
  if (focus) byId('person').focus()
}

/** @returns the cells that have changed */
async function show() {
  if (chosen === null) return []
  const id = chosen
  const story = await ask('GET', `/api/people/${encodeURIComponent(id)}`).catch(() => null)
  if (id !== chosen) return []
  if (!story) {
    chosen = null
    sheet.clear()
    byId('name').textContent = 'Nobody chosen'
    return []
  }
  chosen = story.id
  byId('name').textContent = story.name
  byId('hint').hidden = true
  byId('doubts').replaceChildren(...story.doubtful.map((doubt) => doubtBox(doubt, story)))
  showLog(byId('log'), story.log, productOf)
  showValues(byId('values'), story.values)
  return sheet.show(story)
}

function doubtBox({ account, id, record, reason }, story) {
  const own = story.places.find((place) => place.account === account)?.record
  const product = productOf(account)
  const account_ = house.accounts.find(({ name }) => name === account)
  const { email = '', mobile = '' } = record?.values ?? {}
  const text = `${product} has another record that may be this person: ${[record?.name, email, mobile].filter(Boolean).join(', ')} (${reason}). Kith asks rather than guesses.`
  const merge = () => act('POST', `${recordPath(account, id)}/merge`, { into: own.id })
  const buttons =
    own && account_.abilities.includes('merge')
      ? [make('button', { type: 'button', onclick: merge }, `Merge the two in ${product}`)]
      : []
  return make('div', { class: 'doubt' }, make('span', {}, text), ...buttons)
}

async function refresh() {
  await Promise.all([show(), search(), showDoubtful()])
}

/* What happens in the accounts, as it happens. */

let waiting = []
let restTimer

function hear(item) {
  waiting.push(item)
  clearTimeout(restTimer)
  restTimer = setTimeout(() => void digest(), REST_MS)
}

async function digest() {
  const items = waiting
  waiting = []
  if (added !== null) {
    const { person } = await ask('GET', `${recordPath(added.account, added.record)}/person`)
    if (person !== null) {
      added = null
      await choose(person, false)
    }
  }
  const mine = items.filter(({ person }) => person === chosen)
  if (mine.length > 0) {
    const changed = await show()
    for (const key of changed) sheet.arrived(key)
    for (const { kind, account, fields, from, took_ms } of mine) {
      if (kind !== 'written') continue
      const took = took_ms === null ? '' : `, ${duration(took_ms)}`
      sheet.mark(account, fields, `from ${productOf(from)}${took}`)
    }
    tell(mine.filter(({ kind }) => kind === 'written'))
  }
  await Promise.all([search(), showDoubtful()])
}

/** Where the last edit has come to so far; what comes much later is told as something else. */
let reached = { places: new Set(), slowest: 0, told_ms: 0 }

function tell(written) {
  if (written.length === 0) return
  const now_ms = Date.now()
  if (now_ms - reached.told_ms > REACH_MS) reached = { places: new Set(), slowest: 0, told_ms: now_ms }
  for (const { account, took_ms } of written) {
    reached.places.add(productOf(account))
    reached.slowest = Math.max(reached.slowest, took_ms ?? 0)
  }
  const took = reached.slowest > 0 ? ` in ${duration(reached.slowest)}` : ''
  say(`Reached ${[...reached.places].join(', ')}${took}`)
}

function listen() {
  const stream = new EventSource('/api/events')
  const status = byId('status')
  stream.addEventListener('open', () => {
    status.textContent = 'Live'
    status.classList.add('live')
    void refresh()
  })
  stream.addEventListener('error', () => {
    status.textContent = 'Kith does not answer; trying again'
    status.classList.remove('live')
  })
  stream.addEventListener('message', ({ data }) => hear(JSON.parse(data)))
}

/* Adding, merging, deleting. */

function fieldsToAdd() {
  const account = house.accounts.find(({ name }) => name === byId('adding-account').value)
  const rows = ROWS_ADDED.filter((row) =>
    account.fields.some((field) => field.row === row && field.readOnly === undefined),
  )
  byId('adding-fields').replaceChildren(
    ...rows.flatMap((row) => {
      const { field, rows: both } = account.fields.find((each) => each.row === row)
      const id = `new-${row}`
      const title = both ? 'Name' : house.rows[row]
      return [
        make('label', { for: id }, `${title} (${field})`),
        make('input', { id, name: row, autocomplete: 'off', dir: 'auto' }),
      ]
    }),
  )
}

byId('adding-account').replaceChildren(
  ...house.accounts.map(({ name, product }) => make('option', { value: name }, product)),
)
byId('adding-account').addEventListener('change', fieldsToAdd)

byId('add').addEventListener('click', () => {
  fieldsToAdd()
  byId('adding-error').textContent = ''
  byId('adding').showModal()
})

byId('adding-form').addEventListener('submit', (event) => {
  event.preventDefault()
  const account = byId('adding-account').value
  const values = Object.fromEntries(
    [...byId('adding-fields').querySelectorAll('input')].map(({ name, value }) => [name, value]),
  )
  void ask('POST', recordPath(account), { values }).then(
    (record) => {
      added = record
      byId('adding').close()
      say(`Added in ${productOf(account)}`)
      hear({ kind: 'edited', person: null })
    },
    (error) => (byId('adding-error').textContent = error.message),
  )
})

let merging = null

function askToMerge(account, record) {
  merging = { account, record }
  byId('merging-title').textContent = `Merge in ${productOf(account)}`
  byId('merging-lead').textContent = `Another record is put into the one of ${record.name}, and is gone afterwards.`
  byId('merging-error').textContent = ''
  byId('merging-query').value = ''
  byId('merging').showModal()
  void findToMerge()
}

async function findToMerge() {
  const { account, record } = merging
  const query = byId('merging-query').value.trim()
  const { records } = await ask('GET', `${recordPath(account)}?q=${encodeURIComponent(query)}`)
  const others = records.filter(({ id }) => id !== record.id)
  const lines = others.map(({ name, values }) => ({
    name,
    detail: [values.email, values.mobile, values.company].filter(Boolean).join(', ') || 'no details',
  }))
  showList(byId('merging-list'), lines, (index) => void merge(others[index].id))
}

async function merge(id) {
  const { account, record } = merging
  const error = await trying('POST', `${recordPath(account, id)}/merge`, { into: record.id })
  byId('merging-error').textContent = error ?? ''
  if (error) return
  byId('merging').close()
  await refresh()
}

byId('merging-query').addEventListener('input', () => void findToMerge())

let deleting = null

function askToDelete(account, record) {
  deleting = { account, record }
  const product = productOf(account)
  byId('deleting-title').textContent = `Delete in ${product}`
  byId('deleting-lead').textContent =
    `${record.name} is deleted in ${product}. The other accounts keep theirs: so the config has it (deletes: unlink).`
  byId('deleting').showModal()
}

byId('deleting-yes').addEventListener('click', () => {
  const { account, record } = deleting
  byId('deleting').close()
  void act('DELETE', recordPath(account, record.id))
})

for (const button of document.querySelectorAll('[data-close]')) {
  button.addEventListener('click', () => button.closest('dialog').close())
}

let typing
byId('query').addEventListener('input', () => {
  clearTimeout(typing)
  typing = setTimeout(() => void search(), 80)
})

listen()
