// Runs in every page before its own scripts: devices that are known (a tone for a
// voice, a colour with a moving mark for a picture), and ears at the loudspeaker.
// `devices` is set by the test before this: {tone, colour, deny, camera}; camera is for
// the browser's own fake one, which goes on where pages do not draw.
(() => {
  if (!navigator.mediaDevices) return; // about:blank
  const d = Object.assign({ tone: 440, colour: [128, 128, 128], deny: [], width: 320, height: 240, rate: 15 }, globalThis.devices);
  const open = { audio: [], video: [], screen: [] };
  let context;

  /** A microphone that hears a sine of -18 dBov. */
  function voice() {
    context ??= new AudioContext({ sampleRate: 48000 });
    const wave = new OscillatorNode(context, { frequency: d.tone });
    const out = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    wave.connect(new GainNode(context, { gain: 0.18 })).connect(out);
    wave.start();
    return out.stream.getAudioTracks()[0];
  }

  /** A camera that sees a colour, and a white mark that wanders. */
  function picture(colour, width, height, rate) {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const c = canvas.getContext("2d", { alpha: false });
    let n = 0;
    const draw = () => {
      c.fillStyle = `rgb(${colour})`;
      c.fillRect(0, 0, width, height);
      c.fillStyle = "white";
      c.fillRect(((n++ * 8) % (width - 40)) + 4, height / 2 - 30, 32, 60);
    };
    draw();
    const timer = setInterval(draw, 1000 / rate);
    const track = canvas.captureStream(rate).getVideoTracks()[0];
    const stop = track.stop.bind(track);
    track.stop = () => {
      clearInterval(timer);
      stop();
    };
    return track;
  }

  const refuse = (kind) => {
    if (d.deny.includes(kind)) throw new DOMException("Permission denied", "NotAllowedError");
  };
  const native = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async ({ audio, video }) => {
    const tracks = [];
    if (audio) refuse("microphone");
    if (video) refuse("camera");
    if (audio) open.audio.push(tracks[tracks.push(voice()) - 1]);
    if (video && d.camera) tracks.push(...(await native({ video })).getTracks());
    else if (video) open.video.push(tracks[tracks.push(picture(d.colour, d.width, d.height, d.rate)) - 1]);
    return new MediaStream(tracks);
  };
  navigator.mediaDevices.getDisplayMedia = async () => {
    refuse("screen");
    const track = picture([130, 40, 160], 480, 270, 8);
    open.screen.push(track);
    return new MediaStream([track]);
  };

  // Whatever is connected to a loudspeaker is listened to.
  const taps = [];
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...rest) {
    const out = connect.call(this, to, ...rest);
    if (to === this.context.destination) {
      const ear = new AnalyserNode(this.context, { fftSize: 8192 });
      connect.call(this, ear);
      taps.push({ voices: this instanceof AudioWorkletNode, ear, context: this.context });
    }
    return out;
  };

  /** amplitude is that of a sine of f Hz in x, under a Hann window. */
  function amplitude(x, f) {
    let re = 0, im = 0;
    for (let i = 0; i < x.length; i++) {
      const w = x[i] * (1 - Math.cos((2 * Math.PI * i) / x.length));
      re += w * Math.cos((2 * Math.PI * f * i) / 48000);
      im += w * Math.sin((2 * Math.PI * f * i) / 48000);
    }
    return (2 * Math.hypot(re, im)) / x.length;
  }

  const violations = [];
  document.addEventListener("securitypolicyviolation", (e) => violations.push(`${e.effectiveDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`));

  const small = Object.assign(document.createElement("canvas"), { width: 80, height: 60 });
  const eye = small.getContext("2d", { willReadFrequently: true });

  globalThis.fake = {
    violations, devices: d,
    /** What is played now: the RMS and the amplitudes at frequencies, of voices or else of bells. */
    heard(hz, voices = true) {
      let rms = 0;
      const at = hz.map(() => 0);
      for (const t of taps) {
        if (t.voices !== voices || t.context.state !== "running") continue;
        const x = new Float32Array(t.ear.fftSize);
        t.ear.getFloatTimeDomainData(x);
        rms = Math.max(rms, Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length));
        hz.forEach((f, i) => { at[i] = Math.max(at[i], amplitude(x, f)); });
      }
      return { rms, at };
    },
    /** Where what is played goes, by the loudspeakers' device IDs. */
    sinks: () => taps.filter((t) => t.voices && t.context.state === "running").map((t) => t.context.sinkId),
    /** What a canvas or video shows: its size, its colour, and where the mark is (0 to 1, or -1). */
    seen(selector) {
      const e = document.querySelector(selector);
      if (!e) return null;
      const width = e.videoWidth ?? e.width, height = e.videoHeight ?? e.height;
      if (!width || !height) return null;
      eye.drawImage(e, 0, 0, 80, 60);
      const p = eye.getImageData(0, 0, 80, 60).data;
      const colour = [0, 0, 0];
      let n = 0, x = 0, marks = 0;
      for (let i = 0; i < p.length; i += 4) {
        if (Math.min(p[i], p[i + 1], p[i + 2]) > 215) {
          marks++;
          x += (i / 4) % 80;
        } else {
          n++;
          for (let k = 0; k < 3; k++) colour[k] += p[i + k];
        }
      }
      return { width, height, colour: colour.map((c) => Math.round(c / Math.max(1, n))), mark: marks > 20 ? x / marks / 80 : -1, print: [...p.filter((_, i) => i % 97 === 0)].join() };
    },
    /** Unplugs a device: "audio", "video" or "screen". */
    unplug(kind) {
      const track = open[kind].at(-1);
      track.stop();
      track.dispatchEvent(new Event("ended"));
    },
    /** How many tracks of a kind are live. */
    live: (kind) => open[kind].filter((t) => t.readyState === "live").length,
  };
})();
