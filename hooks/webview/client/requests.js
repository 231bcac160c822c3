// Requests to the server, and who waits for their results.

import { CallError, Code } from "./codes.js";
import { encodeFrame } from "./net/framing.js";

/** @typedef {import("./net/messages.js").Result} Result */

/** How many may wait. A server answers in order, so these are already lost. */
const maxPending = 1000;

export class Requests {
  #post;
  #epoch = 0;
  #nextID = 1;
  /** Why nothing can be asked now. @type {CallError | null} */
  #closed = new CallError(Code.Disconnected, "not signed in");
  /** @type {Map<number, {resolve: (r: Result) => void, reject: (err: CallError) => void}>} */
  #pending = new Map();

  /** @param {(msg: import("./net/host.js").ToWorker) => void} post to the worker */
  constructor(post) {
    this.#post = post;
  }

  /**
   * Signed in, or resumed by another page than the one that was.
   * @param {number} epoch
   * @param {number} received the last request that the server knows
   */
  open(epoch, received) {
    this.#epoch = epoch;
    this.#nextID = received + 1;
    this.#closed = null;
  }

  /** Nothing can be asked from here on, and nothing more will be answered. @param {CallError} why */
  close(why) {
    this.#closed = why;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const p of pending) p.reject(why);
  }

  /**
   * Asks the server. It is sent again by itself when the connection is lost and
   * resumed. Rejects with a CallError: what the server says, or why it cannot
   * be asked.
   * @param {string} type
   * @param {object} [body]
   * @returns {Promise<Result>}
   */
  send(type, body) {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw this.#closed;
      if (this.#pending.size >= maxPending) {
        throw new CallError(Code.ServerTimeout, `${maxPending} requests wait for an answer already`);
      }
      const id = this.#nextID;
      let frame;
      try {
        frame = encodeFrame({ type, id, body });
      } catch (err) {
        throw new CallError(Code.BadParam, `${type} cannot be asked: ${err instanceof Error ? err.message : err}`);
      }
      this.#nextID++;
      this.#pending.set(id, { resolve, reject });
      const trackID = body && "trackID" in body ? Number(body.trackID) : undefined;
      this.#post({ t: "request", epoch: this.#epoch, id, type, frame, trackID });
    });
  }

  /**
   * Hands a result to the one who asked.
   * @param {Result} result
   * @returns {boolean} whether anybody had
   */
  answered(result) {
    const p = this.#pending.get(result.re);
    if (!p) return false;
    this.#pending.delete(result.re);
    if (result.code === Code.OK) p.resolve(result);
    else p.reject(new CallError(result.code, result.message || `refused with code ${result.code}`));
    return true;
  }
}
