// Tells when sound begins after silence, by the clock that all pages share.
class Onset extends AudioWorkletProcessor {
  constructor() {
    super();
    this.quiet = 4800;
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const x = inputs[0][0];
    if (!x) return true;
    for (let i = 0; i < x.length; i++) {
      if (Math.abs(x[i]) < 0.02) this.quiet++;
      else {
        if (this.quiet > 4800) this.port.postMessage(Date.now() + (1000 * i) / 48000);
        this.quiet = 0;
      }
    }
    return true;
  }
}
registerProcessor("onset", Onset);
