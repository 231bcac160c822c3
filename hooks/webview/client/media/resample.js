// Changes the rate of mono sound to 48 kHz, for microphones with another one: a
// windowed sinc.

const HALF = 16; // taps on each side

export class Resampler {
  /** @param {number} rate of what comes in, 3000 to 384000 Hz */
  constructor(rate) {
    this.step = rate / 48000;
    this.cutoff = Math.min(1, 48000 / rate) * 0.95;
    this.line = new Float32Array(4 * HALF + 16384);
    this.length = 2 * HALF; // samples in the line; it begins with silence
    this.at = HALF; // where the next sample is taken, in samples of the line
  }

  /**
   * Takes sound, at most 16384 samples, and writes what it makes of it to `into`;
   * returns how much that is.
   * @param {Float32Array} pcm
   * @param {number} n
   * @param {Float32Array} into
   */
  process(pcm, n, into) {
    this.line.set(pcm.subarray(0, n), this.length);
    this.length += n;
    let made = 0;
    while (this.at + HALF < this.length && made < into.length) {
      const middle = Math.floor(this.at);
      let sum = 0;
      for (let i = middle - HALF + 1; i <= middle + HALF; i++) {
        const x = (this.at - i) * this.cutoff;
        const w = (this.at - i) / HALF;
        if (w <= -1 || w >= 1) continue;
        const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
        sum += this.line[i] * sinc * (0.5 + 0.5 * Math.cos(Math.PI * w));
      }
      into[made++] = sum * this.cutoff;
      this.at += this.step;
    }
    const gone = Math.max(0, Math.min(this.length, Math.floor(this.at) - HALF));
    this.line.copyWithin(0, gone, this.length);
    this.length -= gone;
    this.at -= gone;
    return made;
  }
}
