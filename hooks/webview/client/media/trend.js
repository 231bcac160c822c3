// Whether one-way delay grows, by a line through the delays of the last groups of
// packets (draft-ietf-rmcat-gcc-02 section 5, with a trendline). Times are in ms.

export const NORMAL = 0;
export const OVERUSE = 1; // a queue builds up
export const UNDERUSE = 2; // a queue drains

const BURST = 5; // ms by which packets of a group are apart at most
const MAX_BURST = 100;
const POINTS = 20;

export class Trend {
  groups = 0; // complete ones, at most two counted
  firstSent = 0; // of the group that is gathered
  sent = 0;
  firstArrived = 0;
  arrived = 0;
  lastSent = 0; // of the one before
  lastArrived = 0;
  deltas = 0;
  start = 0;
  sum = 0; // accumulated delay
  smoothed = 0;
  next = 0;
  threshold = 12.5;
  adapted = 0;
  over = 0; // how long the trend has been above the threshold
  overCount = 0;
  previous = 0;
  /** NORMAL, OVERUSE or UNDERUSE. */
  usage = NORMAL;

  constructor() {
    this.x = new Float64Array(POINTS);
    this.y = new Float64Array(POINTS);
    this.reset();
  }

  reset() {
    this.groups = 0;
    this.firstSent = this.sent = this.firstArrived = this.arrived = 0;
    this.lastSent = this.lastArrived = 0;
    this.deltas = 0;
    this.start = this.sum = this.smoothed = 0;
    this.next = 0;
    this.threshold = 12.5;
    this.adapted = 0;
    this.over = this.overCount = this.previous = 0;
    this.usage = NORMAL;
  }

  /**
   * Takes a packet that left and arrived at these times, each by its own clock.
   * Packets come in the order in which they left.
   * @param {number} sent
   * @param {number} arrived
   */
  add(sent, arrived) {
    if (this.groups > 0) {
      if (sent < this.sent) return;
      const late = arrived - this.arrived;
      if (
        sent - this.firstSent <= BURST ||
        (late <= BURST && late < sent - this.sent && arrived - this.firstArrived < MAX_BURST)
      ) {
        this.sent = sent;
        this.arrived = Math.max(this.arrived, arrived);
        return;
      }
      if (this.groups === 1) this.groups = 2;
      else if (this.arrived >= this.lastArrived) {
        this.update(this.sent - this.lastSent, this.arrived - this.lastArrived, this.arrived);
      }
      this.lastSent = this.sent;
      this.lastArrived = this.arrived;
    } else this.groups = 1;
    this.firstSent = this.sent = sent;
    this.firstArrived = this.arrived = arrived;
  }

  /**
   * @param {number} sent how much later a group left than the one before
   * @param {number} arrived and arrived
   * @param {number} at
   */
  update(sent, arrived, at) {
    if (this.deltas === 0) {
      this.start = this.adapted = at;
      this.threshold = 12.5;
    }
    this.sum += arrived - sent;
    this.smoothed = 0.9 * this.smoothed + 0.1 * this.sum;
    this.x[this.next] = at - this.start;
    this.y[this.next] = this.smoothed;
    this.next = (this.next + 1) % POINTS;
    this.deltas++;
    if (this.deltas < POINTS) return;
    this.detect(Math.min(this.deltas, 60) * this.slope() * 4, sent, at);
    this.deltas = Math.min(this.deltas, 120);
  }

  slope() {
    let mx = 0;
    let my = 0;
    for (let i = 0; i < POINTS; i++) {
      mx += this.x[i] / POINTS;
      my += this.y[i] / POINTS;
    }
    let xy = 0;
    let xx = 0;
    for (let i = 0; i < POINTS; i++) {
      xy += (this.x[i] - mx) * (this.y[i] - my);
      xx += (this.x[i] - mx) * (this.x[i] - mx);
    }
    return xx === 0 ? 0 : xy / xx;
  }

  /**
   * @param {number} trend
   * @param {number} sent
   * @param {number} at
   */
  detect(trend, sent, at) {
    if (trend > this.threshold) {
      this.over = this.overCount === 0 ? sent / 2 : this.over + sent;
      this.overCount++;
      if (this.over > 10 && this.overCount > 1 && trend >= this.previous) {
        this.over = this.overCount = 0;
        this.usage = OVERUSE;
      }
    } else {
      this.over = this.overCount = 0;
      this.usage = trend < -this.threshold ? UNDERUSE : NORMAL;
    }
    this.previous = trend;
    const size = Math.abs(trend);
    if (size <= this.threshold + 15) {
      const k = size < this.threshold ? 0.039 : 0.0087;
      this.threshold += k * (size - this.threshold) * Math.min(at - this.adapted, 100);
      this.threshold = Math.min(Math.max(this.threshold, 6), 600);
    }
    this.adapted = at;
  }
}
