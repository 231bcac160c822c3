// Messages on the control stream: a length of four bytes, big endian, and so
// many bytes of JSON.

/** The largest message, in bytes of JSON. */
export const maxMessageSize = 65536;

/** What comes on the control stream is no message: the stream cannot be read on. */
export class FramingError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "FramingError";
  }
}

/**
 * @typedef {object} Message
 * @property {string} type
 * @property {number} [id] a client's request
 * @property {number} [n] a server's event
 * @property {number} [ack]
 * @property {unknown} [body]
 */

const encoder = new TextEncoder();

/**
 * A message as it goes on the wire. Throws a RangeError if it is too large.
 * @param {Message} message
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodeFrame(message) {
  const json = encoder.encode(JSON.stringify(message));
  if (json.length > maxMessageSize) {
    throw new RangeError(`a message of ${json.length} bytes, more than ${maxMessageSize}`);
  }
  const frame = new Uint8Array(4 + json.length);
  new DataView(frame.buffer).setUint32(0, json.length);
  frame.set(json, 4);
  return frame;
}

/**
 * A message of its JSON. Throws a FramingError for what is none.
 * @param {Uint8Array} json
 * @returns {Message}
 */
export function decodeMessage(json) {
  let v;
  try {
    v = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json));
  } catch {
    throw new FramingError("a message is not JSON");
  }
  if (typeof v !== "object" || v === null || Array.isArray(v)) throw new FramingError("a message is not an object");
  if (typeof v.type !== "string" || v.type === "") throw new FramingError("a message has no type");
  for (const field of ["id", "n", "ack"]) {
    const x = v[field];
    if (x !== undefined && !(Number.isSafeInteger(x) && x >= 0)) throw new FramingError(`a message's ${field} is no number`);
  }
  return { type: v.type, id: v.id, n: v.n, ack: v.ack, body: v.body };
}

/** Cuts what comes on a stream into messages. */
export class FrameReader {
  /** @type {Uint8Array} */
  #buffer = new Uint8Array(512);
  #length = 0;

  /**
   * Takes bytes, and returns the messages that they complete. Throws a
   * FramingError, after which there is nothing more to read.
   * @param {Uint8Array} bytes
   * @returns {Message[]}
   */
  push(bytes) {
    this.#append(bytes);
    /** @type {Message[]} */
    const out = [];
    let at = 0;
    while (this.#length - at >= 4) {
      const size = new DataView(this.#buffer.buffer, at, 4).getUint32(0);
      if (size === 0) throw new FramingError("an empty message");
      if (size > maxMessageSize) throw new FramingError(`a message of ${size} bytes announced, more than ${maxMessageSize}`);
      if (this.#length - at - 4 < size) break;
      out.push(decodeMessage(this.#buffer.subarray(at + 4, at + 4 + size)));
      at += 4 + size;
    }
    this.#buffer.copyWithin(0, at, this.#length);
    this.#length -= at;
    return out;
  }

  /** The buffer grows as bytes come, not as they are announced. @param {Uint8Array} bytes */
  #append(bytes) {
    const need = this.#length + bytes.length;
    if (need > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(need, 2 * this.#buffer.length));
      grown.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = grown;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = need;
  }
}
