// The RTP payload of VP8 (RFC 7741): its descriptor, frames cut into payloads and
// put together again.

import { step16 } from "./rtp.js";

/** What readDescriptor found. */
export class Descriptor {
  start = false;
  partition = 0;
  /** The picture ID, or -1. */
  pictureID = -1;
  /** TL0PICIDX, or -1. */
  tl0 = -1;
  /** The temporal layer, or -1. */
  tid = -1;
  sync = false;
}

/**
 * Reads a descriptor at `at` and returns where the VP8 bytes begin, or -1 if it is
 * cut short or nothing follows it.
 * @param {Descriptor} d
 * @param {Uint8Array} b
 * @param {number} at
 * @param {number} end
 */
export function readDescriptor(d, b, at, end) {
  if (at >= end) return -1;
  const first = b[at++];
  d.start = (first & 0x10) !== 0;
  d.partition = first & 7;
  d.pictureID = d.tl0 = d.tid = -1;
  d.sync = false;
  if (first & 0x80) {
    if (at >= end) return -1;
    const has = b[at++];
    if (has & 0x80) {
      if (at >= end) return -1;
      d.pictureID = b[at++] & 0x7f;
      if (b[at - 1] & 0x80) {
        if (at >= end) return -1;
        d.pictureID = (d.pictureID << 8) | b[at++];
      }
    }
    if (has & 0x40) {
      if (at >= end) return -1;
      d.tl0 = b[at++];
    }
    if (has & 0x30) {
      if (at >= end) return -1;
      const v = b[at++];
      if (has & 0x20) {
        d.tid = v >> 6;
        d.sync = (v & 0x20) !== 0;
      }
    }
  }
  return at < end ? at : -1;
}

/** The most bytes of a payload, descriptor and all. */
export const MAX_PAYLOAD = 1100;
const DESCRIPTOR = 6;

/**
 * Writes the descriptor of six bytes that this client sends.
 * @param {Uint8Array} b
 * @param {number} at
 * @param {boolean} start the payload begins the frame
 * @param {number} pictureID 15 bits
 * @param {number} tl0
 * @param {number} tid
 */
export function writeDescriptor(b, at, start, pictureID, tl0, tid) {
  b[at] = 0x80 | (start ? 0x10 : 0) | (tid > 0 ? 0x20 : 0); // X, S, N
  b[at + 1] = 0xe0; // I, L, T
  b[at + 2] = 0x80 | (pictureID >> 8);
  b[at + 3] = pictureID;
  b[at + 4] = tl0;
  b[at + 5] = (tid << 6) | (tid > 0 ? 0x20 : 0); // of two layers, the upper refers to the lower only
  return at + DESCRIPTOR;
}

/**
 * Into how many packets a frame of so many bytes is cut.
 * @param {number} size
 */
export function packetsOf(size) {
  return Math.ceil(size / (MAX_PAYLOAD - DESCRIPTOR));
}

/**
 * What the first bytes of a frame say (RFC 6386 section 9.1); null if it is none.
 * @param {Uint8Array} b
 * @returns {{key: boolean, width: number, height: number} | null}
 */
export function frameHeader(b) {
  if (b.length < 3) return null;
  if (b[0] & 1) return { key: false, width: 0, height: 0 };
  if (b.length < 10 || b[3] !== 0x9d || b[4] !== 0x01 || b[5] !== 0x2a) return null;
  return { key: true, width: (b[6] | (b[7] << 8)) & 0x3fff, height: (b[8] | (b[9] << 8)) & 0x3fff };
}

const MAX_FRAME = 1 << 20;
const MAX_LATE = 1000;

/**
 * Puts frames together from payloads in the order of their numbers. A gap drops
 * the frame it falls into; a packet that is late or comes again is dropped.
 */
export class Assembler {
  constructor() {
    this.buf = new Uint8Array(1 << 14);
    this.length = 0;
    this.first = new Descriptor(); // of the frame's first packet
    this.here = new Descriptor();
    this.timestamp = 0;
    this.next = 0;
    this.started = false;
    this.open = false;
    /** Frames whose beginning was heard but not all of the rest. */
    this.dropped = 0;
  }

  /**
   * Takes a payload, b[from:end]; reports true when it completes a frame, which is
   * frame() until the next push.
   * @param {number} sequence
   * @param {number} timestamp
   * @param {boolean} marker
   * @param {Uint8Array} b
   * @param {number} from
   * @param {number} end
   */
  push(sequence, timestamp, marker, b, from, end) {
    if (this.started) {
      const gap = step16(sequence, this.next);
      if (gap < 0 && gap >= -MAX_LATE) return false;
      if (gap !== 0) this.drop();
    }
    this.started = true;
    this.next = (sequence + 1) & 0xffff;
    if (this.open && timestamp !== this.timestamp) this.drop();
    const at = readDescriptor(this.here, b, from, end);
    if (at < 0) {
      this.drop();
      return false;
    }
    if (this.here.start && this.here.partition === 0) {
      this.drop();
      this.open = true;
      this.timestamp = timestamp;
      const spare = this.first;
      this.first = this.here;
      this.here = spare;
      this.length = 0;
    }
    if (!this.open) return false;
    const size = this.length + end - at;
    if (size > MAX_FRAME) {
      this.drop();
      return false;
    }
    if (size > this.buf.length) {
      const larger = new Uint8Array(Math.min(MAX_FRAME, 2 * size));
      larger.set(this.buf.subarray(0, this.length));
      this.buf = larger;
    }
    this.buf.set(b.subarray(at, end), this.length);
    this.length = size;
    if (!marker) return false;
    this.open = false;
    return true;
  }

  /** The frame that push completed. */
  frame() {
    return this.buf.subarray(0, this.length);
  }

  /**
   * Takes the number of a packet that carries nothing.
   * @param {number} sequence
   */
  skip(sequence) {
    if (this.started && sequence !== this.next) return;
    this.started = true;
    this.next = (sequence + 1) & 0xffff;
  }

  /** Forgets what was heard. */
  reset() {
    this.drop();
    this.started = false;
  }

  drop() {
    if (this.open) {
      this.open = false;
      this.dropped++;
    }
  }
}
