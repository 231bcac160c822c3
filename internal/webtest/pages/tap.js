// Says when a burst begins: see ../lib/probe.js.
registerProcessor("tap", class extends AudioWorkletProcessor {
  last = -48000;
  process([input]) {
    const x = input[0];
    if (x && currentFrame - this.last > 9600 && x.some((v) => Math.abs(v) > 0.12)) {
      this.last = currentFrame;
      this.port.postMessage(currentFrame);
    }
    return true;
  }
});
