// How long sound should wait before it is played, as mixer/jitter has it: the
// delay that costs least over the last ten seconds, where a break in the sound
// weighs as much as some delay. All numbers are samples at 48 kHz.

const BUCKET = 9600; // 200 ms of sound
const BUCKETS = 50;
const BREAK = 384; // how much delay is worth avoiding one break in all buckets
const SHARE = 8; // how many samples made up weigh as one of delay

/** Remembers how late packets were. It counts sound, not time: a pause teaches nothing. */
export class DelayEstimator {
  n = 0;
  cur = 0;
  inCur = 0; // packets in the bucket
  start = 0; // the timestamp with which it began
  best = 0;
  stale = true;

  constructor() {
    this.max = new Float64Array(BUCKETS);
    this.min = new Float64Array(BUCKETS);
    this.sorted = new Float64Array(BUCKETS);
  }

  reset() {
    this.n = 0;
    this.cur = 0;
    this.inCur = 0;
    this.start = 0;
    this.best = 0;
    this.stale = true;
  }

  /**
   * Notes that the packet of timestamp ts could be played at ts+late at the earliest.
   * @param {number} ts
   * @param {number} late
   */
  add(ts, late) {
    this.stale = true;
    this.inCur++;
    if (this.n === 0 || ts - this.start >= BUCKET || this.start - ts >= BUCKET * BUCKETS) {
      if (this.n > 0) this.cur = (this.cur + 1) % BUCKETS;
      this.n = Math.min(this.n + 1, BUCKETS);
      this.start = ts;
      this.inCur = 1;
      this.max[this.cur] = this.min[this.cur] = late;
      return;
    }
    this.max[this.cur] = Math.max(this.max[this.cur], late);
    this.min[this.cur] = Math.min(this.min[this.cur], late);
  }

  /** The lateness of the fastest packet. */
  least() {
    let m = this.n > 0 ? this.min[0] : 0;
    for (let i = 1; i < this.n; i++) m = Math.min(m, this.min[i]);
    return m;
  }

  /** The delay that costs least. */
  target() {
    if (this.n === 0) return 0;
    if (!this.stale) return this.best;
    this.stale = false;
    // A delay below the fastest of the last packets breaks the sound for certain.
    let floor = this.min[this.cur];
    const before = (this.cur + BUCKETS - 1) % BUCKETS;
    if (this.inCur < 4 && before < this.n) floor = Math.min(floor, this.min[before]);
    const s = this.sorted;
    for (let k = 0; k < this.n; k++) {
      let i = k;
      for (; i > 0 && s[i - 1] < this.max[k]; i--) s[i] = s[i - 1];
      s[i] = this.max[k];
    }
    this.best = s[0];
    let cost = s[0];
    let over = 0; // the sum of the maxima above v
    for (let i = 0; i < this.n; i++) {
      const v = Math.max(s[i], floor);
      const broken = over - i * v;
      over += s[i];
      const c = v + i * BREAK + broken / SHARE;
      if (c < cost) {
        this.best = v;
        cost = c;
      }
      if (v === floor) break;
    }
    return this.best;
  }
}
