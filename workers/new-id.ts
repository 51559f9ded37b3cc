const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

/** Short enough to be typed, safe in a file name, and unique: 80 bits. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => ALPHABET[byte % 32]).join('')
}
