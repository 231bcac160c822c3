// The worker half of the media: everything between the connection's datagrams and
// the page's capture, canvases and loudspeaker. media.js is the other half.

import { AudioReceiver } from "./audio-receive.js";
import { AudioSender } from "./audio-send.js";
import { FeedbackWriter } from "./feedback.js";
import { DominantSpeaker, Meter } from "./level.js";
import { pump } from "./pump.js";
import { readRTCP } from "./rtcp.js";
import { isRTCP } from "./rtp.js";
import { VideoReceiver } from "./video-receive.js";
import { VideoSender } from "./video-send.js";
import { Outbox, readDatagram, RTCP_FLOW, StreamReader } from "./wire.js";

const REPORT_EVERY = 40; // ms
const EARLY = 64; // packets kept of tracks that are not announced yet, and
const EARLY_MS = 2000; // for how long
const WARN_EVERY = 1000; // ms, of each track
const VOLUMES = 300; // ms, the default
const SPARE = 64; // arrays of sound kept to be used again
const AUDIO_DECODE = 2102; // hooks.CodeAudioDecode

/**
 * @typedef {object} MediaEnv
 * @property {(msg: any, transfer?: Transferable[]) => void} post to the main half
 * @property {(b: Uint8Array) => void} sendDatagram handed over, never awaited
 * @property {() => number} sendBacklog datagrams that wait
 * @property {() => boolean} bundles whether the server takes bundles
 * @property {(...args: any[]) => void} log
 */

/**
 * Makes the worker half.
 * @param {MediaEnv} env
 */
export function createMedia(env) {
  return new WorkerMedia(env);
}

class WorkerMedia {
  /** @param {MediaEnv} env */
  constructor(env) {
    this.env = env;
    this.live = true; // there is a connection
    this.self = ""; // the client's own user
    this.outbox = new Outbox((b) => env.sendDatagram(b), () => env.bundles());
    this.flushing = false;
    this.flush = () => {
      this.flushing = false;
      this.outbox.flush();
    };
    /** @type {Map<number, AudioReceiver | VideoReceiver>} */
    this.flows = new Map();
    /** @type {Map<number, AudioReceiver>} */
    this.audio = new Map(); // by track
    /** @type {Map<number, VideoReceiver>} */
    this.video = new Map();
    /** @type {Map<string, OffscreenCanvas>} */
    this.canvases = new Map();
    /** @type {Map<string, number>} */
    this.gains = new Map();
    /** @type {{flow: number, packet: Uint8Array, at: number}[]} */
    this.early = [];
    this.meter = new Meter();
    this.dominant = new DominantSpeaker();
    this.interval = VOLUMES;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this.volumeTimer = undefined;
    this.volumesAt = 0;
    /** @type {Map<string, number>} */
    this.warned = new Map();
    this.feedback = new FeedbackWriter();
    this.reportedAt = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.reportTimer = undefined;
    /** @type {MessagePort | null} */
    this.worklet = null;
    this.outputMS = 0; // latency of the loudspeaker
    /** @type {ArrayBuffer[]} */
    this.spare = [];
    /** @type {{stop: () => void} | null} */
    this.mic = null;
    /** @type {{stop: () => void} | null} */
    this.camera = null;
    this.now = 0;

    const send = (/** @type {number} */ flow, /** @type {Uint8Array} */ b, /** @type {number} */ length) => this.send(flow, b, length);
    this.voice = new AudioSender({
      send,
      heard: (level, voice) => this.meter.add(this.self, level, voice),
      failed: (problem) => this.failed("microphone", problem),
    });
    this.picture = new VideoSender({
      send,
      flush: this.flush,
      backlog: () => env.sendBacklog(),
      target: (bps) => {
        this.voice.follow(bps);
        this.emit({ type: "targetBitrate", bps });
      },
      failed: (problem) => this.failed("camera", problem),
    });
    /** @type {import("./audio-receive.js").AudioReceiveIO} */
    this.audioIO = {
      play: (id, ts, pcm, space) => this.play(id, ts, pcm, space),
      array: (n) => this.array(n),
      heard: (userID, level, voice) => this.meter.add(userID, level, voice),
      heardSource: (ssrc, level, voice) => {
        for (const t of this.audio.values()) if (t.track.ssrc === ssrc && !t.mix) this.meter.add(t.userID, level, voice);
      },
      bad: (userID) => this.bad(userID),
    };
    /** @type {import("./video-receive.js").VideoReceiveIO} */
    this.videoIO = {
      rtcp: (b) => this.send(RTCP_FLOW, b, b.length),
      report: (ssrc, seq, now) => this.report(ssrc, seq, now),
      rtt: () => this.picture.estimator.rtt || 40,
      sound: (userID) => this.soundDelay(userID),
      first: (userID, width, height) => this.emit({ type: "firstVideoFrame", userID, width, height }),
    };
    /** @type {import("./rtcp.js").RTCPHandler} */
    this.rtcp = {
      keyFrame: (ssrc) => this.picture.keyFrame(ssrc),
      nack: (ssrc, seq) => this.picture.again(ssrc, seq, this.now),
      feedback: (b) => this.picture.report(b, this.now),
      limit: (bps) => this.picture.limit(bps),
    };
    this.onPacket = (/** @type {number} */ flow, /** @type {Uint8Array} */ b) => this.packet(flow, b);
  }

  /** @param {any} event */
  emit(event) {
    this.env.post({ t: "emit", event });
  }

  /**
   * Sends a packet; what is sent in one go leaves in one datagram where it fits.
   * @param {number} flow
   * @param {Uint8Array} b
   * @param {number} length
   */
  send(flow, b, length) {
    if (!this.live) return;
    this.outbox.add(flow, b, length);
    if (!this.flushing) {
      this.flushing = true;
      queueMicrotask(this.flush);
    }
  }

  /**
   * Takes a whole datagram, which it may keep.
   * @param {Uint8Array} b
   */
  onDatagram(b) {
    this.now = performance.now();
    readDatagram(b, this.onPacket);
  }

  /**
   * Takes an incoming unidirectional stream.
   * @param {ReadableStream<Uint8Array>} stream
   */
  async onStream(stream) {
    const reader = stream.getReader();
    const packets = new StreamReader((flow, b) => {
      this.now = performance.now();
      this.packet(flow, b.slice());
    });
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        if (!packets.push(value)) break;
      }
      await reader.cancel();
    } catch (e) {
      this.env.log("stream ended", e);
    }
  }

  /**
   * @param {number} flow
   * @param {Uint8Array} b
   */
  packet(flow, b) {
    if (flow === RTCP_FLOW) {
      readRTCP(b, this.rtcp);
      return;
    }
    if (isRTCP(b)) return;
    const to = this.flows.get(flow);
    if (to) to.packet(b, this.now);
    else {
      if (this.early.length >= EARLY) this.early.shift();
      this.early.push({ flow, packet: b, at: this.now });
    }
  }

  /** @param {any} track */
  trackAdded(track) {
    if (!track || typeof track.flow !== "number" || this.flows.has(track.flow)) return;
    if (track.kind === "audio") {
      const r = new AudioReceiver(track, this.audioIO);
      this.audio.set(track.trackID, r);
      this.flows.set(track.flow, r);
      this.toWorklet(r);
    } else if (track.kind === "video") {
      const r = new VideoReceiver(track, this.videoIO);
      this.video.set(track.trackID, r);
      this.flows.set(track.flow, r);
      const canvas = this.canvases.get(r.userID);
      if (canvas) r.show(canvas);
    } else return;
    this.startVolumes();
    const now = (this.now = performance.now());
    const early = this.early;
    this.early = early.filter((p) => p.flow !== track.flow && now - p.at < EARLY_MS);
    for (const p of early) if (p.flow === track.flow && now - p.at < EARLY_MS) this.packet(p.flow, p.packet);
  }

  /** @param {number} trackID */
  trackEnded(trackID) {
    const r = this.audio.get(trackID) ?? this.video.get(trackID);
    if (!r) return;
    if (this.audio.delete(trackID)) this.worklet?.postMessage({ remove: trackID });
    this.video.delete(trackID);
    this.flows.delete(r.track.flow);
    r.close();
  }

  /**
   * @param {number} trackID
   * @param {boolean} muted
   */
  trackMuted(trackID, muted) {
    const r = this.audio.get(trackID) ?? this.video.get(trackID);
    if (r) r.muted = muted;
  }

  /** @param {{trackID: number, samples: number}} body */
  shift(body) {
    if (this.voice.track?.trackID === body.trackID && body.samples >= 1 && body.samples <= 2880) {
      this.voice.shift = Math.floor(body.samples);
    }
  }

  /**
   * A track of the client's own may be sent from now on.
   * @param {any} track
   * @param {number[]} [layerSSRCs]
   */
  published(track, layerSSRCs) {
    if (track.userID) this.self = track.userID;
    if (track.kind === "video") this.picture.publish(track, layerSSRCs ?? track.layerSSRCs);
    else this.voice.publish(track);
    this.startVolumes();
  }

  /** @param {number} trackID */
  unpublished(trackID) {
    if (this.voice.track?.trackID === trackID) this.voice.unpublish();
    if (this.picture.track?.trackID === trackID) {
      this.picture.unpublish();
      this.voice.follow(0);
    }
  }

  /** @param {boolean} live */
  connected(live) {
    if (live && !this.live) {
      this.picture.wantKey = true;
      for (const v of this.video.values()) v.asked = -Infinity;
    }
    this.live = live;
  }

  callEnded() {
    for (const id of [...this.audio.keys(), ...this.video.keys()]) this.trackEnded(id);
    this.voice.unpublish();
    this.picture.unpublish();
    this.voice.follow(0);
    this.gains.clear();
    this.early.length = 0;
    this.warned.clear();
    this.meter.clear();
    this.dominant = new DominantSpeaker();
    clearInterval(this.volumeTimer);
    this.volumeTimer = undefined;
  }

  /**
   * Takes a message of the main half.
   * @param {any} m
   */
  onMessage(m) {
    switch (m.t) {
      case "mic":
        this.mic?.stop();
        this.voice.restart();
        this.mic = pump(m.readable, (/** @type {AudioData} */ data) => this.voice.input(data, performance.now()));
        break;
      case "micPort":
        this.mic?.stop();
        this.voice.restart();
        this.mic = { stop: () => m.port.close() };
        m.port.onmessage = (/** @type {MessageEvent} */ e) => {
          const { pcm, rate, timestamp } = e.data;
          this.voice.samples(pcm, pcm.length, rate, timestamp, performance.now());
        };
        break;
      case "micEnd":
        this.mic?.stop();
        this.mic = null;
        break;
      case "micMute":
        this.voice.mute(m.on);
        break;
      case "camera":
        this.camera?.stop();
        this.picture.restart(m.frameRate, m.screen);
        this.camera = m.readable
          ? pump(m.readable, (/** @type {VideoFrame} */ frame) => this.picture.input(frame, performance.now()))
          : { stop() {} };
        break;
      case "frame":
        if (this.camera) this.picture.input(m.frame, performance.now());
        else m.frame.close();
        break;
      case "cameraEnd":
        this.camera?.stop();
        this.camera = null;
        break;
      case "view":
        this.view(m.userID, m.canvas);
        break;
      case "speaker":
        this.worklet?.close();
        this.worklet = m.port;
        m.port.onmessage = (/** @type {MessageEvent} */ e) => this.told(e.data);
        for (const r of this.audio.values()) this.toWorklet(r);
        break;
      case "latency":
        this.outputMS = m.ms;
        break;
      case "speakerMute":
        this.worklet?.postMessage({ mute: m.on });
        break;
      case "gain":
        this.gains.set(m.userID, m.value);
        for (const r of this.audio.values()) if (r.userID === m.userID && !r.mix) this.worklet?.postMessage({ gain: r.id, value: m.value });
        break;
      case "volumes":
        this.interval = m.ms > 0 ? Math.max(100, m.ms) : 0;
        if (this.volumeTimer !== undefined) {
          clearInterval(this.volumeTimer);
          this.volumeTimer = undefined;
          this.startVolumes();
        }
        break;
    }
  }

  /**
   * @param {string} userID
   * @param {OffscreenCanvas | null} canvas
   */
  view(userID, canvas) {
    if (canvas) this.canvases.set(userID, canvas);
    else this.canvases.delete(userID);
    for (const v of this.video.values()) if (v.userID === userID) v.show(canvas);
  }

  /** @param {AudioReceiver} r */
  toWorklet(r) {
    this.worklet?.postMessage({ add: r.id, channels: r.channels });
    const gain = this.gains.get(r.userID);
    if (gain !== undefined && !r.mix) this.worklet?.postMessage({ gain: r.id, value: gain });
  }

  /**
   * What the worklet says.
   * @param {any} m
   */
  told(m) {
    if (Array.isArray(m)) {
      this.audio.get(m[0])?.need(m[1]);
      return;
    }
    for (const b of m.buffers) if (b.byteLength > 0 && this.spare.length < SPARE) this.spare.push(b);
    const s = m.status;
    for (let i = 0; i + 4 < s.length; i += 5) {
      const r = this.audio.get(s[i]);
      if (!r) continue;
      r.waitMS = s[i + 1];
      r.stats.depthMS = s[i + 2];
      r.stats.underruns = s[i + 3];
      r.stats.splices = s[i + 4];
    }
  }

  /**
   * @param {number} id
   * @param {number} ts
   * @param {Float32Array<ArrayBuffer>} pcm
   * @param {number} space
   */
  play(id, ts, pcm, space) {
    if (this.worklet) this.worklet.postMessage([id, ts, pcm, space], [pcm.buffer]);
    else if (this.spare.length < SPARE && pcm.length > 0) this.spare.push(pcm.buffer);
  }

  /**
   * An array of n samples, one that was used before if there is one.
   * @param {number} n
   */
  array(n) {
    const last = this.spare[this.spare.length - 1];
    if (n > 0 && last !== undefined && last.byteLength === 4 * n) {
      this.spare.pop();
      return new Float32Array(last);
    }
    if (n > 0) this.spare.length = 0; // of another length
    return new Float32Array(n);
  }

  /**
   * How much later a user's sound is heard than it was captured, beside the network:
   * a frame is captured as a whole, waits, and goes through the loudspeaker.
   * @param {string} userID
   */
  soundDelay(userID) {
    let delay = 0;
    for (const r of this.audio.values()) {
      if ((r.userID === userID || r.mix) && r.waitMS > 0 && !r.muted) delay = Math.max(delay, r.stats.frameMS + r.waitMS + this.outputMS);
    }
    return delay;
  }

  /**
   * Notes a packet of video, and tells the server what came when it is time.
   * @param {number} ssrc
   * @param {number} seq
   * @param {number} now
   */
  report(ssrc, seq, now) {
    this.feedback.received(ssrc, seq, now);
    if (this.reportTimer !== undefined) return;
    this.reportTimer = setTimeout(() => {
      this.reportTimer = undefined;
      this.reportedAt = performance.now();
      const b = this.feedback.report(this.reportedAt);
      if (b) this.send(RTCP_FLOW, b, b.length);
    }, Math.max(0, Math.min(REPORT_EVERY, this.reportedAt + REPORT_EVERY - now)));
  }

  startVolumes() {
    if (this.volumeTimer !== undefined) return;
    this.volumesAt = performance.now();
    this.volumeTimer = setInterval(() => this.volumes(), this.interval || VOLUMES);
  }

  volumes() {
    const { volumes, total } = this.meter.take(this.self);
    const now = performance.now();
    const elapsed = now - this.volumesAt;
    this.volumesAt = now;
    if (this.interval === 0) return;
    if (this.dominant.update(elapsed, volumes)) this.emit({ type: "dominant", userID: this.dominant.user });
    this.emit({ type: "volumes", volumes, total });
  }

  /** @param {string} userID */
  bad(userID) {
    const now = performance.now();
    if (now - (this.warned.get(userID) ?? -Infinity) < WARN_EVERY) return;
    this.warned.set(userID, now);
    this.emit({ type: "warning", code: AUDIO_DECODE, message: `the sound of ${userID || "the mix"} does not decode` });
  }

  /**
   * @param {string} kind
   * @param {string} problem
   */
  failed(kind, problem) {
    this.env.log(`${kind} cannot be encoded: ${problem}`);
    this.emit({ type: "device", kind, problem: "failed" });
  }

  stats() {
    return {
      at: performance.now(),
      target: this.picture.track ? Math.round(this.picture.told) : 0,
      loss: this.picture.estimator.loss.loss,
      rtt: this.picture.estimator.rtt,
      outputMS: this.outputMS,
      voice: { ...this.voice.stats, bitrate: this.voice.bitrate, level: this.voice.level },
      picture: {
        ...this.picture.stats,
        sizes: this.picture.sizes.map((s) => ({ width: s.width, height: s.height, rate: s.rate, bytes: s.bytes, frames: s.frames })),
      },
      audio: [...this.audio.values()].map((r) => ({
        userID: r.userID, mix: r.mix, waitMS: r.waitMS,
        // What is known of mouth to ear: all but the sender's encoder and device, and the way.
        delayMS: r.waitMS > 0 ? r.stats.frameMS + r.stats.decodeMS + r.waitMS + this.outputMS : 0,
        ...r.stats,
      })),
      video: [...this.video.values()].map((r) => ({ userID: r.userID, ...r.stats })),
    };
  }

  close() {
    this.callEnded();
    this.mic?.stop();
    this.camera?.stop();
    this.mic = this.camera = null;
    clearTimeout(this.reportTimer);
    this.reportTimer = undefined;
    this.worklet?.close();
    this.worklet = null;
    this.live = false;
  }
}
