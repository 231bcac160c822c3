// One remote voice, or the mix: packets are put in order and decoded as they come,
// and the sound goes to the worklet, which knows when it must be there. When it says
// that a track runs out, and the next packet has still not come a moment later, a
// packet of the first byte alone makes the decoder conceal it.

import { level } from "./level.js";
import { frameLength, isComfort, packetLength } from "./opus.js";
import { readRTP, RTPHeader, step16, step32 } from "./rtp.js";
import { NOWHERE } from "./space.js";
import { VoiceDetector } from "./vad.js";

const HELD = 32; // packets that wait for one before them, a power of two
const PENDING = 64; // packets within the decoder, a power of two
const BACKLOG = 25; // of them that are worth waiting for
const HOLD = 150; // ms that they wait, whatever the worklet says
const GUESSES = 2; // packets concealed of which nothing shows that they were sent
const LONGEST = 5760; // samples concealed in a row

/**
 * What a receiver of voice needs of its surroundings.
 * @typedef {object} AudioReceiveIO
 * @property {(id: number, ts: number, pcm: Float32Array<ArrayBuffer>, space: number) => void} play is given the array;
 *   space: see Space.tell
 * @property {(samples: number) => Float32Array<ArrayBuffer>} array
 * @property {(userID: string, level: number, voice: boolean) => void} heard
 * @property {(ssrc: number, level: number, voice: boolean) => void} heardSource of a mix
 * @property {(userID: string) => void} bad a packet does not decode
 */

const header = new RTPHeader();

export class AudioReceiver {
  /**
   * @param {any} track
   * @param {AudioReceiveIO} io
   */
  constructor(track, io) {
    this.io = io;
    /** @type {number} */
    this.id = track.trackID;
    /** @type {string} */
    this.userID = track.userID ?? "";
    this.track = track;
    this.mix = track.mix === true;
    this.channels = this.mix ? 2 : 1;
    this.muted = track.muted === true;
    this.started = false;
    this.nextSeq = 0;
    this.nextTS = 0; // up to here there is sound, concealed or not
    this.toc = -1; // of the last packet
    this.space = track.spaceExtension > 0 ? 0 : NOWHERE; // what the last said; 0 is ahead
    this.comfort = false; // it said that nothing is sent
    this.guesses = 0;
    /** @type {(Uint8Array | null)[]} */
    this.held = new Array(HELD).fill(null);
    this.heldTS = new Uint32Array(HELD);
    this.heldCount = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.needed = undefined;
    this.pendingTS = new Uint32Array(PENDING);
    this.pendingKind = new Uint8Array(PENDING); // 0 sound, 1 concealed, 2 comfort noise
    this.pendingAt = new Float64Array(PENDING);
    this.into = 0;
    this.out = 0;
    /** @type {AudioDecoder | null} */
    this.decoder = null;
    this.count = 0;
    this.vad = new VoiceDetector();
    this.transit = NaN;
    /** From the worklet: how long the sound waits beyond the fastest packet, ms. */
    this.waitMS = 0;
    this.stats = {
      packets: 0, bytes: 0, late: 0, lost: 0, concealed: 0, decodeErrors: 0, jitterMS: 0, decodeMS: 0,
      frameMS: 20, underruns: 0, splices: 0, depthMS: 0, rms: 0,
    };
    this.onNeed = () => this.conceal(false);
  }

  /**
   * Takes a packet of the track's flow.
   * @param {Uint8Array} b
   * @param {number} now
   */
  packet(b, now) {
    const h = header;
    if (!readRTP(h, b, this.track.levelExtension, this.track.spaceExtension) || h.ssrc !== this.track.ssrc || h.payloadType !== this.track.payloadType) {
      if (b.length >= 12 && !(b[1] >= 192 && b[1] <= 223)) this.bad();
      return;
    }
    if (this.muted || h.end === h.from) return;
    if (this.mix) this.levels(h);
    if (h.space >= 0) this.space = h.space;
    this.stats.packets++;
    this.stats.bytes += b.length;
    this.jitter(h.timestamp, now);
    const d = this.started ? step16(h.sequence, this.nextSeq) : 0;
    if (!this.started || d > 1000 || d < -1000) this.restart(h.sequence, h.timestamp);
    else if (d < 0) {
      this.late(h.timestamp);
      return;
    } else if (d > 0) {
      this.hold(d, h.sequence, h.timestamp, b.subarray(h.from, h.end));
      return;
    }
    this.take(b.subarray(h.from, h.end), h.timestamp);
    this.drain();
  }

  /**
   * @param {number} seq
   * @param {number} ts
   */
  restart(seq, ts) {
    this.started = true;
    this.nextSeq = seq;
    this.nextTS = ts;
    this.guesses = 0;
    this.held.fill(null);
    this.heldCount = 0;
  }

  /** @param {number} ts */
  late(ts) {
    this.stats.late++;
    this.io.play(this.id, ts, this.io.array(0), this.space); // the delay should have been longer
  }

  /**
   * The next packet in order.
   * @param {Uint8Array} payload
   * @param {number} ts
   */
  take(payload, ts) {
    this.nextSeq = (this.nextSeq + 1) & 0xffff;
    const before = step32(ts, this.nextTS);
    if (before < 0 && before > -2 * LONGEST) { // it was concealed
      this.late(ts);
      return;
    }
    this.guesses = 0;
    const n = packetLength(payload);
    if (n === 0) {
      this.bad();
      return;
    }
    this.toc = payload[0];
    this.comfort = isComfort(payload);
    this.stats.frameMS = n / 48;
    this.decode(payload, ts, this.comfort ? 2 : 0);
    this.nextTS = (ts + n) >>> 0;
  }

  /**
   * A packet that came before its turn.
   * @param {number} d
   * @param {number} seq
   * @param {number} ts
   * @param {Uint8Array} payload
   */
  hold(d, seq, ts, payload) {
    while (d >= HELD) {
      this.conceal(true);
      d = step16(seq, this.nextSeq);
      if (this.heldCount === 0 && d >= HELD) {
        this.stats.lost += d;
        this.restart(seq, ts);
        d = 0;
      }
    }
    if (d <= 0) {
      if (d === 0) {
        this.take(payload, ts);
        this.drain();
      }
      return;
    }
    const i = seq & (HELD - 1);
    if (this.held[i] !== null) return;
    this.held[i] = payload;
    this.heldTS[i] = ts;
    this.heldCount++;
    if (this.timer === undefined) {
      this.timer = setTimeout(() => {
        this.timer = undefined;
        if (this.heldCount > 0) this.conceal(true);
      }, HOLD);
    }
  }

  drain() {
    while (this.heldCount > 0) {
      const i = this.nextSeq & (HELD - 1);
      const payload = this.held[i];
      if (payload === null) return;
      this.held[i] = null;
      this.heldCount--;
      this.take(payload, this.heldTS[i]);
    }
    if (this.timer !== undefined) {
      clearTimeout(this.timer);
      this.timer = undefined;
    }
  }

  /**
   * The worklet says that the sound runs out.
   * @param {number} burst samples that the sink takes at a time
   */
  need(burst) {
    clearTimeout(this.needed);
    const into = this.into;
    this.needed = setTimeout(() => {
      if (into === this.into) this.conceal(false);
    }, ((this.heldCount > 0 ? 0.4 : 0.8) * burst) / 48);
  }

  /**
   * Conceals what is missing before the first packet that waits; if none does, what
   * may have been sent.
   * @param {boolean} sure what waits is to go on, even if nothing is to be concealed
   */
  conceal(sure) {
    if (!this.started || this.toc < 0) {
      if (sure) this.skip();
      return;
    }
    const step = frameLength(this.toc);
    if (this.heldCount === 0) {
      if (this.comfort || this.muted || this.guesses >= GUESSES || sure) return;
      this.guesses++;
      this.fill(Math.max(step, Math.round(this.stats.frameMS * 48)), step);
      return;
    }
    const lost = this.skip();
    const i = this.nextSeq & (HELD - 1);
    const missing = step32(this.heldTS[i], this.nextTS);
    this.stats.lost += lost;
    if (missing > 0 && missing <= LONGEST) this.fill(missing, step);
    this.drain();
  }

  /** Goes to the first packet that waits; returns how many numbers that leaves out. */
  skip() {
    let n = 0;
    while (n < HELD && this.heldCount > 0 && this.held[this.nextSeq & (HELD - 1)] === null) {
      this.nextSeq = (this.nextSeq + 1) & 0xffff;
      n++;
    }
    return n;
  }

  /**
   * @param {number} samples
   * @param {number} step
   */
  fill(samples, step) {
    for (; samples >= step; samples -= step) {
      this.stats.concealed++;
      this.decode(new Uint8Array([this.toc & 0xfc]), this.nextTS, 1);
      this.nextTS = (this.nextTS + step) >>> 0;
    }
  }

  /**
   * @param {Uint8Array} payload
   * @param {number} ts
   * @param {number} kind
   */
  decode(payload, ts, kind) {
    if (this.into - this.out >= BACKLOG) this.closeDecoder(); // the machine did not keep up: what waits is old
    if (!this.decoder) this.open();
    const d = this.decoder;
    if (!d) return;
    const i = this.into++ & (PENDING - 1);
    this.pendingTS[i] = ts;
    this.pendingKind[i] = kind;
    this.pendingAt[i] = performance.now();
    d.decode(new EncodedAudioChunk({ type: "key", timestamp: this.count++ * 20_000, data: /** @type {BufferSource} */ (payload) }));
  }

  open() {
    const decoder = new AudioDecoder({
      output: (data) => this.output(decoder, data),
      error: () => {
        if (this.decoder !== decoder) return;
        this.decoder = null;
        this.bad();
      },
    });
    this.into = this.out = 0;
    this.decoder = decoder;
    decoder.configure({ codec: "opus", sampleRate: 48000, numberOfChannels: this.channels });
  }

  /**
   * @param {AudioDecoder} decoder
   * @param {AudioData} data
   */
  output(decoder, data) {
    if (decoder !== this.decoder || this.out === this.into) {
      data.close();
      return;
    }
    const i = this.out++ & (PENDING - 1);
    const n = data.numberOfFrames;
    const pcm = this.io.array(n * this.channels);
    for (let c = 0; c < this.channels; c++) {
      data.copyTo(pcm.subarray(c * n, (c + 1) * n), { planeIndex: Math.min(c, data.numberOfChannels - 1), format: "f32-planar" });
    }
    data.close();
    this.stats.decodeMS += (performance.now() - this.pendingAt[i] - this.stats.decodeMS) / 16;
    if (!this.mix && this.pendingKind[i] === 0) this.measure(pcm, n);
    if (!this.muted) this.io.play(this.id, this.pendingTS[i], pcm, this.space);
  }

  /**
   * @param {Float32Array} pcm
   * @param {number} n
   */
  measure(pcm, n) {
    const voice = this.vad.process(pcm);
    for (let at = 0; at < n; at += 960) {
      const l = level(pcm, at, Math.min(n, at + 960));
      this.stats.rms += (10 ** (l / 20) - this.stats.rms) / 8;
      if (!this.muted) this.io.heard(this.userID, l, voice);
    }
  }

  /**
   * How loud those in the mix are, which its packets say now and then.
   * @param {RTPHeader} h
   */
  levels(h) {
    for (let i = 0; i < Math.min(h.sourceCount, h.levelCount); i++) {
      const l = h.levels[i] & 0x7f;
      if (l !== 127) this.io.heardSource(h.sources[i], -l, h.levels[i] >> 7 !== 0);
    }
  }

  /**
   * @param {number} ts
   * @param {number} now
   */
  jitter(ts, now) {
    // RFC 3550 section 6.4.1, in ms.
    const transit = now - ts / 48;
    const d = Math.abs(transit - this.transit);
    if (d < 1000) this.stats.jitterMS += (d - this.stats.jitterMS) / 16;
    this.transit = transit;
  }

  bad() {
    this.stats.decodeErrors++;
    this.io.bad(this.userID);
  }

  close() {
    clearTimeout(this.timer);
    clearTimeout(this.needed);
    this.closeDecoder();
  }

  closeDecoder() {
    const decoder = this.decoder;
    this.decoder = null;
    if (decoder && decoder.state !== "closed") decoder.close();
  }
}
