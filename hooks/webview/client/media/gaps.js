// Which packets of a stream did not come, when to ask for them, and their order.

import { step16 } from "./rtp.js";

const MISSING = 128; // that are remembered
const REORDER = 5; // ms that a packet may be merely late
const JUMP = 512; // numbers: more is another stream
const ASKS = 8;

/** Finds out what did not come (RFC 4585 section 6.2.1). Times are in ms. */
export class Gaps {
  /** @param {number} wait for how long a packet is worth asking for */
  constructor(wait) {
    this.wait = wait;
    this.seq = new Uint16Array(MISSING);
    this.since = new Float64Array(MISSING);
    this.asked = new Float64Array(MISSING);
    this.times = new Uint8Array(MISSING);
    this.n = 0;
    this.highest = 0;
    this.started = false;
  }

  /**
   * Takes a packet's number; reports whether the numbers begin anew.
   * @param {number} seq
   * @param {number} now
   */
  received(seq, now) {
    if (!this.started) {
      this.started = true;
      this.highest = seq;
      return false;
    }
    const ahead = step16(seq, this.highest);
    if (ahead > JUMP || ahead < -JUMP) {
      this.n = 0;
      this.highest = seq;
      return true;
    }
    if (ahead <= 0) {
      for (let i = 0; i < this.n; i++) {
        if (this.seq[i] === seq) {
          this.remove(i, 1);
          break;
        }
      }
      return false;
    }
    const gap = Math.min(ahead - 1, MISSING);
    const over = this.n + gap - MISSING;
    if (over > 0) this.remove(0, over); // the newest count
    for (let i = gap; i > 0; i--) {
      this.seq[this.n] = seq - i;
      this.since[this.n] = now;
      this.asked[this.n] = this.times[this.n] = 0;
      this.n++;
    }
    this.highest = seq;
    return false;
  }

  /**
   * @param {number} at
   * @param {number} count
   */
  remove(at, count) {
    this.seq.copyWithin(at, at + count, this.n);
    this.since.copyWithin(at, at + count, this.n);
    this.asked.copyWithin(at, at + count, this.n);
    this.times.copyWithin(at, at + count, this.n);
    this.n -= count;
  }

  /**
   * Whether a number is missing and may still come.
   * @param {number} seq
   */
  waits(seq) {
    for (let i = 0; i < this.n; i++) if (this.seq[i] === seq) return true;
    return false;
  }

  /**
   * Writes the numbers to ask for now into `into` and returns how many, and gives
   * up those that have been missing for too long. Each is asked for again when an
   * answer should have come.
   * @param {Uint16Array} into
   * @param {number} rtt
   * @param {number} now
   */
  due(into, rtt, now) {
    let n = 0;
    for (let i = 0; i < this.n; i++) {
      const age = now - this.since[i];
      if (age >= this.wait) {
        this.remove(i--, 1);
        continue;
      }
      if (n === into.length || age < REORDER || this.times[i] >= ASKS || age + rtt / 2 >= this.wait) continue;
      if (this.times[i] > 0 && now - this.asked[i] < rtt + 10) continue;
      this.asked[i] = now;
      this.times[i]++;
      into[n++] = this.seq[i];
    }
    return n;
  }
}

/**
 * Puts packets back into their order: those that came too early wait for those
 * before them. Its memory is bounded.
 */
export class Order {
  /** @param {number} size how many may wait, a power of 2 */
  constructor(size) {
    /** @type {(Uint8Array | null)[]} */
    this.slots = new Array(size).fill(null);
    this.next = 0;
    this.waiting = 0;
    this.started = false;
  }

  /**
   * Takes a packet, which it keeps. One that comes after its turn, or again, is
   * dropped; one for which there is no room moves the turn on.
   * @param {number} seq
   * @param {Uint8Array} packet
   */
  push(seq, packet) {
    if (!this.started) {
      this.started = true;
      this.next = seq;
    }
    let ahead = step16(seq, this.next);
    if (ahead < 0) return;
    for (; ahead >= this.slots.length; ahead--) this.pop(true);
    const at = seq % this.slots.length;
    if (this.slots[at] !== null) return;
    this.slots[at] = packet;
    this.waiting++;
  }

  /**
   * Returns the packet that is due, or null.
   * @param {boolean} [skip] go on even if it is not there
   */
  pop(skip = false) {
    const at = this.next % this.slots.length;
    const packet = this.slots[at];
    if (packet !== null) {
      this.slots[at] = null;
      this.waiting--;
    }
    if (packet !== null || skip) this.next = (this.next + 1) & 0xffff;
    return packet;
  }

  /** Forgets everything. */
  restart() {
    this.slots.fill(null);
    this.waiting = 0;
    this.started = false;
  }
}

/** Keeps the newest packets of a stream of ours, to send them again. */
export class Cache {
  /**
   * @param {number} size in packets, a power of 2
   * @param {number} bytes of one packet at most
   */
  constructor(size, bytes) {
    this.size = size;
    this.bytes = bytes;
    this.data = new Uint8Array(size * bytes);
    this.seq = new Int32Array(size).fill(-1);
    this.length = new Uint16Array(size);
    this.time = new Float64Array(size);
  }

  /**
   * Keeps a copy of b[:length].
   * @param {number} seq
   * @param {Uint8Array} b
   * @param {number} length
   * @param {number} now
   */
  put(seq, b, length, now) {
    const i = seq % this.size;
    if (length > this.bytes) return;
    this.data.set(b.subarray(0, length), i * this.bytes);
    this.seq[i] = seq;
    this.length[i] = length;
    this.time[i] = now;
  }

  /**
   * Returns a packet that is at most `age` old, or null.
   * @param {number} seq
   * @param {number} age
   * @param {number} now
   */
  get(seq, age, now) {
    const i = seq % this.size;
    if (this.seq[i] !== seq || now - this.time[i] > age) return null;
    return this.data.subarray(i * this.bytes, i * this.bytes + this.length[i]);
  }
}
