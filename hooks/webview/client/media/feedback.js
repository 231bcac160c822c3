// The receiving side of RFC 8888: which packets of video came when, written into
// one report each 40 ms, as transport/bwe.Receiver does.

import { put32, step16 } from "./rtp.js";

const STREAMS = 32; // the one heard longest ago makes place
const PACKETS = 512; // of a stream that are kept, a power of two
const REPORT = 1100; // bytes, at most

class Arrivals {
  at = new Float64Array(PACKETS); // ms; 0: not received
  ssrc = 0;
  end = 0; // one past the highest, unwrapped
  due = 0; // the first that the next report must cover
  again = 0; // the first that it covers if there is room
  fresh = false;
  newest = 0;

  /**
   * @param {number} sequence
   */
  unwrap(sequence) {
    if (this.end > 0) {
      const d = step16(sequence, (this.end - 1) & 0xffff);
      if (d < PACKETS && d > -PACKETS) return this.end - 1 + d;
    }
    this.at.fill(0);
    this.end = (1 << 17) + sequence;
    this.due = this.again = this.end;
    return this.end;
  }
}

/** Notes which packets arrived when and writes reports of it. */
export class FeedbackWriter {
  constructor() {
    /** @type {Arrivals[]} */
    this.streams = [];
    this.next = 0;
    this.buf = new Uint8Array(REPORT);
  }

  /**
   * Notes a packet. Of one that comes twice the first arrival counts.
   * @param {number} ssrc
   * @param {number} sequence
   * @param {number} now ms, above 0
   */
  received(ssrc, sequence, now) {
    const s = this.stream(ssrc);
    const n = s.unwrap(sequence);
    const slot = n & (PACKETS - 1);
    if (n >= s.end) {
      for (let i = s.end; i < n; i++) s.at[i & (PACKETS - 1)] = 0;
      s.at[slot] = now;
      s.end = n + 1;
    } else if (s.at[slot] === 0) {
      s.at[slot] = now;
      s.due = Math.min(s.due, n);
      s.again = Math.min(s.again, n);
    } else return;
    s.newest = now;
    s.fresh = true;
  }

  /** @param {number} ssrc */
  stream(ssrc) {
    let oldest = this.streams[0];
    for (const s of this.streams) {
      if (s.ssrc === ssrc) return s;
      if (s.newest < oldest.newest) oldest = s;
    }
    if (this.streams.length < STREAMS) this.streams.push((oldest = new Arrivals()));
    oldest.ssrc = ssrc;
    oldest.end = oldest.due = oldest.again = 0;
    return oldest;
  }

  /**
   * A report of what came since the last one, or null if nothing did. Each packet
   * is in two reports where there is room. What does not fit comes in the next.
   * The bytes are valid until the next call.
   * @param {number} now ms
   */
  report(now) {
    const b = this.buf;
    let at = 8;
    for (let i = 0; i < this.streams.length; i++) {
      const s = this.streams[(this.next + i) % this.streams.length];
      if (!s.fresh) continue;
      const most = Math.floor((b.length - 4 - at - 8) / 4) * 2;
      if (most <= 0) {
        this.next = (this.next + i) % this.streams.length;
        break;
      }
      at = this.block(s, at, now, most);
    }
    if (at === 8) return null;
    b[0] = 0x80 | 11;
    b[1] = 205;
    b[2] = (at / 4) >> 8;
    b[3] = at / 4;
    put32(b, 4, 0);
    put32(b, at, ((now / 1000) * 65536) >>> 0);
    return b.subarray(0, at + 4);
  }

  /**
   * @param {Arrivals} s
   * @param {number} at
   * @param {number} now
   * @param {number} most packets
   */
  block(s, at, now, most) {
    const b = this.buf;
    const oldest = s.end - PACKETS;
    s.due = Math.max(s.due, oldest);
    let from = Math.max(s.again, oldest);
    if (s.end - from > most) from = s.due;
    const to = Math.min(s.end, from + most);
    s.again = s.due;
    s.due = to;
    s.fresh = to !== s.end;
    put32(b, at, s.ssrc);
    put32(b, at + 4, ((from & 0xffff) << 16) | (to - from));
    at += 8;
    for (let i = from; i < to; i++) {
      const came = s.at[i & (PACKETS - 1)];
      let metric = 0;
      if (came !== 0) {
        const ago = Math.floor(((now - came) * 1024) / 1000);
        metric = 0x8000 | (ago < 0 ? 0x1fff : Math.min(ago, 0x1ffe));
      }
      b[at++] = metric >> 8;
      b[at++] = metric;
    }
    if ((to - from) % 2 !== 0) {
      b[at++] = 0;
      b[at++] = 0;
    }
    return at;
  }
}
