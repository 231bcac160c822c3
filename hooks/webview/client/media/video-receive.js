// One remote picture: packets are put in order, what is missing is asked for, whole
// frames are decoded and drawn, not before the sound of the same instant plays.

import { Gaps, Order } from "./gaps.js";
import { writeNACK, writePLI } from "./rtcp.js";
import { readRTP, RTPHeader, step32 } from "./rtp.js";
import { Assembler, frameHeader } from "./vp8.js";

const ORDER = 512; // packets that may wait for one that is missing
const WAIT = 450; // ms
const KEY_EVERY = 500; // ms
const CHECK = 10; // ms between looks at what is missing
const QUEUE = 20; // frames within the decoder
const LARGEST = 4096; // pixels of a side: a few bytes may claim more, which would cost a gigabyte to show
const DRAWS = 12; // frames that wait for their sound
// By how much sound may be later than the picture, in ms: 45 at the ear, less what drawing
// and timers add, and a little to spare. `base` counts from the arrival of pictures.
const APART = 43;

/**
 * What a receiver of video needs of its surroundings.
 * @typedef {object} VideoReceiveIO
 * @property {(b: Uint8Array) => void} rtcp sends RTCP
 * @property {(ssrc: number, sequence: number, now: number) => void} report
 * @property {() => number} rtt ms
 * @property {(userID: string) => number} sound how much later than the fastest packet
 *   the sound of a user is heard, from its capture on, in ms; 0 without sound
 * @property {(userID: string, width: number, height: number) => void} first
 */

const header = new RTPHeader();
const due = new Uint16Array(32);

export class VideoReceiver {
  /**
   * @param {any} track
   * @param {VideoReceiveIO} io
   */
  constructor(track, io) {
    this.io = io;
    this.track = track;
    /** @type {string} */
    this.userID = track.userID;
    this.muted = track.muted === true;
    /** @type {OffscreenCanvas | null} */
    this.canvas = null;
    /** @type {OffscreenCanvasRenderingContext2D | null} */
    this.ctx = null;
    this.gaps = new Gaps(WAIT);
    this.order = new Order(ORDER);
    this.frames = new Assembler();
    this.keyed = false; // a key frame was decoded, and nothing lost since
    this.told = false;
    this.dropped = 0;
    this.asked = -Infinity;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.looking = undefined;
    /** @type {VideoDecoder | null} */
    this.decoder = null;
    this.timed = false;
    this.last = 0; // RTP timestamp of the newest frame
    this.elapsed = 0; // ticks since the first
    this.base = NaN; // arrival of the fastest frames minus their time, ms
    /** @type {VideoFrame[]} */
    this.draws = [];
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.drawing = undefined;
    this.stats = {
      packets: 0, bytes: 0, frames: 0, drawn: 0, dropped: 0, nacks: 0, plis: 0, decodeErrors: 0, heldMS: 0, decodeMS: 0,
      width: 0, height: 0,
    };
    this.decodeAt = new Float64Array(64);
  }

  /** @param {OffscreenCanvas | null} canvas null: not shown */
  show(canvas) {
    this.canvas = canvas;
    this.ctx = canvas ? canvas.getContext("2d", { alpha: false }) : null;
    this.keyed = this.told = false; // the server is asked for a picture with it
    this.asked = performance.now();
    if (!canvas) this.closeDecoder();
  }

  /**
   * Takes a packet of the track's flow, which it may keep.
   * @param {Uint8Array} b
   * @param {number} now
   */
  packet(b, now) {
    const h = header;
    if (!readRTP(h, b) || h.ssrc !== this.track.ssrc || h.payloadType !== this.track.payloadType) return;
    this.stats.packets++;
    this.stats.bytes += b.length;
    const seq = h.sequence;
    this.io.report(h.ssrc, seq, now);
    if (this.gaps.received(seq, now)) {
      this.order.restart();
      this.frames.reset();
      this.keyed = false;
    }
    this.order.push(seq, b);
    this.drain(now);
    this.look(now);
  }

  /** @param {number} now */
  drain(now) {
    const h = header;
    for (let b = this.order.pop(); b; b = this.order.pop()) {
      if (!readRTP(h, b)) continue;
      if (h.padding) { // it carries nothing: the server tries what gets through
        this.frames.skip(h.sequence);
        continue;
      }
      const whole = this.frames.push(h.sequence, h.timestamp, h.marker, b, h.from, h.end);
      if (this.frames.dropped !== this.dropped) {
        this.stats.dropped += this.frames.dropped - this.dropped;
        this.dropped = this.frames.dropped;
        this.keyed = false; // what follows refers to what is lost
      }
      if (whole) this.whole(this.frames.frame(), h.timestamp, now);
      if (!this.keyed) this.ask(now);
    }
  }

  /**
   * Asks for what is missing, and gives up what has been for too long.
   * @param {number} now
   */
  look(now) {
    if (this.gaps.n === 0 && this.order.waiting === 0) return;
    const n = this.gaps.due(due, this.io.rtt(), now);
    if (n > 0 && this.canvas) {
      this.stats.nacks += n;
      this.io.rtcp(writeNACK(this.track.ssrc, due, n));
    }
    while (this.order.waiting > 0 && !this.gaps.waits(this.order.next)) {
      this.order.pop(true);
      this.keyed = false;
      this.drain(now);
    }
    if (!this.keyed) this.ask(now);
    if (this.gaps.n > 0 && this.looking === undefined) {
      this.looking = setTimeout(() => {
        this.looking = undefined;
        this.look(performance.now());
      }, CHECK);
    }
  }

  /**
   * Asks for a key frame, now and then.
   * @param {number} now
   */
  ask(now) {
    if (now - this.asked < KEY_EVERY || !this.canvas) return;
    this.asked = now;
    this.stats.plis++;
    this.io.rtcp(writePLI(this.track.ssrc));
  }

  /**
   * Decodes a whole frame, unless it refers to one that did not come.
   * @param {Uint8Array} data
   * @param {number} timestamp
   * @param {number} now
   */
  whole(data, timestamp, now) {
    if (this.timed) this.elapsed += Math.max(1, step32(timestamp, this.last));
    this.timed = true;
    this.last = timestamp;
    const transit = now - this.elapsed / 90;
    // The fastest of the last half minute or so counts.
    if (!(Math.abs(transit - this.base) < 5000)) this.base = transit;
    this.base = Math.min(transit, this.base + 0.02);
    this.stats.frames++;
    const head = frameHeader(data);
    if (!head) {
      this.keyed = false;
      return;
    }
    if (head.key) this.keyed = head.width > 0 && head.height > 0 && head.width <= LARGEST && head.height <= LARGEST;
    if (this.muted) this.keyed = false; // what follows refers to it
    if (!this.keyed || !this.ctx) return;
    if (!this.decoder) {
      if (!head.key) {
        this.keyed = false;
        return;
      }
      this.open();
    }
    const d = /** @type {VideoDecoder} */ (/** @type {unknown} */ (this.decoder));
    if (d.decodeQueueSize > QUEUE) { // the machine does not keep up
      this.keyed = false;
      this.stats.dropped++;
      return;
    }
    this.decodeAt[this.stats.frames & 63] = now;
    d.decode(new EncodedVideoChunk({
      type: head.key ? "key" : "delta", timestamp: Math.round(this.elapsed / 0.09), data: /** @type {BufferSource} */ (data),
    }));
  }

  open() {
    const decoder = new VideoDecoder({
      output: (frame) => {
        if (this.decoder === decoder) this.output(frame);
        else frame.close();
      },
      error: () => {
        if (this.decoder !== decoder) return;
        this.decoder = null;
        this.keyed = false;
        this.stats.decodeErrors++;
        this.ask(performance.now());
      },
    });
    decoder.configure({ codec: "vp8", optimizeForLatency: true });
    this.decoder = decoder;
  }

  /** @param {VideoFrame} frame */
  output(frame) {
    this.draws.push(frame);
    if (this.draws.length > DRAWS) this.draw();
    if (this.drawing === undefined) this.schedule();
  }

  /** Draws what is due, and waits for the rest. */
  schedule() {
    this.drawing = undefined;
    const now = performance.now();
    const hold = Math.min(300, Math.max(0, this.io.sound(this.userID) - APART));
    this.stats.heldMS += (hold - this.stats.heldMS) / 16;
    while (this.draws.length > 0) {
      const wait = this.draws[0].timestamp / 1000 + this.base + hold - now;
      if (wait > 2) {
        this.drawing = setTimeout(() => this.schedule(), wait - 1);
        return;
      }
      this.draw();
    }
  }

  /** Draws the oldest frame that waits. */
  draw() {
    const frame = this.draws.shift();
    if (!frame) return;
    const { canvas, ctx } = this;
    const width = frame.displayWidth;
    const height = frame.displayHeight;
    if (canvas && ctx && !this.muted) {
      if (canvas.width !== width || canvas.height !== height) {
        canvas.width = width;
        canvas.height = height;
      }
      ctx.drawImage(frame, 0, 0, width, height);
      this.stats.drawn++;
      this.stats.width = width;
      this.stats.height = height;
      if (!this.told) {
        this.told = true;
        this.io.first(this.userID, width, height);
      }
    }
    frame.close();
  }

  closeDecoder() {
    const decoder = this.decoder;
    this.decoder = null;
    this.keyed = false;
    if (decoder && decoder.state !== "closed") decoder.close();
    clearTimeout(this.drawing);
    this.drawing = undefined;
    for (const f of this.draws) f.close();
    this.draws.length = 0;
  }

  close() {
    clearTimeout(this.looking);
    this.closeDecoder();
    this.canvas = this.ctx = null;
  }
}
