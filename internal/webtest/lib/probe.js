// Devices with which delays are measured, in place of fake.js's: a voice with a
// burst of 2 kHz every 400 ms over a soft tone, and a picture with its number in it.
// All times are milliseconds of Unix time, by performance.now.
(() => {
  if (!navigator.mediaDevices) return;
  const now = () => performance.timeOrigin + performance.now();
  const probe = {
    /** Onsets of bursts: as the captured stream has them, and as the loudspeaker is given them. */
    said: [], heard: [],
    /** Numbers and times of pictures: as they were handed to the capture. */
    shown: [],
    /** As the worker encoded and drew them: see probe-worker.js. */
    encoded: [], drawn: [],
    outputLatency: 0,
  };
  globalThis.probe = probe;
  const d = globalThis.fake.devices;

  function voice() {
    const context = new AudioContext({ sampleRate: 48000 });
    const out = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    const soft = new OscillatorNode(context, { frequency: 300 });
    soft.connect(new GainNode(context, { gain: 0.02 })).connect(out);
    soft.start();
    const wave = new OscillatorNode(context, { frequency: 2000 });
    const gain = new GainNode(context, { gain: 0 });
    wave.connect(gain).connect(out);
    wave.start();
    let next = context.currentTime + 0.5;
    setInterval(() => {
      for (; next < context.currentTime + 2; next += 0.4 + Math.random() * 0.02) {
        gain.gain.setValueAtTime(0.5, next);
        gain.gain.setValueAtTime(0, next + 0.015);
      }
    }, 500);
    const track = out.stream.getAudioTracks()[0];
    hear(track.clone());
    return track;
  }

  /** Finds the bursts in what is captured, as a page gets it. */
  async function hear(track) {
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    let last = 0;
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const at = now();
      const x = new Float32Array(value.numberOfFrames);
      value.copyTo(x, { planeIndex: 0, format: "f32-planar" });
      const i = x.findIndex((v) => Math.abs(v) > 0.2);
      const t = at - ((x.length - i) / value.sampleRate) * 1000;
      value.close();
      if (i >= 0 && t - last > 200) {
        last = t;
        probe.said.push(t);
      }
    }
  }

  function picture() {
    const canvas = Object.assign(document.createElement("canvas"), { width: d.width, height: d.height });
    const c = canvas.getContext("2d", { alpha: false });
    const track = canvas.captureStream(0).getVideoTracks()[0];
    let n = 0;
    setInterval(() => {
      n = (n + 1) & 0xfff;
      c.fillStyle = `rgb(${d.colour})`;
      c.fillRect(0, 0, d.width, d.height);
      c.fillStyle = "white"; // something moves
      c.fillRect((n * 8) % (d.width - 40), 90, 32, 60);
      for (let bit = 0; bit < 12; bit++) {
        c.fillStyle = (n >> bit) & 1 ? "white" : "black";
        c.fillRect(bit * 20, 0, 20, 20);
      }
      probe.shown.push([n, now()]);
      track.requestFrame();
    }, 1000 / d.rate);
    return track;
  }

  navigator.mediaDevices.getUserMedia = async ({ audio, video }) => new MediaStream([...(audio ? [voice()] : []), ...(video ? [picture()] : [])]);

  // At the loudspeaker, in the same turn of the audio thread.
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...rest) {
    if (to === this.context.destination && this instanceof AudioWorkletNode) {
      const { context } = this;
      context.audioWorklet.addModule("/pages/tap.js").then(() => {
        const tap = new AudioWorkletNode(context, "tap");
        tap.port.onmessage = () => {
          probe.heard.push(now());
          probe.outputLatency = context.outputLatency * 1000;
        };
        connect.call(this, tap);
        connect.call(tap, context.destination); // silent; what leads nowhere is not run
      });
    }
    return connect.call(this, to, ...rest);
  };

  const channel = new BroadcastChannel("probe");
  channel.onmessage = ({ data: [kind, n, at] }) => probe[kind].push([n, at]);
})();
