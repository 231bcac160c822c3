// Variable-length integers of QUIC (RFC 9000 section 16).

/**
 * Reads an integer. null: the bytes end first, or the value is above 2^53-1.
 * @param {Uint8Array} bytes
 * @param {number} [at] where it begins. Default 0.
 * @returns {{value: number, next: number} | null} next is the offset behind it
 */
export function readVarint(bytes, at = 0) {
  if (at < 0 || at >= bytes.length) return null;
  const length = 1 << (bytes[at] >> 6);
  if (at + length > bytes.length) return null;
  let value = bytes[at] & 0x3f;
  for (let i = 1; i < length; i++) value = value * 256 + bytes[at + i];
  return Number.isSafeInteger(value) ? { value, next: at + length } : null;
}

/**
 * The shortest form of an integer of 0 to 2^53-1.
 * @param {number} value
 * @returns {Uint8Array}
 */
export function encodeVarint(value) {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is no integer of 0 to 2^53-1`);
  const log = value < 0x40 ? 0 : value < 0x4000 ? 1 : value < 0x40000000 ? 2 : 3;
  const out = new Uint8Array(1 << log);
  let rest = value;
  for (let i = out.length - 1; i >= 0; i--) {
    out[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  out[0] |= log << 6;
  return out;
}
