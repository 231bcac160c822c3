// How much video the way to the server carries, estimated from what the server
// reports (RFC 8888), as transport/bwe.Sender does. It has no clock: each call
// brings the time, in ms.

import { CUTS, Control, FINE, LossRule, RateMeter } from "./control.js";
import { u32 } from "./rtp.js";
import { Trend } from "./trend.js";

const HISTORY = 2048; // packets, a power of two
const HISTORY_AGE = 3000;
const SILENCE = 1000; // for which packets may go without any report
const CLOCK_SLACK = 2000;
const BLOCKS = 64; // of a report that are looked at

const WAITING = 0;
const MISSING = 1; // reported as not received; it may yet come
const SETTLED = 2;

export class BandwidthEstimator {
  /**
   * @param {number} initial bit/s
   * @param {number} [min]
   * @param {number} [max]
   */
  constructor(initial, min = 60_000, max = 4_000_000) {
    this.at = new Float64Array(HISTORY);
    this.ssrc = new Uint32Array(HISTORY);
    this.seq = new Uint16Array(HISTORY);
    this.size = new Uint16Array(HISTORY);
    this.state = new Uint8Array(HISTORY);
    this.head = 0; // the oldest, and
    this.tail = 0; // one past the newest, counted up
    this.sentRate = new RateMeter();
    this.ackedRate = new RateMeter();
    this.ackedAt = 0;
    this.trend = new Trend();
    this.loss = new LossRule();
    this.control = new Control(initial, min, max);
    this.rtt = 0;
    this.heard = false;
    this.stamp = 0;
    this.stampAt = 0;
    this.remote = 0;
    this.sentAt = 0;
    this.toldAt = 0;
    this.silentSince = 0;
    this.block = { at: 0, ssrc: 0, begin: 0, n: 0 };
  }

  /**
   * Tells that a packet leaves.
   * @param {number} ssrc
   * @param {number} seq
   * @param {number} size
   * @param {number} now
   */
  sent(ssrc, seq, size, now) {
    this.sentRate.add(now, size);
    while (this.head !== this.tail) {
      const i = this.head & (HISTORY - 1);
      if (this.state[i] !== SETTLED && now - this.at[i] <= HISTORY_AGE) break;
      this.head++;
    }
    if (this.tail - this.head === HISTORY) this.head++;
    if (now - this.sentAt > SILENCE / 2) this.toldAt = this.silentSince = now; // silence begins anew
    this.sentAt = now;
    const i = this.tail++ & (HISTORY - 1);
    this.at[i] = now;
    this.ssrc[i] = ssrc;
    this.seq[i] = seq;
    this.size[i] = size;
    this.state[i] = WAITING;
    if (now - this.silentSince > SILENCE + this.rtt) {
      this.silentSince = now - this.rtt;
      this.control.set(0.7 * this.control.target);
    }
  }

  /**
   * Tells that a packet leaves again with the number it had: the first one stays
   * lost.
   * @param {number} ssrc
   * @param {number} seq
   * @param {number} size
   * @param {number} now
   */
  resent(ssrc, seq, size, now) {
    this.sentRate.add(now, size);
    for (let k = this.head; k !== this.tail; k++) {
      const i = k & (HISTORY - 1);
      if (this.ssrc[i] !== ssrc || this.seq[i] !== seq || this.state[i] === SETTLED) continue;
      if (this.state[i] === WAITING) {
        this.loss.lost++;
        this.loss.total++;
      }
      this.state[i] = SETTLED;
    }
  }

  /**
   * Takes a report that readRTCP has checked. What it says of packets that were
   * not sent is ignored, and what it says twice counts once.
   * @param {Uint8Array} b
   * @param {number} now
   */
  feedback(b, now) {
    if (b.length <= 12) return;
    const steady = this.remoteTime(u32(b, b.length - 4), now);
    const remote = this.reported;
    if (!steady) {
      this.trend.reset();
      this.ackedRate.reset();
      this.ackedAt = remote;
    }
    let told = false;
    let delayTold = false;
    const outage = now - this.toldAt > SILENCE / 2 + this.rtt;
    let rtt = Infinity;
    this.block.n = 0;
    for (let k = this.head; k !== this.tail; k++) {
      const i = k & (HISTORY - 1);
      if (this.state[i] === SETTLED) continue;
      const metric = this.find(b, this.ssrc[i], this.seq[i]);
      if (metric < 0) continue;
      if (metric < 0x8000) {
        if (this.state[i] === WAITING) {
          told = true;
          this.state[i] = outage ? SETTLED : MISSING;
          if (!outage) {
            this.loss.lost++;
            this.loss.total++;
          }
        }
        continue;
      }
      told = true;
      const late = this.state[i] === MISSING;
      this.state[i] = SETTLED;
      if (late) this.loss.lost--;
      else this.loss.total++;
      const offset = metric & 0x1fff;
      if (offset >= 0x1ffe) continue;
      const ago = (offset * 1000) / 1024;
      this.ackedRate.add(remote - ago, this.size[i]);
      this.ackedAt = Math.max(this.ackedAt, remote - ago);
      if (late) continue;
      rtt = Math.min(rtt, now - this.at[i] - ago);
      this.trend.add(this.at[i], remote - ago);
      delayTold = true;
    }
    if (!told) return;
    this.toldAt = this.silentSince = now;
    if (rtt !== Infinity) {
      rtt = Math.max(rtt, 0);
      if (this.rtt === 0) this.rtt = rtt;
      this.rtt += (rtt - this.rtt) / 8;
    }
    const sent = this.sentRate.rate(now);
    const acked = this.ackedRate.rate(this.ackedAt);
    const v = this.loss.window(now);
    if (v === CUTS) this.control.cut(now, 0.95, sent, acked, this.rtt);
    if (delayTold) this.control.onDelay(now, this.trend.usage, sent, acked, this.rtt, v === FINE);
  }

  /**
   * What a report says of a packet: 16 bits, or -1 for nothing.
   * @param {Uint8Array} b
   * @param {number} ssrc
   * @param {number} seq
   */
  find(b, ssrc, seq) {
    const last = this.block; // packets come in order: look where the one before was
    if (last.n > 0 && last.ssrc === ssrc) {
      const k = (seq - last.begin) & 0xffff;
      if (k < last.n) return (b[last.at + 2 * k] << 8) | b[last.at + 2 * k + 1];
    }
    const end = b.length - 4;
    for (let at = 8, blocks = 0; at + 8 <= end && blocks < BLOCKS; blocks++) {
      const n = (b[at + 6] << 8) | b[at + 7];
      const begin = (b[at + 4] << 8) | b[at + 5];
      const k = (seq - begin) & 0xffff;
      if (k < n && u32(b, at) === ssrc) {
        last.at = at + 8;
        last.ssrc = ssrc;
        last.begin = begin;
        last.n = n;
        return (b[at + 8 + 2 * k] << 8) | b[at + 9 + 2 * k];
      }
      at += 8 + 4 * Math.ceil(n / 2);
    }
    return -1;
  }

  /**
   * Unwraps a report's timestamp, in 1/65536 s, into `reported`, and says whether
   * the clock goes on as it did.
   * @param {number} stamp
   * @param {number} now
   */
  remoteTime(stamp, now) {
    const start = 3_600_000; // what arrived before the first report is not before 0
    if (!this.heard) {
      this.heard = true;
      this.stamp = stamp;
      this.stampAt = now;
      this.reported = this.remote = start;
      return true;
    }
    const step = (((stamp - this.stamp) | 0) * 1000) / 65536;
    if (Math.abs(step - (now - this.stampAt)) > CLOCK_SLACK) {
      this.stamp = stamp;
      this.stampAt = now;
      this.reported = this.remote = start;
      return false;
    }
    this.reported = this.remote + step;
    if (step < 0) return true; // overtaken by a later one
    this.stamp = stamp;
    this.stampAt = now;
    this.remote += step;
    return true;
  }

  reported = 0;

  /** How much may be sent, in bit/s. */
  get target() {
    return Math.floor(this.control.target);
  }
}
