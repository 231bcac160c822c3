// Codecs that stand in for the browser's: a packet of sound is its TOC and the number
// of its frame; a frame of video says whether it is a key frame.

export class AudioData {
  /** @param {any} o */
  constructor(o) {
    Object.assign(this, { numberOfChannels: 1, ...o });
  }
  /**
   * @param {Float32Array} into
   */
  copyTo(into) {
    into.set(/** @type {any} */ (this).data.subarray(0, into.length));
  }
  close() {}
}

class Chunk {
  /** @param {any} o */
  constructor(o) {
    this.type = o.type;
    this.timestamp = o.timestamp;
    this.data = o.data.slice();
    this.byteLength = o.data.length;
  }
  /** @param {Uint8Array} into */
  copyTo(into) {
    into.set(this.data);
  }
}

class Codec {
  /** @type {any[]} */
  static made = [];
  state = "unconfigured";
  encodeQueueSize = 0;
  decodeQueueSize = 0;
  /** @type {any} */
  config = null;
  /** @param {any} init */
  constructor(init) {
    this.init = init;
    /** @type {typeof Codec} */ (this.constructor).made.push(this);
  }
  /** @param {any} config */
  configure(config) {
    this.state = "configured";
    this.config = config;
  }
  close() {
    this.state = "closed";
  }
  /** @param {string} why */
  fail(why) {
    this.state = "closed";
    this.init.error(new Error(why));
  }
}

class FakeAudioEncoder extends Codec {
  /** @type {any[]} */
  static made = [];
  n = 0;
  /** @param {any} data */
  encode(data) {
    this.init.output(new Chunk({ type: "key", timestamp: 0, data: new Uint8Array([15 << 3, this.n++ & 255, 1]) }), data);
  }
}

class FakeAudioDecoder extends Codec {
  /** @type {any[]} */
  static made = [];
  /** @type {number[][]} */
  got = [];
  /** @param {any} chunk */
  decode(chunk) {
    this.got.push([...chunk.data]);
    if (chunk.data[1] === 0xee) {
      queueMicrotask(() => this.fail("garbage"));
      return;
    }
    this.init.output(new AudioData({ numberOfFrames: 960, data: new Float32Array(960).fill(chunk.data.length === 1 ? 0 : 0.1) }));
  }
}

class FakeVideoEncoder extends Codec {
  /** @type {any[]} */
  static made = [];
  size = 2500;
  n = 0;
  /**
   * @param {any} frame
   * @param {{keyFrame: boolean}} o
   */
  encode(frame, o) {
    if (this.state === "closed") throw new Error("the encoder is closed");
    const data = new Uint8Array(this.size).fill(this.n++ & 255);
    if (o.keyFrame) data.set([0x10, 0, 0, 0x9d, 1, 0x2a, this.config.width & 255, this.config.width >> 8, this.config.height, 0]);
    else data[0] = 1;
    this.init.output(new Chunk({ type: o.keyFrame ? "key" : "delta", timestamp: frame.timestamp, data }), { svc: { temporalLayerId: this.n % 2 } });
  }
}

class FakeVideoDecoder extends Codec {
  /** @type {any[]} */
  static made = [];
  /** @type {any[]} */
  got = [];
  /** @param {any} chunk */
  decode(chunk) {
    this.got.push(chunk);
    this.init.output({ timestamp: chunk.timestamp, displayWidth: 320, displayHeight: 240, close() {} });
  }
}

/** Puts them in the browser's place. */
export function install() {
  for (const c of [FakeAudioEncoder, FakeAudioDecoder, FakeVideoEncoder, FakeVideoDecoder]) c.made = [];
  Object.assign(globalThis, {
    AudioData, AudioEncoder: FakeAudioEncoder, AudioDecoder: FakeAudioDecoder, VideoEncoder: FakeVideoEncoder, VideoDecoder: FakeVideoDecoder,
    EncodedAudioChunk: Chunk, EncodedVideoChunk: Chunk,
  });
  return { FakeAudioEncoder, FakeAudioDecoder, FakeVideoEncoder, FakeVideoDecoder };
}
