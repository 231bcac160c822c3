// What is heard of a call that rings: a bell for who is called, and the tone for
// who calls. Both are made here, so no file is needed; a page can set its own.

/** A Bell rings. */
export class Bell {
  constructor() {
    this.silent = false;
    /** @type {string} an audio file's address, or "" for the made one */
    this.url = "";
    /** @type {(() => void)|null} */
    this.quiet = null;
    this.what = "";
  }

  /** ring is for who is called. */
  ring() {
    if (this.what === "ring") return;
    this.stop();
    this.what = "ring";
    if (this.silent) return;
    if (this.url) this.play(this.url);
    else this.repeat(3000, (context, out) => {
      // Two soft strokes of a chord, twice.
      for (const [at, hz] of [[0, 659.26], [0.16, 830.61], [0.32, 987.77], [0.8, 659.26], [0.96, 830.61], [1.12, 987.77]]) stroke(context, out, at, hz, 0.9, 0.16);
    });
  }

  /** ringback is for who calls. */
  ringback() {
    if (this.what === "ringback") return;
    this.stop();
    this.what = "ringback";
    this.repeat(4000, (context, out) => {
      for (const hz of [425, 437]) tone(context, out, hz, 1, 0.035);
    });
  }

  /** stop ends all sound. */
  stop() {
    this.what = "";
    this.quiet?.();
    this.quiet = null;
  }

  /** @param {string} url */
  play(url) {
    const player = new Audio(url);
    player.loop = true;
    player.play().catch(() => {}); // not allowed before a click
    this.quiet = () => player.pause();
  }

  /**
   * @param {number} every milliseconds
   * @param {(context: AudioContext, out: AudioNode) => void} sound
   */
  repeat(every, sound) {
    /** @type {AudioContext} */
    let context;
    try {
      context = new AudioContext();
    } catch {
      return; // no sound here
    }
    const out = context.createGain();
    out.connect(context.destination);
    const once = () => {
      if (context.state === "running") sound(context, out);
      else context.resume().catch(() => {}); // rings from the next time on
    };
    const timer = setInterval(once, every);
    const begin = setTimeout(once, 60);
    this.quiet = () => {
      clearInterval(timer);
      clearTimeout(begin);
      context.close().catch(() => {});
    };
  }
}

/**
 * stroke is a bell that is struck.
 * @param {AudioContext} context
 * @param {AudioNode} out
 * @param {number} at seconds from now
 * @param {number} hz
 * @param {number} length seconds
 * @param {number} loud
 */
function stroke(context, out, at, hz, length, loud) {
  const begin = context.currentTime + at;
  for (const [times, part] of [[1, 1], [2.01, 0.35], [3.9, 0.12]]) {
    const wave = new OscillatorNode(context, { frequency: hz * times });
    const gain = new GainNode(context, { gain: 0 });
    gain.gain.setValueAtTime(0, begin);
    gain.gain.linearRampToValueAtTime(loud * part, begin + 0.01);
    gain.gain.exponentialRampToValueAtTime(0.0001, begin + length / times ** 0.5);
    wave.connect(gain).connect(out);
    wave.start(begin);
    wave.stop(begin + length);
  }
}

/**
 * tone is an even one, with soft ends.
 * @param {AudioContext} context
 * @param {AudioNode} out
 * @param {number} hz
 * @param {number} length seconds
 * @param {number} loud
 */
function tone(context, out, hz, length, loud) {
  const begin = context.currentTime;
  const wave = new OscillatorNode(context, { frequency: hz });
  const gain = new GainNode(context, { gain: 0 });
  gain.gain.setValueAtTime(0, begin);
  gain.gain.linearRampToValueAtTime(loud, begin + 0.03);
  gain.gain.setValueAtTime(loud, begin + length - 0.05);
  gain.gain.linearRampToValueAtTime(0, begin + length);
  wave.connect(gain).connect(out);
  wave.start(begin);
  wave.stop(begin + length);
}
