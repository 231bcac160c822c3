// One connection to a server: WebTransport, its control stream, datagrams and
// incoming streams. It knows nothing of calls.

import { CallError, Code } from "../codes.js";
import { DatagramWriter } from "./datagrams.js";
import { encodeFrame, FrameReader, FramingError } from "./framing.js";

/** The subprotocol that is offered. */
export const subprotocol = "earshot-1";

/** Codes with which a connection is closed (PROTOCOL.md section 7). */
export const CloseCode = Object.freeze({ NoError: 0, SignedOut: 0x100, Protocol: 0x102, Replaced: 0x106 });

/**
 * What is used of WebTransport.
 * @typedef {object} Transport
 * @property {Promise<unknown>} ready
 * @property {Promise<{closeCode?: number, reason?: string}>} closed
 * @property {(info?: {closeCode?: number, reason?: string}) => void} close
 * @property {() => Promise<{readable: ReadableStream<Uint8Array>, writable: WritableStream<Uint8Array>}>} createBidirectionalStream
 * @property {ReadableStream<ReadableStream<Uint8Array>>} incomingUnidirectionalStreams
 * @property {{readable: ReadableStream<Uint8Array>, writable: WritableStream<Uint8Array>, maxDatagramSize: number}} datagrams
 */

/**
 * @typedef {object} Address where a server is
 * @property {string} url such as https://localhost:4433/earshot
 * @property {ArrayBuffer[]} [certificateHashes] SHA-256 hashes of certificates to trust. Default the browser's roots.
 */

/** @typedef {(address: Address) => Transport} OpenTransport */

/**
 * @typedef {object} ConnectionHandlers
 * @property {(bytes: Uint8Array) => void} datagram
 * @property {(stream: ReadableStream<Uint8Array>) => void} stream
 */

/** Opens WebTransport in this browser. @type {OpenTransport} */
export const openWebTransport = ({ url, certificateHashes }) => {
  /** @type {any} */
  const options = { protocols: [subprotocol] };
  if (certificateHashes?.length) {
    options.serverCertificateHashes = certificateHashes.map((value) => ({ algorithm: "sha-256", value }));
  }
  const transport = new WebTransport(url, options);
  // With the default of 1 each datagram waits until the browser's network process has
  // taken the one before, which under load is too slow for a call. More than 32 at once
  // would be too many for the server's HTTP/3.
  transport.datagrams.outgoingHighWaterMark = 8;
  return /** @type {Transport} */ (/** @type {unknown} */ (transport));
};

/**
 * The promise's value, or an error when ms have passed first.
 * @template T
 * @param {Promise<T>} promise
 * @param {number} ms
 * @param {string} what for the error
 * @returns {Promise<T>}
 */
export function within(promise, ms, what) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new CallError(Code.ConnectTimeout, `${what} took longer than ${ms} ms`)), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** A connection that is open. Make one with Connection.open. */
export class Connection {
  #transport;
  #control;
  #handlers;
  /** @type {import("./framing.js").Message[]} */
  #inbox = [];
  /** @type {((m: import("./framing.js").Message) => void) | null} */
  #listener = null;
  /** @type {(() => void) | null} */
  #arrived = null;
  #over = false;
  /** @type {(why: {code: number, reason: string}) => void} */
  #end = () => {};

  /** When the server was last heard, by Date.now(). */
  heard = Date.now();
  /** Datagrams read. */
  received = 0;

  /**
   * Settled when the connection has ended, from whichever side. It never rejects.
   * @type {Promise<{code: number, reason: string}>}
   */
  closed;

  /**
   * @param {Transport} transport that is ready
   * @param {{readable: ReadableStream<Uint8Array>, writable: WritableStream<Uint8Array>}} control
   * @param {ConnectionHandlers} handlers
   * @param {Set<number>} videoFlows
   */
  constructor(transport, control, handlers, videoFlows) {
    this.#transport = transport;
    this.#control = control.writable.getWriter();
    this.#control.closed.catch(() => {});
    this.#handlers = handlers;
    this.datagrams = new DatagramWriter(transport.datagrams.writable, () => transport.datagrams.maxDatagramSize, videoFlows);
    this.closed = new Promise((resolve) => {
      this.#end = resolve;
    });
    transport.closed.then(
      (info) => this.#ended(info?.closeCode ?? 0, info?.reason || "the server closed the connection"),
      (err) => this.#ended(0, err instanceof Error && err.message ? err.message : "connection lost"),
    );
    this.#readControl(control.readable);
    this.#readDatagrams(transport.datagrams.readable);
    this.#readStreams(transport.incomingUnidirectionalStreams);
  }

  /**
   * Opens a connection. Rejects with a CallError: ConnectTimeout, or
   * ServerFailed for all else, as a browser does not say why.
   * @param {OpenTransport} openTransport
   * @param {Address} address
   * @param {ConnectionHandlers} handlers
   * @param {Set<number>} videoFlows see DatagramWriter
   * @param {number} timeoutMS
   * @returns {Promise<Connection>}
   */
  static async open(openTransport, address, handlers, videoFlows, timeoutMS) {
    /** @type {Transport | undefined} */
    let transport;
    const opening = async () => {
      const t = openTransport(address);
      transport = t;
      t.closed.catch(() => {});
      await t.ready;
      return new Connection(t, await t.createBidirectionalStream(), handlers, videoFlows);
    };
    try {
      return await within(opening(), timeoutMS, `connecting to ${address.url}`);
    } catch (err) {
      try {
        transport?.close();
      } catch {
        // It was not open.
      }
      if (err instanceof CallError) throw err;
      throw new CallError(Code.ServerFailed, `cannot reach ${address.url}: ${err instanceof Error ? err.message : err}`);
    }
  }

  /** @param {import("./framing.js").Message} message */
  send(message) {
    this.sendFrame(encodeFrame(message));
  }

  /** @param {Uint8Array} frame */
  sendFrame(frame) {
    if (this.#over) return;
    this.#control.write(frame).catch(() => setTimeout(() => this.#fail("the control stream broke"), 100));
  }

  /**
   * The first message; what follows waits for listen.
   * @param {number} timeoutMS
   * @returns {Promise<import("./framing.js").Message>}
   */
  async first(timeoutMS) {
    const arrived = new Promise((resolve) => {
      this.#arrived = () => resolve(undefined);
      if (this.#inbox.length > 0) resolve(undefined);
    });
    await within(Promise.race([arrived, this.closed]), timeoutMS, "the server's answer to the sign-in");
    const m = this.#inbox.shift();
    if (m) return m;
    throw new CallError(Code.ServerFailed, `the server closed the connection at sign-in: ${(await this.closed).reason}`);
  }

  /**
   * Takes the messages from here on, those that have waited first.
   * @param {(m: import("./framing.js").Message) => void} listener
   */
  listen(listener) {
    this.#listener = listener;
    for (const m of this.#inbox.splice(0)) listener(m);
  }

  /** @param {number} [closeCode] @param {string} [reason] */
  close(closeCode = CloseCode.NoError, reason = "") {
    this.#listener = () => {};
    try {
      this.#transport.close({ closeCode, reason });
    } catch {
      // It is closed.
    }
    this.#ended(closeCode, reason || "closed");
  }

  /** @param {number} code @param {string} reason */
  #ended(code, reason) {
    if (this.#over) return;
    this.#over = true;
    this.datagrams.close();
    this.#control.abort().catch(() => {});
    this.#end({ code, reason });
  }

  /** @param {ReadableStream<Uint8Array>} readable */
  async #readControl(readable) {
    const frames = new FrameReader();
    const reader = readable.getReader();
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        this.heard = Date.now();
        for (const m of frames.push(value)) {
          if (this.#listener) this.#listener(m);
          else this.#inbox.push(m);
        }
        if (this.#inbox.length > 0) this.#arrived?.();
      }
    } catch (err) {
      if (err instanceof FramingError) { // what is no message ends the connection
        this.#fail(`the server sent ${err.message}`);
        return;
      }
    }
    // The reason for the end comes with the connection's, if it does.
    setTimeout(() => this.#fail("the server ended the control stream"), 100);
  }

  /** @param {string} reason */
  #fail(reason) {
    if (!this.#over) this.close(CloseCode.Protocol, reason.slice(0, 200));
  }

  /** @param {ReadableStream<Uint8Array>} readable */
  async #readDatagrams(readable) {
    const reader = readable.getReader();
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        this.heard = Date.now();
        this.received++;
        if (!this.#over) this.#handlers.datagram(value);
      }
    } catch {
      // The connection's end says why.
    }
  }

  /** @param {ReadableStream<ReadableStream<Uint8Array>>} incoming */
  async #readStreams(incoming) {
    const reader = incoming.getReader();
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        this.heard = Date.now();
        if (this.#over) value.cancel().catch(() => {});
        else this.#handlers.stream(value);
      }
    } catch {
      // The connection's end says why.
    }
  }
}
