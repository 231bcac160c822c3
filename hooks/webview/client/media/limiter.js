// A limiter, as mixer.Limiter: sums of several voices that are too loud together
// are turned down for a moment, smoothly, and up again within about a third of a
// second. What is not too loud comes out as it went in. No delay.

const CHUNK = 64;
const CEILING = 32000 / 32767;
const RELEASE = 1 / 240; // gain regained per chunk

export class Limiter {
  constructor() {
    this.cut = 0;
    this.needs = new Float32Array(64);
  }

  /**
   * Changes both sides in place, alike. At most 4096 samples.
   * @param {Float32Array} left
   * @param {Float32Array} right
   */
  process(left, right) {
    const chunks = Math.min(this.needs.length, Math.ceil(left.length / CHUNK));
    let loud = this.cut > 0;
    for (let c = 0; c < chunks; c++) {
      let peak = 0;
      for (let i = c * CHUNK, to = Math.min(left.length, i + CHUNK); i < to; i++) {
        peak = Math.max(peak, Math.abs(left[i]), Math.abs(right[i]));
      }
      this.needs[c] = peak > CEILING ? CEILING / peak : 1;
      loud = loud || peak > CEILING;
    }
    if (!loud || chunks === 0) return;
    let gain = Math.min(1 - this.cut, this.needs[0]);
    for (let c = 0; c < chunks; c++) {
      let end = Math.min(gain + RELEASE, this.needs[c], 1);
      if (c + 1 < chunks) end = Math.min(end, this.needs[c + 1]);
      const from = c * CHUNK;
      const to = Math.min(left.length, from + CHUNK);
      const step = (end - gain) / (to - from);
      for (let i = from; i < to; i++) {
        gain += step;
        left[i] = Math.max(-1, Math.min(1, left[i] * gain));
        right[i] = Math.max(-1, Math.min(1, right[i] * gain));
      }
      gain = end;
    }
    this.cut = 1 - gain;
    if (this.cut < 1e-6) this.cut = 0;
  }
}
