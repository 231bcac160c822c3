// RTP (RFC 3550 section 5.1) with the one-byte header extensions (RFC 8285) that
// carry audio levels, of a voice (RFC 6464) and of those in a mix (RFC 6465), and how
// a voice is heard in a world.

/**
 * What readRTP found. `levels` is one byte per contributing source, or one for a
 * voice: bit 7 says that it is speech, the rest is the level in -dBov.
 */
export class RTPHeader {
  marker = false;
  padding = false;
  payloadType = 0;
  sequence = 0;
  timestamp = 0;
  ssrc = 0;
  sources = new Uint32Array(15);
  sourceCount = 0;
  levels = new Uint8Array(16);
  levelCount = 0;
  /** The two bytes of gain and pan; -1 if there are none, or not two. */
  space = -1;
  /** Where the payload begins, and one past its end, padding taken off. */
  from = 0;
  end = 0;
}

/**
 * Reads a packet's header; reports false if it is none.
 * @param {RTPHeader} h
 * @param {Uint8Array} b
 * @param {number} [levelID] identifier of the level extension; 0 for none
 * @param {number} [spaceID] the same of gain and pan
 */
export function readRTP(h, b, levelID = 0, spaceID = 0) {
  if (b.length < 12 || b[0] >> 6 !== 2) return false;
  h.padding = (b[0] & 0x20) !== 0;
  h.marker = b[1] >> 7 !== 0;
  h.payloadType = b[1] & 0x7f;
  h.sequence = (b[2] << 8) | b[3];
  h.timestamp = u32(b, 4);
  h.ssrc = u32(b, 8);
  h.sourceCount = b[0] & 15;
  h.levelCount = 0;
  h.space = -1;
  let at = 12 + 4 * h.sourceCount;
  if (at > b.length) return false;
  for (let i = 0; i < h.sourceCount; i++) h.sources[i] = u32(b, 12 + 4 * i);
  if (b[0] & 0x10) {
    if (at + 4 > b.length) return false;
    const end = at + 4 + 4 * ((b[at + 2] << 8) | b[at + 3]);
    if (end > b.length) return false;
    if (levelID + spaceID > 0 && b[at] === 0xbe && b[at + 1] === 0xde) readExtensions(h, b, at + 4, end, levelID, spaceID);
    at = end;
  }
  h.from = at;
  h.end = b.length;
  if (h.padding) {
    const n = b[b.length - 1];
    if (n === 0 || at + n > b.length) return false;
    h.end -= n;
  }
  return true;
}

/**
 * @param {RTPHeader} h
 * @param {Uint8Array} b
 * @param {number} at
 * @param {number} end
 * @param {number} levelID
 * @param {number} spaceID
 */
function readExtensions(h, b, at, end, levelID, spaceID) {
  let space = false; // the first counts
  while (at < end) {
    const id = b[at] >> 4;
    const n = (b[at] & 15) + 1;
    if (id === 15) return;
    if (id === 0) {
      at++; // padding
      continue;
    }
    if (at + 1 + n > end) return;
    if (id === levelID && h.levelCount === 0) {
      for (let i = 0; i < n; i++) h.levels[i] = b[at + 1 + i];
      h.levelCount = n;
    } else if (id === spaceID && !space) {
      space = true;
      if (n === 2) h.space = (b[at + 1] << 8) | b[at + 2];
    }
    at += 1 + n;
  }
}

/** The most bytes that writeRTP takes. */
export const MAX_HEADER = 20;

/**
 * Writes a header and returns its length. A `level` of 0 to 127, in -dBov, is
 * written as an audio level.
 * @param {Uint8Array} b
 * @param {{payloadType: number, ssrc: number}} track
 * @param {number} sequence
 * @param {number} timestamp
 * @param {boolean} marker
 * @param {number} [levelID]
 * @param {number} [level]
 * @param {boolean} [voice]
 */
export function writeRTP(b, track, sequence, timestamp, marker, levelID = 0, level = -1, voice = false) {
  const extended = levelID > 0 && level >= 0;
  b[0] = extended ? 0x90 : 0x80;
  b[1] = (marker ? 0x80 : 0) | track.payloadType;
  b[2] = sequence >> 8;
  b[3] = sequence;
  put32(b, 4, timestamp);
  put32(b, 8, track.ssrc);
  if (!extended) return 12;
  b[12] = 0xbe;
  b[13] = 0xde;
  b[14] = 0;
  b[15] = 1;
  b[16] = levelID << 4;
  b[17] = Math.min(127, Math.round(level)) | (voice ? 0x80 : 0);
  b[18] = 0;
  b[19] = 0;
  return 20;
}

/**
 * Whether a packet is RTCP rather than RTP (RFC 5761 section 4).
 * @param {Uint8Array} b
 */
export function isRTCP(b) {
  return b.length >= 4 && b[1] >= 192 && b[1] <= 223;
}

/**
 * The step from one 16-bit number to another, -32768 to 32767.
 * @param {number} to
 * @param {number} from
 */
export function step16(to, from) {
  return ((to - from) << 16) >> 16;
}

/**
 * The step from one 32-bit number to another.
 * @param {number} to
 * @param {number} from
 */
export function step32(to, from) {
  return (to - from) | 0;
}

/**
 * @param {Uint8Array} b
 * @param {number} at
 */
export function u32(b, at) {
  return ((b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3]) >>> 0;
}

/**
 * @param {Uint8Array} b
 * @param {number} at
 * @param {number} v
 */
export function put32(b, at, v) {
  b[at] = v >>> 24;
  b[at + 1] = v >>> 16;
  b[at + 2] = v >>> 8;
  b[at + 3] = v;
}
