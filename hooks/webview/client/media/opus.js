// What is read of Opus packets without decoding them (RFC 6716 section 3).

/** The length of a frame in samples at 48 kHz, by the configuration. */
const lengths = [480, 960, 1920, 2880, 480, 960, 1920, 2880, 480, 960, 1920, 2880, 480, 960, 480, 960];

/**
 * The length of one frame of a packet, in samples at 48 kHz.
 * @param {number} toc the packet's first byte
 */
export function frameLength(toc) {
  const config = toc >> 3;
  return config < 16 ? lengths[config] : 120 << (config & 3);
}

/**
 * The length of a packet in samples at 48 kHz; 0 if it is none: empty, more than
 * 120 ms, or with a count that is not there.
 * @param {Uint8Array} b
 */
export function packetLength(b) {
  if (b.length === 0) return 0;
  const code = b[0] & 3;
  if (code === 3 && b.length < 2) return 0;
  const frames = code === 0 ? 1 : code === 3 ? b[1] & 0x3f : 2;
  const n = frames * frameLength(b[0]);
  return n > 5760 ? 0 : n;
}

/**
 * Whether a packet is what an encoder emits while it transmits nothing.
 * @param {Uint8Array} b
 */
export function isComfort(b) {
  return b.length <= 2;
}
