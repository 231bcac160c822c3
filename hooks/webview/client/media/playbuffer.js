// The sound of one track between decoder and loudspeaker. Everything is counted in
// samples of the sink, as in mixer/jitter: sound of timestamp t plays when t + delay
// samples were pulled. What comes late lengthens the delay there and then; too long
// a delay is shortened by cutting silence, or whole pitch periods, and so are the
// drifting clocks of senders followed.

import { DelayEstimator } from "./delay.js";
import { step32 } from "./rtp.js";

const RING = 1 << 15;
const MASK = RING - 1;
const MOST = 19200; // 400 ms that wait at most
const GAP = 4800; // a longer gap in the timestamps begins anew
const DRY = 2880; // so long without sound is a pause
const JUMP = 480000;
const FADE = 64;
const DECAY = 0.95;
const CHECK = 480; // how often the delay is looked at
const OFF = 144; // how far it may be off
const LONGEST = 480; // of a cut
const OVERLAP = 192;
const QUIET = 0.003;
const RECENT = 10; // buckets: 2 s of sound

export class PlayBuffer {
  /**
   * @param {number} channels 1 or 2
   * @param {number} burst how many samples the sink takes at a time
   */
  constructor(channels, burst) {
    this.channels = channels;
    this.ring = new Float32Array(RING * channels); // one side after the other
    this.margin = Math.round(0.4 * burst);
    this.delays = new DelayEstimator();
    this.out = 0; // samples pulled
    this.base = 0; // of timestamps: the last
    this.last = 0; // the same, unwrapped
    this.any = false;
    this.active = false; // between begin() and a pause
    this.head = 0; // the next sample to be played
    this.end = 0; // one past the last
    this.oldest = 0; // the first that is in the ring
    this.startAt = 0; // when head is to be played
    this.dry = 0; // samples for which there was nothing
    this.check = 0;
    this.lastLeft = 0; // the last sample played
    this.lastRight = 0;
    this.tailLeft = 0; // what sound broke off with, fading
    this.tailRight = 0;
    this.fade = FADE; // samples since sound began
    /** What became of it, in samples but for the first two. */
    this.underruns = 0;
    this.splices = 0;
    this.cut = 0;
    this.stretched = 0;
    this.lateDropped = 0;
  }

  /** The delay now, beyond that of the fastest packet lately, in samples. */
  wait() {
    return this.active ? Math.max(0, this.out - this.head - this.delays.least(RECENT)) : 0;
  }

  /** How much sound there is. */
  depth() {
    return this.active ? this.end - this.head : 0;
  }

  /**
   * Takes decoded sound; none for a packet that came too late.
   * @param {number} timestamp 32 bits, of the first sample
   * @param {Float32Array} pcm one side after the other
   */
  push(timestamp, pcm) {
    const n = pcm.length / this.channels;
    if (n > MOST) return;
    if (n === 0) { // it came when its place had been filled
      if (this.any) this.delays.add(this.last + step32(timestamp, this.base), this.out - this.last - step32(timestamp, this.base));
      return;
    }
    const step = this.any ? step32(timestamp, this.base) : 0;
    if (Math.abs(step) > JUMP) {
      this.active = false;
      this.delays.reset();
    }
    const t = this.last + step;
    if (step > 0 || !this.any) {
      this.any = true;
      this.base = timestamp;
      this.last = t;
    }
    this.delays.add(t, this.out - t);
    if (!this.active || t - this.end > GAP) this.begin(t);
    const rise = t > this.end ? FADE : 0;
    if (rise) this.silence(t);
    const from = this.end - t;
    if (from >= n) {
      this.lateDropped += n;
      return;
    }
    for (let c = 0; c < this.channels; c++) {
      for (let i = from; i < n; i++) {
        this.ring[c * RING + ((t + i) & MASK)] = i < rise ? (pcm[c * n + i] * i) / rise : pcm[c * n + i];
      }
    }
    this.end = t + n;
    this.dry = 0;
    this.oldest = Math.max(this.oldest, this.end - RING);
    if (this.end - this.head > MOST) this.moveTo(this.end - Math.floor(MOST / 2));
  }

  /**
   * A talk spurt begins, after as much silence as the delay asks for.
   * @param {number} t
   */
  begin(t) {
    this.active = true;
    this.head = this.end = this.oldest = t;
    this.startAt = Math.min(this.out + MOST / 2, Math.max(this.out, t + this.want()));
    this.dry = 0;
    this.breakOff();
  }

  want() {
    return this.delays.target() + this.margin;
  }

  /**
   * Fills up to t, where the sender left something out. What was silence for want
   * of sound counts.
   * @param {number} t
   */
  silence(t) {
    const played = Math.min(this.dry, t - this.end);
    if (this.head === this.end && played > 0) {
      this.head += played;
      this.end += played;
      this.oldest = this.head;
    }
    for (let c = 0; c < this.channels; c++) {
      let v = this.head < this.end ? this.ring[c * RING + ((this.end - 1) & MASK)] : 0;
      for (let i = this.end; i < t; i++) {
        v = Math.abs(v) < 1e-4 ? 0 : v * DECAY;
        this.ring[c * RING + (i & MASK)] = v;
      }
    }
    this.end = t;
  }

  /** @param {number} head */
  moveTo(head) {
    this.cut += head - this.head;
    this.head = head;
    this.breakOff();
  }

  /** What is played next does not follow from what was: it fades in, and that out. */
  breakOff() {
    this.fade = 0;
    this.tailLeft = this.lastLeft;
    this.tailRight = this.lastRight;
  }

  /**
   * Adds the next samples to left and right, each with a gain that goes evenly from
   * one value to another.
   * @param {Float32Array} left
   * @param {Float32Array} right
   * @param {number} from
   * @param {number} to
   * @param {number} [fromRight] Default: as on the left.
   * @param {number} [toRight]
   */
  pull(left, right, from, to, fromRight = from, toRight = to) {
    const n = left.length;
    const step = (to - from) / n;
    const stepRight = (toRight - fromRight) / n;
    let gain = from;
    let gainRight = fromRight;
    let i = 0;
    if (this.active && this.out < this.startAt) i = Math.min(n, this.startAt - this.out);
    if (i > 0) this.decay(left, right, 0, i, from, fromRight);
    gain += i * step;
    gainRight += i * stepRight;
    if (this.active && i < n) {
      if ((this.check -= n) <= 0) this.adapt(this.out + i);
      const side = this.channels === 2 ? RING : 0;
      const have = Math.min(n - i, this.end - this.head);
      for (let k = 0; k < have; k++, i++) {
        const at = this.head & MASK;
        let l = this.ring[at];
        let r = this.ring[side + at];
        if (this.fade < FADE) {
          const f = ++this.fade / FADE;
          this.tailLeft *= DECAY;
          this.tailRight *= DECAY;
          l = l * f + this.tailLeft * (1 - f);
          r = r * f + this.tailRight * (1 - f);
        }
        left[i] += l * gain;
        right[i] += r * gainRight;
        this.lastLeft = l;
        this.lastRight = r;
        gain += step;
        gainRight += stepRight;
        this.head++;
      }
    }
    if (i < n) {
      if (this.active && this.out + i >= this.startAt) {
        if (this.dry === 0) {
          this.underruns++;
          this.breakOff();
        }
        this.dry += n - i;
        if (this.dry > DRY) this.active = false;
      }
      this.decay(left, right, i, n, gain, gainRight);
    }
    this.out += n;
  }

  /**
   * Lets the last sample fade, so that the end of sound is no click.
   * @param {Float32Array} left
   * @param {Float32Array} right
   * @param {number} from
   * @param {number} to
   * @param {number} gain
   * @param {number} gainRight
   */
  decay(left, right, from, to, gain, gainRight) {
    if (this.lastLeft === 0 && this.lastRight === 0) return;
    for (let i = from; i < to; i++) {
      this.tailLeft *= DECAY;
      this.tailRight *= DECAY;
      left[i] += this.tailLeft * gain;
      right[i] += this.tailRight * gainRight;
    }
    if (Math.abs(this.tailLeft) + Math.abs(this.tailRight) < 1e-4) this.tailLeft = this.tailRight = 0;
    this.lastLeft = this.tailLeft;
    this.lastRight = this.tailRight;
  }

  /**
   * Brings the delay nearer to what it should be.
   * @param {number} at the position of the next sample that is played
   */
  adapt(at) {
    this.check = CHECK;
    const off = at - this.head - this.want();
    if (Math.abs(off) < OFF) return;
    const most = Math.min(LONGEST, Math.floor(Math.abs(off)));
    if (off > 0) {
      const room = this.end - this.head - OVERLAP - 256;
      if (room < OFF / 2) return;
      this.splice(Math.min(most, room), 1, off > 2400);
    } else {
      if (this.end - this.head < OVERLAP || this.head - this.oldest < most) return;
      this.splice(most, -1, false);
    }
  }

  /**
   * Leaves out up to `most` samples, or plays them again, where it is heard least.
   * @param {number} most
   * @param {number} sign
   * @param {boolean} anyhow it must be, however it sounds
   */
  splice(most, sign, anyhow) {
    let best = most;
    if (!this.quiet(most)) {
      best = 0;
      let alike = anyhow ? -2 : 0.5;
      for (let lag = 96; lag <= most; lag += 4) {
        const a = this.alike(sign * lag);
        if (a > alike) {
          alike = a;
          best = lag;
        }
      }
      if (best === 0) return;
    }
    const d = sign * best;
    for (let c = 0; c < this.channels; c++) {
      const o = c * RING;
      for (let k = 0; k < OVERLAP; k++) {
        const i = d > 0 ? OVERLAP - 1 - k : k; // so that nothing is read that was written
        const f = i / OVERLAP;
        const to = o + ((this.head + d + i) & MASK);
        this.ring[to] = this.ring[o + ((this.head + i) & MASK)] * (1 - f) + this.ring[to] * f;
      }
    }
    this.head += d;
    this.splices++;
    if (d > 0) this.cut += d;
    else this.stretched -= d;
    this.check = 3 * CHECK;
  }

  /**
   * Whether what comes next is next to nothing.
   * @param {number} most
   */
  quiet(most) {
    const to = Math.min(this.end, this.head + most + OVERLAP);
    for (let i = this.head; i < to; i += 2) if (Math.abs(this.ring[i & MASK]) > QUIET) return false;
    return true;
  }

  /**
   * How much what comes next is like what is d samples away, -1 to 1.
   * @param {number} d
   */
  alike(d) {
    let xy = 0;
    let xx = 0;
    let yy = 0;
    for (let i = 0; i < OVERLAP; i += 3) {
      const x = this.ring[(this.head + i) & MASK];
      const y = this.ring[(this.head + d + i) & MASK];
      xy += x * y;
      xx += x * x;
      yy += y * y;
    }
    return xy / Math.sqrt(xx * yy + 1e-12);
  }
}
