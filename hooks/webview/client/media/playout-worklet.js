// The AudioWorklet that mixes what all users say. It is told by the worker, through
// a port of their own:
//   {add: id, channels}   {remove: id}   {gain: id, value}   {mute: boolean}
//   [id, timestamp, Float32Array, space]   decoded sound, one side after the other,
//                 and how loud and from which side it is heard
// and tells it:
//   [id, burst]   the sound of a track is about to run out, and what comes must come
//                 before the sink takes its next so many samples
//   {status: [id, wait ms, delay ms, underruns, splices, …], at, buffers}   four times a second; buffers
//                 are the arrays of sound, to be used again

import { Limiter } from "./limiter.js";
import { PlayBuffer } from "./playbuffer.js";
import { Space } from "./space.js";

const REPORT = 12000; // samples
const FIELDS = 5;

class Playout extends AudioWorkletProcessor {
  /** @param {{processorOptions: {burst: number}}} options */
  constructor(options) {
    super();
    /** @type {Map<number, {buf: PlayBuffer, space: Space, gain: number, asked: number}>} */
    this.tracks = new Map();
    this.burst = Math.min(2048, Math.max(128, options.processorOptions.burst));
    this.muted = false;
    this.limiter = new Limiter();
    /** @type {ArrayBuffer[]} */
    this.used = [];
    this.count = 0;
    this.closed = false;
    /** @type {MessagePort | null} */
    this.worker = null;
    this.port.onmessage = (e) => {
      if (e.data === null) this.closed = true;
      else {
        this.worker = e.data;
        e.data.onmessage = (/** @type {MessageEvent} */ m) => this.told(m.data);
      }
    };
  }

  /** @param {any} m */
  told(m) {
    if (Array.isArray(m)) {
      const t = this.tracks.get(m[0]);
      if (t) {
        t.space.tell(m[3]);
        if (!t.buf.active) t.space.jump();
        t.buf.push(m[1], m[2]);
      }
      if (this.used.length < 64) this.used.push(m[2].buffer);
    } else if (m.add !== undefined) {
      const t = { buf: new PlayBuffer(m.channels, this.burst), space: new Space(), gain: 1, asked: -1 };
      t.space.amplify(this.muted ? 0 : 1);
      this.tracks.set(m.add, t);
    } else if (m.remove !== undefined) this.tracks.delete(m.remove);
    else if (m.gain !== undefined) {
      const t = this.tracks.get(m.gain);
      if (!t) return;
      t.gain = m.value;
      if (!this.muted) t.space.amplify(m.value);
    } else if (m.mute !== undefined) {
      this.muted = m.mute;
      for (const t of this.tracks.values()) t.space.amplify(this.muted ? 0 : t.gain);
    }
  }

  /**
   * @param {Float32Array[][]} inputs
   * @param {Float32Array[][]} outputs
   */
  process(inputs, outputs) {
    const left = outputs[0][0];
    const right = outputs[0][1] ?? left;
    for (const [id, t] of this.tracks) {
      const b = t.buf;
      const s = t.space;
      s.step();
      b.pull(left, right, s.fromLeft, s.left, s.fromRight, s.right);
      if (b.active && b.end !== t.asked && b.dry < 1920 && b.depth() < this.burst) {
        t.asked = b.end;
        this.worker?.postMessage([id, this.burst]);
      }
    }
    this.limiter.process(left, right);
    if ((this.count += left.length) >= REPORT) {
      this.count = 0;
      this.report();
    }
    return !this.closed;
  }

  report() {
    const status = new Array(this.tracks.size * FIELDS);
    let i = 0;
    for (const [id, t] of this.tracks) {
      status[i++] = id;
      status[i++] = t.buf.wait() / 48;
      status[i++] = t.buf.depth() / 48;
      status[i++] = t.buf.underruns;
      status[i++] = t.buf.splices;
    }
    this.worker?.postMessage({ status, at: currentTime, buffers: this.used }, this.used);
    this.used = [];
  }
}

registerProcessor("earshot-playout", Playout);
