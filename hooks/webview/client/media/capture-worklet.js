// The AudioWorklet that captures a microphone where there is no
// MediaStreamTrackProcessor: mono sound, 10 ms at a time, to the port it is given.

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.size = Math.round(sampleRate / 100);
    this.pcm = new Float32Array(this.size);
    this.fill = 0;
    /** @type {MessagePort | null} */
    this.to = null;
    this.port.onmessage = (e) => (this.to = e.data);
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const sides = inputs[0];
    const n = sides.length > 0 ? sides[0].length : 128;
    for (let i = 0; i < n; i++) {
      let v = 0;
      for (let c = 0; c < sides.length; c++) v += sides[c][i] / sides.length;
      this.pcm[this.fill++] = v;
      if (this.fill === this.size) {
        const at = currentFrame + i + 1 - this.size;
        this.to?.postMessage({ pcm: this.pcm, rate: sampleRate, timestamp: (at / sampleRate) * 1e6 });
        this.fill = 0;
      }
    }
    return true;
  }
}

registerProcessor("earshot-capture", Capture);
