// The client's own voice: sound of any rate becomes frames of 20 ms at 48 kHz, Opus,
// and RTP. The timestamps are counted here, from what was captured, since the
// encoder's ignore what it left out.

import { level } from "./level.js";
import { Resampler } from "./resample.js";
import { MAX_HEADER, writeRTP } from "./rtp.js";
import { VoiceDetector } from "./vad.js";
import { MAX_PACKET } from "./wire.js";

const FRAME = 960;
const PENDING = 64; // frames within the encoder, a power of two
const SHIFT_BELOW = -50; // dBov, under which sound may be left out for a shift
const GAP = 40_000; // us without sound that are a gap, and no jitter
const BITRATE = 32_000;
const NARROW = 16_000; // on a line with less than NARROW_LINE for video
const NARROW_LINE = 150_000;

/**
 * What a sender of voice needs of its surroundings.
 * @typedef {object} AudioSendIO
 * @property {(flow: number, b: Uint8Array, length: number) => void} send
 * @property {(level: number, voice: boolean) => void} heard a frame was sent
 * @property {(problem: string) => void} failed the encoder does not work
 */

export class AudioSender {
  /** @param {AudioSendIO} io */
  constructor(io) {
    this.io = io;
    /** @type {{flow: number, ssrc: number, payloadType: number, levelExtension: number, trackID: number} | null} */
    this.track = null;
    this.muted = false;
    this.wishMuted = false; // what the page last asked for
    this.quiet = true; // nothing was sent for the last frame
    this.shift = 0; // samples by which the server wants frames to begin later
    this.skip = 0; // samples to leave out now
    this.ts = Math.floor(Math.random() * 2 ** 32);
    this.seq = Math.floor(Math.random() * 2 ** 16);
    this.frame = new Float32Array(FRAME);
    this.fill = 0;
    this.mono = new Float32Array(16384);
    this.side = new Float32Array(16384);
    this.wide = new Float32Array(65536);
    /** @type {Resampler | null} */
    this.resampler = null;
    this.rate = 48000;
    this.vad = new VoiceDetector();
    this.packet = new Uint8Array(MAX_PACKET);
    this.expected = -1; // us, the timestamp of the next sound

    this.pendingTS = new Uint32Array(PENDING);
    this.pendingLevel = new Float32Array(PENDING);
    this.pendingAt = new Float64Array(PENDING);
    this.pendingVoice = new Uint8Array(PENDING);
    this.pendingFirst = new Uint8Array(PENDING);
    this.into = 0; // frames that went into the encoder
    this.out = 0; // and came out
    this.failures = 0;
    this.failedAt = 0;
    /** @type {AudioEncoder | null} */
    this.encoder = null;
    this.bitrate = BITRATE;
    this.captured = -1;
    this.level = -127;
    this.stats = { frames: 0, sent: 0, bytes: 0, skipped: 0, shifts: 0, encodeMS: 0 };
  }

  /** @param {any} track */
  publish(track) {
    this.track = track;
    this.muted = track.muted === true || this.wishMuted;
    this.quiet = true;
  }

  /** @param {boolean} on */
  mute(on) {
    this.muted = this.wishMuted = on;
  }

  unpublish() {
    this.track = null;
    this.shift = this.skip = 0;
    this.close();
  }

  /** The microphone was opened anew. */
  restart() {
    this.expected = -1;
    this.fill = 0;
    this.quiet = true;
  }

  /**
   * What gets through for video: a narrow line takes a narrow voice.
   * @param {number} target bit/s; 0 without video
   */
  follow(target) {
    const bitrate = target > 0 && target < NARROW_LINE ? NARROW : BITRATE;
    if (bitrate === this.bitrate) return;
    this.bitrate = bitrate;
    if (this.encoder?.state === "configured") this.encoder.configure(this.config());
  }

  /** @returns {AudioEncoderConfig} */
  config() {
    const opus = { frameDuration: 20_000, application: "voip", signal: "voice", useinbandfec: true, packetlossperc: 5, complexity: 5 };
    return { codec: "opus", sampleRate: 48000, numberOfChannels: 1, bitrate: this.bitrate, opus };
  }

  /**
   * Takes captured sound, which it closes.
   * @param {AudioData} data
   * @param {number} now
   */
  input(data, now) {
    const n = data.numberOfFrames;
    if (n > 0 && n <= this.mono.length && data.sampleRate >= 3000 && data.sampleRate <= 384000) {
      const copy = /** @type {const} */ ({ planeIndex: 0, format: "f32-planar" });
      data.copyTo(this.mono.subarray(0, n), copy);
      for (let c = 1; c < data.numberOfChannels; c++) {
        data.copyTo(this.side.subarray(0, n), { planeIndex: c, format: "f32-planar" });
        for (let i = 0; i < n; i++) this.mono[i] += this.side[i];
      }
      if (data.numberOfChannels > 1) for (let i = 0; i < n; i++) this.mono[i] /= data.numberOfChannels;
      this.samples(this.mono, n, data.sampleRate, data.timestamp, now);
    }
    data.close();
  }

  /**
   * Takes mono sound.
   * @param {Float32Array} pcm
   * @param {number} n
   * @param {number} rate
   * @param {number} timestamp us
   * @param {number} now
   */
  samples(pcm, n, rate, timestamp, now) {
    const gap = this.expected < 0 ? 0 : timestamp - this.expected;
    this.expected = timestamp + (n / rate) * 1e6;
    if (gap > GAP) {
      this.advance(Math.min(48000 * 600, Math.round((gap * 0.048) / FRAME) * FRAME));
      this.quiet = true;
    }
    if (rate !== this.rate) {
      this.rate = rate;
      this.resampler = rate === 48000 ? null : new Resampler(rate);
    }
    if (this.resampler) {
      n = this.resampler.process(pcm, n, this.wide);
      pcm = this.wide;
    }
    let at = 0;
    while (at < n) {
      if (this.skip > 0) {
        const left = Math.min(this.skip, n - at);
        this.skip -= left;
        this.advance(left);
        at += left;
        continue;
      }
      const take = Math.min(FRAME - this.fill, n - at);
      this.frame.set(pcm.subarray(at, at + take), this.fill);
      this.fill += take;
      at += take;
      if (this.fill === FRAME) {
        this.fill = 0;
        this.whole(now);
      }
    }
  }

  /** @param {number} samples */
  advance(samples) {
    this.ts = (this.ts + samples) >>> 0;
  }

  /** @param {number} now */
  whole(now) {
    const voice = this.vad.process(this.frame);
    this.level = level(this.frame);
    this.stats.frames++;
    if (!this.track || this.muted) this.quiet = true;
    else this.encode(voice, now);
    this.advance(FRAME);
    if (this.shift > 0 && (this.quiet || this.level < SHIFT_BELOW)) {
      this.skip = this.shift;
      this.shift = 0;
      this.stats.shifts++;
    }
  }

  /**
   * @param {boolean} voice
   * @param {number} now
   */
  encode(voice, now) {
    if (!this.encoder) this.open(now);
    if (!this.encoder || this.encoder.encodeQueueSize > 10 || this.into - this.out >= PENDING) {
      this.quiet = true;
      this.stats.skipped++;
      return;
    }
    const i = this.into++ & (PENDING - 1);
    this.pendingTS[i] = this.ts;
    this.pendingLevel[i] = -this.level;
    this.pendingVoice[i] = voice ? 1 : 0;
    this.pendingFirst[i] = this.quiet ? 1 : 0; // of a talk spurt (RFC 7587 section 4.2)
    this.pendingAt[i] = now;
    this.quiet = false;
    const data = new AudioData({
      format: "f32", sampleRate: 48000, numberOfFrames: FRAME, numberOfChannels: 1,
      timestamp: this.into * 20_000, data: this.frame,
    });
    this.encoder.encode(data);
    data.close();
  }

  /** @param {number} now */
  open(now) {
    if (this.failures >= 5 && now - this.failedAt < 10_000) return;
    const encoder = new AudioEncoder({
      output: (chunk) => this.output(encoder, chunk),
      error: (e) => {
        if (this.encoder !== encoder) return;
        this.encoder = null;
        this.quiet = true;
        this.failures = performance.now() - this.failedAt < 10_000 ? this.failures + 1 : 1;
        this.failedAt = performance.now();
        if (this.failures === 5) this.io.failed(e.message);
      },
    });
    this.into = this.out = 0;
    this.encoder = encoder;
    encoder.configure(this.config());
  }

  /**
   * @param {AudioEncoder} encoder
   * @param {EncodedAudioChunk} chunk
   */
  output(encoder, chunk) {
    if (encoder !== this.encoder || this.out === this.into) return;
    const i = this.out++ & (PENDING - 1);
    const t = this.track;
    if (!t || this.muted || chunk.byteLength > MAX_PACKET - MAX_HEADER) return;
    this.seq = (this.seq + 1) & 0xffff;
    const voice = this.pendingVoice[i] !== 0;
    const at = writeRTP(
      this.packet, t, this.seq, this.pendingTS[i], this.pendingFirst[i] !== 0, t.levelExtension, this.pendingLevel[i], voice,
    );
    chunk.copyTo(this.packet.subarray(at));
    const size = at + chunk.byteLength;
    this.stats.sent++;
    this.stats.bytes += size;
    this.stats.encodeMS += (performance.now() - this.pendingAt[i] - this.stats.encodeMS) / 16;
    this.io.heard(-this.pendingLevel[i], voice);
    this.io.send(t.flow, this.packet, size);
  }

  close() {
    const encoder = this.encoder;
    this.encoder = null;
    if (encoder && encoder.state !== "closed") encoder.close();
  }
}
