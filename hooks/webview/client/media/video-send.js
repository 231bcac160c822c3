// The client's own picture: VP8 in one to three sizes, as RTP. What is sent follows
// what gets through.

import { BandwidthEstimator } from "./bwe.js";
import { Cache } from "./gaps.js";
import { writeRTP } from "./rtp.js";
import { fullRate, share } from "./sizes.js";
import { packetsOf, writeDescriptor } from "./vp8.js";
import { MAX_PACKET } from "./wire.js";

const FIRST_TARGET = 600_000; // bit/s, until more is known
const KEY_EVERY = 500; // ms: requests within are one
const LIFETIME = 500; // ms for which a packet is worth sending again
const CACHE = 512; // packets of a size, a power of two
const BURST = 10; // packets at once, and
const BURST_EVERY = 5; // ms until the next
const BACKLOG = 2; // frames within an encoder
const LINE_BACKLOG = 64; // datagrams that wait
const FEW = 90_000; // bit/s, under which every other frame is left out

/**
 * What a sender of video needs of its surroundings.
 * @typedef {object} VideoSendIO
 * @property {(flow: number, b: Uint8Array, length: number) => void} send
 * @property {() => void} flush what was sent leaves now
 * @property {() => number} backlog
 * @property {(bps: number) => void} target it has changed
 * @property {(problem: string) => void} failed
 */

class Size {
  /**
   * @param {number} ssrc
   * @param {number} payloadType
   */
  constructor(ssrc, payloadType) {
    this.ssrc = ssrc;
    this.payloadType = payloadType;
    this.seq = Math.floor(Math.random() * 2 ** 16);
    this.pictureID = Math.floor(Math.random() * 2 ** 15);
    this.tl0 = Math.floor(Math.random() * 256);
    this.cache = new Cache(CACHE, MAX_PACKET);
    /** @type {VideoEncoder | null} */
    this.encoder = null;
    this.width = 0;
    this.height = 0;
    this.rate = 0; // bit/s, 0: not sent
    this.configured = 0; // the rate that the encoder knows
    this.configuredAt = 0;
    this.bytes = 0;
    this.frames = 0;
  }
}

export class VideoSender {
  /** @param {VideoSendIO} io */
  constructor(io) {
    this.io = io;
    /** @type {{flow: number, trackID: number} | null} */
    this.track = null;
    /** @type {Size[]} */
    this.sizes = [];
    this.base = Math.floor(Math.random() * 2 ** 32);
    this.estimator = new BandwidthEstimator(FIRST_TARGET);
    this.most = 0; // what receivers can take, 0 while unknown
    this.told = 0;
    this.sharedAt = 0;
    this.width = 0;
    this.height = 0;
    this.frameRate = 15;
    this.screen = false;
    this.wantKey = true;
    this.lastKey = -Infinity;
    this.count = 0;
    this.failures = 0;
    this.failedAt = 0;
    this.packet = new Uint8Array(MAX_PACKET);
    this.frame = new Uint8Array(1 << 16);
    /** @type {{size: Size, seq: number}[]} */
    this.waiting = []; // packets of large frames, spread over time
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.stats = { captured: 0, encoded: 0, skipped: 0, packets: 0, resent: 0, keyFrames: 0, encodeMS: 0, bytes: 0 };
    this.inAt = new Float64Array(16);
  }

  /**
   * @param {any} track
   * @param {number[]} [ssrcs] of its sizes
   */
  publish(track, ssrcs) {
    this.unpublish();
    this.track = track;
    this.sizes = (ssrcs?.length ? ssrcs.slice(0, 3) : [track.ssrc]).map((ssrc) => new Size(ssrc, track.payloadType));
    this.width = this.height = 0;
    this.wantKey = true;
    this.most = this.told = 0;
    this.tell(this.estimator.target);
  }

  unpublish() {
    this.track = null;
    this.close();
    this.sizes = [];
    this.waiting.length = 0;
  }

  /**
   * A camera or a screen begins.
   * @param {number} frameRate
   * @param {boolean} screen
   */
  restart(frameRate, screen) {
    this.frameRate = Math.min(60, Math.max(1, frameRate || 15));
    this.screen = screen;
    this.width = 0; // the encoders are set up with the first frame
  }

  /**
   * Somebody needs a key frame of one size: all sizes make one.
   * @param {number} ssrc
   */
  keyFrame(ssrc) {
    if (this.size(ssrc)) this.wantKey = true;
  }

  /** @param {number} ssrc */
  size(ssrc) {
    for (const s of this.sizes) if (s.ssrc === ssrc) return s;
    return null;
  }

  /**
   * Sends a packet again.
   * @param {number} ssrc
   * @param {number} seq
   * @param {number} now
   */
  again(ssrc, seq, now) {
    const s = this.size(ssrc);
    const packet = s?.cache.get(seq, LIFETIME - this.estimator.rtt / 2, now);
    if (!s || !packet || !this.track) return;
    this.estimator.resent(ssrc, seq, packet.length, now);
    this.stats.resent++;
    this.io.send(this.track.flow, packet, packet.length);
  }

  /**
   * Takes what the server says came.
   * @param {Uint8Array} report
   * @param {number} now
   */
  report(report, now) {
    this.estimator.feedback(report, now);
    if (!this.track || now - this.sharedAt < 100) return;
    this.sharedAt = now;
    this.tell(this.estimator.target);
  }

  /**
   * Takes how much receivers can take.
   * @param {number} bps
   */
  limit(bps) {
    this.most = bps;
    this.tell(this.estimator.target);
  }

  /** @param {number} target */
  tell(target) {
    if (!this.track) return;
    if (this.most > 0) target = Math.min(target, this.most);
    if (target <= this.told * 1.05 && target >= this.told * 0.95) return;
    this.told = target;
    this.shareOut();
    this.io.target(Math.round(target));
  }

  shareOut() {
    if (this.width === 0) return;
    const full = this.sizes.map((s) => fullRate(s.width, s.height, this.frameRate) * (this.screen ? 2 : 1));
    const rates = share(this.told, full, this.sizes.map((s) => s.rate));
    this.sizes.forEach((s, i) => {
      if (s.rate === 0 && rates[i] > 0) this.wantKey = true;
      s.rate = rates[i];
    });
  }

  /**
   * Takes a captured frame, which it closes.
   * @param {VideoFrame} frame
   * @param {number} now
   */
  input(frame, now) {
    this.stats.captured++;
    if (this.track && this.mayEncode()) this.encode(frame, now);
    frame.close();
  }

  mayEncode() {
    this.count++;
    if (this.told < FEW && this.count % 2 !== 0) return false;
    let late = this.waiting.length > 0 || this.io.backlog() > LINE_BACKLOG;
    for (const s of this.sizes) late = late || (s.encoder !== null && s.encoder.encodeQueueSize > BACKLOG);
    if (late) this.stats.skipped++;
    return !late;
  }

  /**
   * @param {VideoFrame} frame
   * @param {number} now
   */
  encode(frame, now) {
    if (frame.displayWidth !== this.width || frame.displayHeight !== this.height) this.measure(frame);
    const key = this.wantKey && now - this.lastKey >= KEY_EVERY;
    this.inAt[this.stats.captured & 15] = now;
    for (const s of this.sizes) {
      if (s.rate === 0) continue;
      try {
        this.setUp(s, now);
        if (!s.encoder) return;
        s.encoder.encode(frame, { keyFrame: key });
      } catch (e) { // the browser closes an encoder at any time
        const encoder = s.encoder;
        if (encoder) this.fail(s, encoder, /** @type {DOMException} */ (e));
        if (encoder && encoder.state !== "closed") encoder.close();
        return;
      }
    }
    if (key) {
      this.wantKey = false;
      this.lastKey = now;
      this.stats.keyFrames++;
    }
  }

  /** @param {VideoFrame} frame */
  measure(frame) {
    this.width = frame.displayWidth;
    this.height = frame.displayHeight;
    const whole = Math.min(1, 1920 / Math.max(this.width, this.height));
    this.sizes.forEach((s, i) => {
      const scale = whole / 2 ** (this.sizes.length - 1 - i);
      s.width = Math.max(16, Math.round((this.width * scale) / 2) * 2);
      s.height = Math.max(16, Math.round((this.height * scale) / 2) * 2);
      s.configured = 0;
    });
    this.wantKey = true;
    this.lastKey = -Infinity; // nobody can go on with the old size
    this.shareOut();
  }

  /**
   * Makes a size's encoder, or tells it of a new bit rate.
   * @param {Size} s
   * @param {number} now
   */
  setUp(s, now) {
    if (!s.encoder) {
      if (this.failures >= 5 && now - this.failedAt < 10_000) return;
      const encoder = new VideoEncoder({
        output: (chunk, meta) => this.output(s, encoder, chunk, meta),
        error: (e) => this.fail(s, encoder, e),
      });
      s.encoder = encoder;
      s.configured = 0;
    }
    const rate = Math.round(s.rate);
    const little = Math.abs(rate - s.configured) < 0.05 * s.configured;
    if (s.configured > 0 && (little || (now - s.configuredAt < 500 && rate > s.configured))) return;
    s.configured = rate;
    s.configuredAt = now;
    /** @type {VideoEncoderConfig} */
    const config = {
      codec: "vp8", width: s.width, height: s.height, bitrate: rate, framerate: this.frameRate,
      latencyMode: "realtime", bitrateMode: "constant", scalabilityMode: "L1T2",
    };
    if (this.screen) config.contentHint = "detail";
    s.encoder.configure(config);
  }

  /**
   * @param {Size} s
   * @param {VideoEncoder} encoder
   * @param {DOMException} e
   */
  fail(s, encoder, e) {
    if (s.encoder !== encoder) return;
    s.encoder = null;
    this.wantKey = true;
    const now = performance.now();
    this.failures = now - this.failedAt < 10_000 ? this.failures + 1 : 1;
    this.failedAt = now;
    if (this.failures === 5) this.io.failed(e.message);
  }

  /**
   * @param {Size} s
   * @param {VideoEncoder} encoder
   * @param {EncodedVideoChunk} chunk
   * @param {EncodedVideoChunkMetadata} [meta]
   */
  output(s, encoder, chunk, meta) {
    const t = this.track;
    const size = chunk.byteLength;
    if (encoder !== s.encoder || !t || size === 0) return;
    if (size > this.frame.length) this.frame = new Uint8Array(2 * size);
    chunk.copyTo(this.frame);
    const tid = meta?.svc?.temporalLayerId ?? 0;
    if (tid === 0) s.tl0 = (s.tl0 + 1) & 0xff;
    s.pictureID = (s.pictureID + 1) & 0x7fff;
    const ts = (this.base + Math.round(chunk.timestamp * 0.09)) >>> 0;
    this.stats.encoded++;
    s.frames++;
    const b = this.packet;
    const now = performance.now();
    let from = 0;
    for (let left = packetsOf(size); left > 0; left--) {
      s.seq = (s.seq + 1) & 0xffff;
      const to = from + Math.ceil((size - from) / left);
      let at = writeRTP(b, s, s.seq, ts, left === 1);
      at = writeDescriptor(b, at, from === 0, s.pictureID, s.tl0, tid);
      b.set(this.frame.subarray(from, to), at);
      s.cache.put(s.seq, b, at + to - from, now);
      this.waiting.push({ size: s, seq: s.seq });
      from = to;
    }
    if (this.timer === undefined) this.pace();
  }

  /** Sends some of what waits. */
  pace() {
    this.timer = undefined;
    const now = performance.now();
    const n = Math.min(BURST, this.waiting.length);
    for (let i = 0; i < n; i++) {
      const { size, seq } = this.waiting[i];
      const packet = size.cache.get(seq, LIFETIME, now);
      if (!packet || !this.track) continue;
      size.bytes += packet.length;
      this.stats.packets++;
      this.stats.bytes += packet.length;
      this.estimator.sent(size.ssrc, seq, packet.length, now);
      this.io.send(this.track.flow, packet, packet.length);
    }
    this.waiting.splice(0, n);
    if (this.waiting.length > 0) {
      this.timer = setTimeout(() => {
        this.pace();
        this.io.flush();
      }, BURST_EVERY);
    }
  }

  close() {
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const s of this.sizes) {
      const encoder = s.encoder;
      s.encoder = null;
      if (encoder && encoder.state !== "closed") encoder.close();
    }
  }
}
