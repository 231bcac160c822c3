// Tells speech from other sound in one talker's track, as mixer.VoiceDetector: by
// what stands out of the background in four bands, and by a pitch that lasts.

const FRAME = 480; // 10 ms at 48 kHz
const TAPS = 24;
const WINDOW = 120; // 30 ms at 4 kHz
const LEAST = 10; // 400 Hz
const MOST = 57; // 70 Hz
const HOLD = 24; // frames

/** A low pass at 3.6 kHz for 48 kHz: a sinc under a Hamming window. */
const decimation = (() => {
  const w = new Float64Array(TAPS);
  let sum = 0;
  for (let i = 0; i < TAPS; i++) {
    const x = i - (TAPS - 1) / 2;
    w[i] = (Math.sin(0.15 * Math.PI * x) / (Math.PI * x)) * (0.54 - 0.46 * Math.cos((2 * Math.PI * (i + 0.5)) / TAPS));
    sum += w[i];
  }
  return w.map((v) => v / sum);
})();

/** The least that a band has been over three seconds, on an average over 400 ms. */
class Floor {
  mean = 0;
  parts = new Float64Array(6);
  part = 0;
  n = 0;
  ready = false;

  /** @param {number} db */
  note(db) {
    if (!this.ready) {
      this.ready = true;
      this.mean = db;
      this.parts.fill(db);
    }
    this.mean += (db - this.mean) / 40;
    if (++this.n === 50) {
      this.n = 0;
      this.part = (this.part + 1) % this.parts.length;
      this.parts[this.part] = this.mean;
    }
    this.parts[this.part] = Math.min(this.parts[this.part], this.mean);
    let least = this.parts[0];
    for (let i = 1; i < this.parts.length; i++) least = Math.min(least, this.parts[i]);
    return least;
  }
}

export class VoiceDetector {
  constructor() {
    this.fill = 0;
    this.x = new Float32Array(TAPS + FRAME);
    this.wide = new Float32Array(FRAME / 6);
    this.mid = new Float32Array(FRAME / 12);
    this.a = new Float32Array(FRAME / 12);
    this.b = new Float32Array(FRAME / 24);
    this.c = new Float32Array(FRAME / 48);
    this.all = new Float64Array(6); // the all-passes' states
    this.energy = new Float64Array(4);
    this.pitch = new Float32Array(MOST + WINDOW);
    this.last = 0;
    this.floors = [new Floor(), new Floor(), new Floor(), new Floor()];
    this.voiced = 0;
    this.hold = 0;
    this.even = 0;
  }

  /**
   * Takes the next sound, 48 kHz mono with full scale at 1, and reports whether it
   * is speech.
   * @param {Float32Array} pcm
   */
  process(pcm) {
    for (let i = 0; i < pcm.length; i++) {
      this.x[TAPS + this.fill++] = pcm[i] * 32768;
      if (this.fill === FRAME) {
        this.fill = 0;
        this.step();
        this.x.copyWithin(0, FRAME);
      }
    }
    return this.hold > 0;
  }

  step() {
    for (let i = 0; i < this.wide.length; i++) {
      let sum = 0;
      for (let k = 0; k < TAPS; k++) sum += this.x[6 * i + 6 + k] * decimation[k];
      this.wide[i] = sum;
    }
    this.analyse();
    this.pitch.copyWithin(0, this.mid.length);
    for (let i = 0, at = this.pitch.length - this.mid.length; i < this.mid.length; i++) {
      this.pitch[at + i] = this.mid[i] - 0.3 * this.last;
      this.last = this.mid[i];
    }
    let total = 0;
    let excess = 0;
    let least = 30;
    for (let i = 0; i < 4; i++) {
      const e = this.energy[i];
      total += e;
      const db = 10 * Math.log10(e / this.wide.length + 1);
      const over = Math.min(30, Math.max(0, db - this.floors[i].note(db)));
      excess += over / 3;
      least = Math.min(least, over);
    }
    excess -= least / 3; // the band that noise covers most says nothing
    const loud = 10 * Math.log10(total / this.wide.length + 1) - 20 * Math.log10(32767);
    this.voiced = (this.voiced << 1) & 0xff;
    let plain = false;
    if (loud > -60 && excess > 6.8) {
      const alike = this.alike();
      if (alike > 0.37 && this.even > 0.04) {
        this.voiced |= 1;
        plain = excess > 9 && this.even > 0.16;
      }
    }
    const v = this.voiced & 15;
    if (plain || (v & (v - 1)) !== 0) this.hold = HOLD;
    else if (this.hold > 0) this.hold--;
  }

  /** The energies of 80-500, 500-1000, 1000-2000 and 2000-4000 Hz. */
  analyse() {
    const e = this.energy;
    e[3] = 2 * this.split(0, this.wide, this.mid);
    this.a.set(this.mid);
    e[2] = 4 * this.split(2, this.a, this.b);
    e[1] = 8 * this.split(4, this.b, this.c);
    e[0] = 0;
    for (let i = 0; i < this.c.length; i++) e[0] += 8 * this.c[i] * this.c[i];
  }

  /**
   * Splits a sound in two, at half the rate: the lower half, and the upper one's energy.
   * @param {number} state
   * @param {Float32Array} from
   * @param {Float32Array} low
   */
  split(state, from, low) {
    let even = this.all[state];
    let odd = this.all[state + 1];
    let energy = 0;
    for (let i = 0; i < low.length; i++) {
      const x = from[2 * i];
      const y = from[2 * i + 1];
      const a = even + 0.1412 * x;
      even = x - 0.1412 * a;
      const b = odd + 0.5898 * y;
      odd = y - 0.5898 * b;
      low[i] = (a + b) / 2;
      energy += ((a - b) * (a - b)) / 4;
    }
    this.all[state] = even;
    this.all[state + 1] = odd;
    return energy;
  }

  /** How much the newest 30 ms repeat themselves with the period of a pitch. */
  alike() {
    const p = this.pitch;
    const third = WINDOW / 3;
    const a = power(p, MOST, third);
    const b = power(p, MOST + third, third);
    const c = power(p, MOST + 2 * third, third);
    const xx = a + b + c + 1;
    this.even = Math.min(a, b, c) / xx;
    if (this.even < 0.04) return 0;
    let best = 0;
    let yy = power(p, MOST - LEAST, WINDOW);
    for (let lag = LEAST; lag <= MOST; lag++) {
      let xy = 0;
      for (let i = 0, y = MOST - lag; i < WINDOW; i++) xy += p[MOST + i] * p[y + i];
      if (xy > 0) best = Math.max(best, (xy * xy) / (xx * (yy + 1)));
      if (lag < MOST) {
        const out = p[MOST - lag + WINDOW - 1];
        const into = p[MOST - lag - 1];
        yy += into * into - out * out;
      }
    }
    return Math.sqrt(best);
  }
}

/**
 * @param {Float32Array} x
 * @param {number} at
 * @param {number} n
 */
function power(x, at, n) {
  let sum = 0;
  for (let i = at; i < at + n; i++) sum += x[i] * x[i];
  return sum;
}
