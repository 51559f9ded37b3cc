/**
 * The types that Google has words of its own for, and the words that people read: homeFax is "home fax". Any other type is
 * a label of someone's own, and stays as it is.
 */
const TYPES: { readonly [field: string]: readonly string[] } = {
  emailAddresses: ['home', 'work', 'other'],
  phoneNumbers: [
    'home',
    'work',
    'mobile',
    'homeFax',
    'workFax',
    'otherFax',
    'pager',
    'workMobile',
    'workPager',
    'main',
    'googleVoice',
    'other',
  ],
  addresses: ['home', 'work', 'other'],
  urls: ['home', 'work', 'blog', 'profile', 'homePage', 'ftp', 'reservations', 'appInstallPage', 'other'],
}

const BY_LABEL: { readonly [field: string]: ReadonlyMap<string, string> } = Object.fromEntries(
  Object.entries(TYPES).map(([field, types]) => [field, new Map(types.map((type) => [spelled(type), type]))]),
)

/** The label of an item's type; null where it has none. */
export function labelOf(field: string, type: string | undefined): string | null {
  if (type === undefined || type.trim() === '') return null
  return TYPES[field]?.includes(type) ? spelled(type) : type
}

/** The type that says a label. */
export function typeFor(field: string, label: string): string {
  const plain = label.trim().toLowerCase().replace(/\s+/g, ' ')
  const own = BY_LABEL[field]
  return own?.get(plain) ?? (plain === 'cell' ? own?.get('mobile') : undefined) ?? label.trim()
}

function spelled(type: string): string {
  return type.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase()
}
