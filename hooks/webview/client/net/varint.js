// Variable-length integers of QUIC (RFC 9000 section 16).

/** What readVarint found last: the number, and where what follows begins. */
export const varint = { value: 0, next: 0 };

/**
 * Reads a variable-length integer at `at` into `varint`.
 * Numbers above 2^53-1 are refused.
 * @param {Uint8Array} b
 * @param {number} at
 * @param {number} [end] one past the last byte
 * @returns {boolean}
 */
export function readVarint(b, at, end = b.length) {
  if (at >= end) return false;
  const n = 1 << (b[at] >> 6);
  if (at + n > end) return false;
  let v = b[at] & 0x3f;
  for (let i = 1; i < n; i++) v = v * 256 + b[at + i];
  if (v > Number.MAX_SAFE_INTEGER) return false;
  varint.value = v;
  varint.next = at + n;
  return true;
}

/**
 * How many bytes writeVarint takes.
 * @param {number} v
 */
export function varintSize(v) {
  return v < 0x40 ? 1 : v < 0x4000 ? 2 : v < 0x40000000 ? 4 : 8;
}

/**
 * Writes a number, 0 to 2^53-1, in its shortest form and returns where what
 * follows goes.
 * @param {Uint8Array} b
 * @param {number} at
 * @param {number} v
 */
export function writeVarint(b, at, v) {
  const n = varintSize(v);
  for (let i = n - 1; i >= 0; i--) {
    b[at + i] = v % 256;
    v = Math.floor(v / 256);
  }
  b[at] |= n === 1 ? 0 : n === 2 ? 0x40 : n === 4 ? 0x80 : 0xc0;
  return at + n;
}
