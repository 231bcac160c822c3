// RTCP as this protocol uses it: key frame requests (RFC 4585 section 6.3.1, RFC
// 5104 section 4.3.1), generic NACK (RFC 4585 section 6.2.1), congestion control
// feedback (RFC 8888) and REMB (draft-alvestrand-rmcat-remb-03).

import { put32, u32 } from "./rtp.js";

/**
 * Who is told of what readRTCP finds.
 * @typedef {object} RTCPHandler
 * @property {(ssrc: number) => void} [keyFrame] PLI or FIR
 * @property {(ssrc: number, sequence: number) => void} [nack] once per number
 * @property {(packet: Uint8Array) => void} [feedback] a whole RFC 8888 packet, checked
 * @property {(bps: number) => void} [limit] REMB
 */

/**
 * Reads one RTCP packet or a compound one. What is unknown or malformed is passed
 * over.
 * @param {Uint8Array} b
 * @param {RTCPHandler} to
 */
export function readRTCP(b, to) {
  let at = 0;
  while (at + 4 <= b.length) {
    const end = at + 4 * (1 + ((b[at + 2] << 8) | b[at + 3]));
    if (b[at] >> 6 !== 2 || end > b.length) return;
    let last = end;
    if (b[at] & 0x20) {
      const n = b[end - 1];
      if (n === 0 || n % 4 !== 0 || at + 4 + n > end) return;
      last -= n;
    }
    readOne(b.subarray(at, last), to);
    at = end;
  }
}

/**
 * @param {Uint8Array} b
 * @param {RTCPHandler} to
 */
function readOne(b, to) {
  const format = b[0] & 31;
  if (b.length < 12) return;
  if (b[1] === 206 && format === 1) to.keyFrame?.(u32(b, 8));
  else if (b[1] === 206 && format === 4) {
    for (let at = 12; at + 8 <= b.length; at += 8) to.keyFrame?.(u32(b, at));
  } else if (b[1] === 205 && format === 1) {
    for (let at = 12; at + 4 <= b.length; at += 4) {
      const first = (b[at] << 8) | b[at + 1];
      const more = (b[at + 2] << 8) | b[at + 3];
      to.nack?.(u32(b, 8), first);
      for (let i = 0; i < 16; i++) if ((more >> i) & 1) to.nack?.(u32(b, 8), (first + 1 + i) & 0xffff);
    }
  } else if (b[1] === 205 && format === 11) {
    if (checkFeedback(b)) to.feedback?.(b);
  } else if (b[1] === 206 && format === 15 && b.length >= 20 && u32(b, 12) === 0x52454d42) {
    const mantissa = ((b[17] & 3) << 16) | (b[18] << 8) | b[19];
    to.limit?.(Math.min(1e9, mantissa * 2 ** (b[17] >> 2)));
  }
}

/**
 * Whether the blocks of a feedback packet fill it: then forEachBlock is safe.
 * @param {Uint8Array} b
 */
function checkFeedback(b) {
  let at = 8;
  const end = b.length - 4;
  while (at < end) {
    if (at + 8 > end) return false;
    const n = (b[at + 6] << 8) | b[at + 7];
    at += 8 + 4 * Math.ceil(n / 2);
  }
  return at === end;
}

/**
 * @param {number} ssrc
 */
export function writePLI(ssrc) {
  const b = new Uint8Array(12);
  b[0] = 0x81;
  b[1] = 206;
  b[3] = 2;
  put32(b, 8, ssrc);
  return b;
}

/**
 * A generic NACK of the first n numbers of list, which ascend.
 * @param {number} ssrc
 * @param {Uint16Array | number[]} list
 * @param {number} n
 */
export function writeNACK(ssrc, list, n) {
  const b = new Uint8Array(12 + 4 * n);
  b[0] = 0x81;
  b[1] = 205;
  put32(b, 8, ssrc);
  let at = 12;
  for (let i = 0; i < n; ) {
    const first = list[i++];
    let more = 0;
    for (; i < n; i++) {
      const d = ((list[i] - first) & 0xffff) - 1;
      if (d < 0 || d > 15) break;
      more |= 1 << d;
    }
    b[at] = first >> 8;
    b[at + 1] = first;
    b[at + 2] = more >> 8;
    b[at + 3] = more;
    at += 4;
  }
  b[2] = (at / 4 - 1) >> 8;
  b[3] = at / 4 - 1;
  return b.subarray(0, at);
}
