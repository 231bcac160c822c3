// The loudspeaker: an AudioContext with the worklet that mixes everybody.

// The smallest block that the device has, which is soonest heard; if the browser
// does not keep up with it, the usual one.
const SOONEST = 0;
const USUAL = "interactive";
const LOOK = 2000; // ms
const BEHIND = 40; // ms of sound in that time that were not played: it breaks up
const MISSES = 2; // such times in a row

export class Speaker {
  /**
   * @param {(msg: any, transfer?: Transferable[]) => void} post to the worker half
   * @param {(event: any) => void} emit
   */
  constructor(post, emit) {
    this.post = post;
    this.emit = emit;
    /** @type {AudioContext | null} */
    this.ctx = null;
    /** @type {Promise<void> | null} */
    this.opening = null;
    /** @type {AudioWorkletNode | null} */
    this.node = null;
    this.sink = "";
    /** @type {number | "interactive"} */
    this.hint = SOONEST;
    this.played = { at: 0, time: -1 }; // by the clock, and by the sound's
    this.misses = 0;
    this.muted = false;
    this.blocked = false;
    this.closed = false;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this.timer = undefined;
  }

  /** Opens it, once; again if that failed. */
  open() {
    if (!this.opening && !this.closed) {
      this.opening = this.start().catch((e) => {
        this.opening = null;
        this.emit({ type: "device", kind: "speaker", problem: "failed" });
        throw e;
      });
    }
    return this.opening ?? Promise.resolve();
  }

  async start() {
    const ctx = new AudioContext({ sampleRate: 48000, latencyHint: this.hint });
    this.ctx = ctx;
    try {
      await ctx.audioWorklet.addModule(new URL("./playout-worklet.js", import.meta.url));
      if (this.closed) return;
      const burst = Math.max(128, Math.round((ctx.baseLatency || 0.01) * 48000));
      const node = new AudioWorkletNode(ctx, "earshot-playout", {
        numberOfInputs: 0, outputChannelCount: [2], processorOptions: { burst },
      });
      this.node = node;
      const channel = new MessageChannel();
      node.port.postMessage(channel.port1, [channel.port1]);
      this.post({ t: "speaker", port: channel.port2 }, [channel.port2]);
      if (this.muted) this.post({ t: "speakerMute", on: true });
      node.connect(ctx.destination);
      if (this.sink) await this.setSink(this.sink).catch(() => {});
    } catch (e) {
      ctx.close().catch(() => {}); // it may be
      this.ctx = null;
      throw e;
    }
    if (this.closed) return;
    ctx.onstatechange = () => this.look();
    this.timer = setInterval(() => {
      this.look();
      this.watch();
    }, LOOK);
    ctx.resume().catch(() => {});
    setTimeout(() => this.look(), 300); // autoplay, if allowed, has begun by then
  }

  /** Tells whether sound is blocked, and how late it is heard. */
  look() {
    const ctx = this.ctx;
    if (!ctx || this.closed) return;
    if (ctx.state === "running") {
      this.blocked = false;
      this.post({ t: "latency", ms: 1000 * (ctx.outputLatency || ctx.baseLatency || 0) });
    } else if (ctx.state === "suspended" && !this.blocked) {
      this.blocked = true;
      this.emit({ type: "autoplayBlocked" });
    } else if (/** @type {string} */ (ctx.state) === "interrupted") ctx.resume().catch(() => {});
  }

  /** Whether sound is played as fast as time goes by; if not, larger blocks are. */
  watch() {
    const ctx = this.ctx;
    if (!ctx || this.hint === USUAL) return;
    const now = { at: performance.now(), time: ctx.state === "running" ? ctx.currentTime : -1 };
    const { at, time } = this.played;
    this.played = now;
    const took = now.at - at;
    if (time < 0 || now.time < 0 || took > 2 * LOOK) return; // it, or this page, has slept
    this.misses = took - 1000 * (now.time - time) > BEHIND ? this.misses + 1 : 0;
    if (this.misses < MISSES) return;
    this.hint = USUAL;
    this.stop();
    this.opening = null;
    this.open().catch(() => {}); // which tells of it
  }

  /** Sound again, within a click's handler. */
  async resume() {
    await this.open();
    await this.ctx?.resume();
    this.look();
  }

  /** @param {string} deviceId "" for the default one */
  async setSink(deviceId) {
    this.sink = deviceId;
    const ctx = /** @type {(AudioContext & {setSinkId?: (id: string) => Promise<void>}) | null} */ (this.ctx);
    if (!ctx) return;
    if (typeof ctx.setSinkId !== "function") {
      if (deviceId) throw new DOMException("this browser does not let a page choose the loudspeaker", "NotSupportedError");
      return;
    }
    await ctx.setSinkId(deviceId);
  }

  /** @param {boolean} on */
  setMute(on) {
    this.muted = on;
    this.post({ t: "speakerMute", on });
  }

  close() {
    this.closed = true;
    this.stop();
  }

  stop() {
    clearInterval(this.timer);
    this.node?.port.postMessage(null);
    this.node?.disconnect();
    this.node = null;
    this.ctx?.close().catch(() => {});
    this.ctx = null;
  }
}
