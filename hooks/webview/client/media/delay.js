// How long sound should wait before it is played, as mixer/jitter has it: the
// delay that costs least over the last ten seconds, where a break in the sound
// weighs as much as some delay. All numbers are samples at 48 kHz.

const BUCKET = 9600; // 200 ms of sound
const BUCKETS = 50;
const BREAK = 384; // how much delay is worth avoiding one break in all buckets
const SHARE = 8; // how many samples made up weigh as one of delay
const CHANGE = 0.5; // how much a sample of change in 200 ms weighs
const WORST = 9600; // what is later than the fastest by more is no later for this

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
      this.min[this.cur] = late;
      this.max[this.cur] = Math.min(late, this.least(2) + WORST);
      return;
    }
    this.min[this.cur] = Math.min(this.min[this.cur], late);
    this.max[this.cur] = Math.max(this.max[this.cur], Math.min(late, this.least(2) + WORST));
  }

  /**
   * The lateness of the fastest packet in so many buckets.
   * @param {number} buckets
   */
  least(buckets) {
    let m = this.min[this.cur];
    for (let i = 1; i < Math.min(buckets, this.n); i++) m = Math.min(m, this.min[(this.cur - i + BUCKETS) % BUCKETS]);
    return m;
  }

  /**
   * The delay that costs least: a constant one over all that is remembered, or one
   * that follows the network, whichever would have been cheaper.
   */
  target() {
    if (this.n === 0 || !this.stale) return this.best;
    this.stale = false;
    // A delay below the fastest of the last packets breaks the sound for certain.
    const floor = this.least(this.inCur < 4 ? 2 : 1);
    for (let i = 0; i < this.n; i++) this.insert(i, this.max[i]);
    const still = this.cheapest(this.n, floor);
    this.best = still;
    if (this.n < 10) return this.best;
    const stillCost = this.cost;
    // One that keeps a margin above the latest packets: cheap where the network
    // changes slowly. Every change of it is sound stretched or cut.
    const n = this.n - 2;
    let level = 0;
    let change = 0;
    for (let i = 0; i < n; i++) {
      level += this.base(i) / n;
      if (i + 1 < n) change += Math.abs(this.base(i) - this.base(i + 1)) / n;
      this.insert(i, this.ago(i) - this.base(i));
    }
    const margin = this.cheapest(n, 0);
    if (level + change * CHANGE + this.cost < stillCost) {
      this.best = Math.max(floor, Math.max(this.ago(0), this.ago(1), this.ago(2)) + margin);
    }
    return this.best;
  }

  /**
   * The latest of i buckets ago.
   * @param {number} i
   */
  ago(i) {
    return this.max[(this.cur - i + BUCKETS) % BUCKETS];
  }

  /**
   * What was known of it before.
   * @param {number} i
   */
  base(i) {
    return Math.max(this.ago(i + 1), this.ago(i + 2));
  }

  /**
   * Puts a value among the k that are sorted, the largest first.
   * @param {number} k
   * @param {number} v
   */
  insert(k, v) {
    let i = k;
    for (; i > 0 && this.sorted[i - 1] < v; i--) this.sorted[i] = this.sorted[i - 1];
    this.sorted[i] = v;
  }

  /**
   * The delay of the n sorted ones that costs least, but no less than floor: each
   * that is above it is one break, as long as it is above. Its cost is in `cost`.
   * @param {number} n
   * @param {number} floor
   */
  cheapest(n, floor) {
    let best = this.sorted[0];
    this.cost = best;
    let over = 0; // the sum of those above v
    for (let i = 0; i < n; i++) {
      const v = Math.max(this.sorted[i], floor);
      const c = v + i * BREAK + (over - i * v) / SHARE;
      over += this.sorted[i];
      if (c < this.cost) {
        best = v;
        this.cost = c;
      }
      if (v === floor) break;
    }
    return best;
  }

  cost = 0;
}
