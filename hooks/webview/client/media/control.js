// How the target of a video follows what the path shows: multiplicative or
// additive increase, multiplicative decrease (draft-ietf-rmcat-gcc-02 sections 5.5
// and 6), and what loss does to it, as transport/bwe does. Times are in ms.

import { NORMAL, OVERUSE } from "./trend.js";

const NEAR = 0.08; // of the rate at which it was last too much: growth is slow

export class Control {
  /**
   * @param {number} initial bit/s
   * @param {number} min
   * @param {number} max
   */
  constructor(initial, min, max) {
    this.min = min;
    this.max = max;
    this.target = initial;
    this.limit = 0; // the rate at which it was last too much; 0: not known
    this.met = false;
    this.increased = 0;
    this.decreased = -Infinity;
  }

  /**
   * @param {number} now
   * @param {number} usage
   * @param {number} sent bit/s
   * @param {number} acked bit/s
   * @param {number} rtt
   * @param {boolean} mayGrow
   */
  onDelay(now, usage, sent, acked, rtt, mayGrow) {
    if (usage === OVERUSE) this.cut(now, 0.85, sent, acked, rtt);
    if (usage === NORMAL && mayGrow) this.grow(now, sent, rtt);
    this.increased = now;
  }

  /**
   * Lowers the target to a share of what arrives, once per response time.
   * @param {number} now
   * @param {number} share
   * @param {number} sent
   * @param {number} acked
   * @param {number} rtt
   */
  cut(now, share, sent, acked, rtt) {
    if (now - this.decreased < Math.min(Math.max(rtt, 50), 200) + 50) return;
    this.decreased = now;
    if (acked === 0 || sent < 0.6 * this.target) {
      this.set(share * this.target); // what arrives says nothing of the path
      return;
    }
    this.met = true;
    this.limit = Math.min(acked, this.target);
    this.set(Math.min(share * acked, this.target));
  }

  /**
   * @param {number} now
   * @param {number} sent
   * @param {number} rtt
   */
  grow(now, sent, rtt) {
    const dt = Math.min(now - this.increased, 1000) / 1000;
    const bound = 1.5 * sent + 50_000;
    if (dt <= 0 || this.target >= bound) return;
    let next = this.target;
    if (this.limit > 0 && next > (1 - 2 * NEAR) * this.limit && next < (1 + NEAR) * this.limit) {
      next += (4800 * dt) / (Math.min(100 + rtt, 300) / 1000);
    } else if (this.limit > 0 && next < (1 - 2 * NEAR) * this.limit) {
      next *= 1 + 0.3 * dt;
    } else if (!this.met) {
      next *= 1 + 0.25 * dt;
    } else {
      if (next >= (1 + NEAR) * this.limit) this.limit = 0; // the path has become wider
      next *= 1 + 0.12 * dt;
    }
    this.set(Math.min(next, bound));
  }

  /** @param {number} target */
  set(target) {
    this.target = Math.min(Math.max(target, this.min), this.max);
  }
}

export const FINE = 0;
export const HOLDS = 1;
export const CUTS = 2;

const MEMORY = 10; // windows of half a second

/** Says what loss does to the target: only what is above what the path loses anyway counts. */
export class LossRule {
  constructor() {
    this.lost = 0;
    this.total = 0;
    this.start = -1;
    this.loss = 0; // smoothed
    this.windows = 0;
    this.past = new Float64Array(MEMORY);
    this.held = 0;
    this.holding = false;
  }

  /** @param {number} now */
  window(now) {
    if (this.start < 0) this.start = now;
    const age = now - this.start;
    if (age < 500 || (this.total < 20 && age < 2000) || this.total <= 0) return this.holding ? HOLDS : FINE;
    const counted = this.total;
    const ratio = Math.max(this.lost, 0) / counted;
    this.lost = this.total = 0;
    this.start = now;
    if (this.windows === 0) this.loss = ratio;
    else this.loss += (ratio - this.loss) / 2;
    let base = this.loss;
    for (let i = 0; i < Math.min(this.windows, MEMORY); i++) base = Math.min(base, this.past[i]);
    this.past[this.windows % MEMORY] = this.loss;
    if (++this.windows === 2 * MEMORY) this.windows = MEMORY;
    // What chance may add to so few packets does not count.
    const above = this.loss - base - 2 * Math.sqrt((base * (1 - base)) / counted);
    if (this.loss > 0.3) {
      this.holding = true;
      this.held = now;
      return CUTS;
    }
    if (above > 0.05) {
      const much = above > 0.1;
      if (this.holding ? now - this.held >= (much ? 1000 : 2000) : much) {
        this.holding = true;
        this.held = now;
        return CUTS;
      }
      if (!this.holding) {
        this.holding = true;
        this.held = now;
      }
      return HOLDS;
    }
    this.holding = false;
    return FINE;
  }
}

const BUCKET = 50;
const BUCKETS = 11;

/** Measures a rate over the last half second. */
export class RateMeter {
  newest = 0;
  first = -1;

  constructor() {
    this.bytes = new Float64Array(BUCKETS);
    this.reset();
  }

  reset() {
    this.bytes.fill(0);
    this.newest = 0;
    this.first = -1;
  }

  /**
   * @param {number} at
   * @param {number} bytes
   */
  add(at, bytes) {
    at = Math.max(at, 0);
    if (this.first < 0) {
      this.first = at;
      this.newest = Math.floor(at / BUCKET);
    }
    this.advance(at);
    const b = Math.floor(at / BUCKET);
    if (b > this.newest - BUCKETS) this.bytes[b % BUCKETS] += bytes;
  }

  /** @param {number} at */
  advance(at) {
    const b = Math.floor(at / BUCKET);
    if (b - this.newest >= BUCKETS) {
      this.bytes.fill(0);
      this.newest = b;
    }
    while (this.newest < b) this.bytes[++this.newest % BUCKETS] = 0;
  }

  /**
   * Bits per second; 0 until a tenth of a second has been measured.
   * @param {number} now
   */
  rate(now) {
    if (this.first < 0) return 0;
    this.advance(now);
    const part = Math.max(now, 0) - this.newest * BUCKET;
    const span = Math.min((BUCKETS - 1) * BUCKET, now - this.first);
    if (span < 2 * BUCKET) return 0;
    let sum = 0;
    for (let i = 0; i < BUCKETS; i++) sum += this.bytes[i];
    const oldest = this.bytes[(this.newest + 1) % BUCKETS];
    return (8000 * (sum - (oldest * part) / BUCKET)) / span;
  }
}
