// The one writer of a connection's datagrams.

import { readVarint, varint } from "./varint.js";

/** How many datagrams may wait in the browser's own queue, and how many here. */
const handedOver = 64;
const waiting = 192;

/**
 * Writes datagrams in the order in which they come. What the line does not take
 * waits here; when too much does, the oldest video goes first. Writes are not
 * awaited one by one: bursts are lost otherwise.
 */
export class DatagramWriter {
  #writer;
  #maxSize;
  /** @type {{bytes: Uint8Array, video: boolean}[]} */
  #queue = [];
  #inFlight = 0;
  #open = true;
  /** Flows of the client's own video tracks. @type {Set<number>} */
  #videoFlows;

  /** Datagrams written, and dropped: because too many waited, and as too large. */
  sent = 0;
  dropped = 0;
  tooLarge = 0;

  /**
   * @param {WritableStream<Uint8Array>} writable
   * @param {() => number} maxSize the largest datagram that the line takes now, in bytes
   * @param {Set<number>} videoFlows the owner may change it
   */
  constructor(writable, maxSize, videoFlows) {
    this.#writer = writable.getWriter();
    this.#writer.closed.catch(() => this.close());
    this.#maxSize = maxSize;
    this.#videoFlows = videoFlows;
  }

  /** How many datagrams wait, here and in the browser. */
  get backlog() {
    return this.#queue.length + this.#inFlight;
  }

  /**
   * Takes one datagram; its bytes are the writer's from here on.
   * @param {Uint8Array} bytes
   */
  send(bytes) {
    if (!this.#open) {
      this.dropped++;
      return;
    }
    if (bytes.length > this.#maxSize()) { // it would vanish without an error
      this.tooLarge++;
      return;
    }
    this.#queue.push({ bytes, video: readVarint(bytes, 0) && this.#videoFlows.has(varint.value) });
    this.#pump();
    if (this.#queue.length > waiting) {
      const oldest = this.#queue.findIndex((d) => d.video);
      this.#queue.splice(Math.max(oldest, 0), 1);
      this.dropped++;
    }
  }

  #pump() {
    while (this.#open && this.#inFlight < handedOver) {
      const next = this.#queue.shift();
      if (!next) return;
      this.#inFlight++;
      this.#writer.write(next.bytes).then(
        () => {
          this.sent++;
          this.#inFlight--;
          this.#pump();
        },
        () => this.close(),
      );
    }
  }

  /** Drops what waits and takes nothing more. */
  close() {
    if (!this.#open) return;
    this.#open = false;
    this.dropped += this.#queue.length;
    this.#queue = [];
    this.#inFlight = 0;
    this.#writer.abort().catch(() => {});
  }
}
