// The page's end of the worker; net/host.js is the other.

import { asCallError, CallError, Code } from "./codes.js";

/** @typedef {import("./net/host.js").FromWorker} FromWorker */
/** @typedef {import("./net/host.js").ToWorker} ToWorker */

/**
 * What is used of a Worker.
 * @typedef {{postMessage: (msg: any, transfer: Transferable[]) => void, terminate: () => void,
 *   onmessage: ((e: any) => void) | null, onerror: ((e: any) => void) | null}} WorkerLike
 */

/**
 * What the worker tells: see SessionHandlers in net/session.js.
 * @typedef {object} LinkHandlers
 * @property {(welcome: import("./net/messages.js").Welcome, epoch: number) => void} welcome
 * @property {(event: import("./net/messages.js").Checked, n: number, epoch: number) => void} event
 * @property {(reason: string) => void} lost
 * @property {(code: number, message: string, endReason: number) => void} over
 * @property {(code: number, message: string, kicked: boolean) => void} ended
 * @property {() => Promise<import("./net/session.js").Fresh>} refresh
 * @property {(msg: any) => void} media the media's own messages
 * @property {(text: string) => void} log
 */

const startTimeout = 30_000;
const closeTimeout = 1000;

export class Link {
  #worker;
  #handlers;
  /** Settles start. @type {((err: CallError | null) => void) | null} */
  #started = null;
  #closed = () => {};
  /** @type {Map<number, (s: {connection: unknown, media: unknown}) => void>} */
  #stats = new Map();
  #statsID = 0;

  /**
   * @param {WorkerLike} worker
   * @param {LinkHandlers} handlers
   */
  constructor(worker, handlers) {
    this.#worker = worker;
    this.#handlers = handlers;
    worker.onmessage = (e) => this.#message(e.data);
    worker.onerror = (e) => {
      const why = new CallError(Code.Failed, `the worker failed: ${e?.message || "it cannot be loaded"}`);
      if (this.#started) this.#started(why);
      else console.error("earshot:", why.message);
    };
  }

  /** @param {ToWorker} msg */
  post(msg) {
    this.#worker.postMessage(msg, []);
  }

  /** To the worker's half of the media. @param {any} msg @param {Transferable[]} [transfer] */
  postMedia(msg, transfer = []) {
    this.#worker.postMessage({ to: "media", msg }, transfer);
  }

  /**
   * Settles when the worker has signed in, or cannot: it rejects with a CallError.
   * @param {Extract<ToWorker, {t: "start"}>} msg
   * @returns {Promise<void>}
   */
  start(msg) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#started?.(new CallError(Code.ConnectTimeout, "the worker does not answer")), startTimeout);
      this.#started = (err) => {
        clearTimeout(timer);
        this.#started = null;
        if (err) reject(err);
        else resolve();
      };
      this.post(msg);
    });
  }

  /** @returns {Promise<{connection: any, media: any}>} */
  stats() {
    return new Promise((resolve) => {
      this.#stats.set(++this.#statsID, resolve);
      this.post({ t: "stats", id: this.#statsID });
    });
  }

  /** Ends the worker, which may say goodbye to the server first. */
  async close() {
    for (const resolve of this.#stats.values()) resolve({ connection: null, media: null });
    this.#stats.clear();
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, closeTimeout);
      this.#closed = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
      this.post({ t: "close" });
    });
    this.#worker.terminate();
  }

  /** @param {FromWorker | {to: "media", msg: unknown}} msg */
  #message(msg) {
    const h = this.#handlers;
    if ("to" in msg) {
      h.media(msg.msg);
      return;
    }
    switch (msg.t) {
      case "welcome":
        h.welcome(msg.welcome, msg.epoch);
        this.#started?.(null);
        return;
      case "failed":
        this.#started?.(new CallError(msg.code, msg.message));
        return;
      case "event":
        h.event(msg.event, msg.n, msg.epoch);
        return;
      case "lost":
        h.lost(msg.reason);
        return;
      case "over":
        h.over(msg.code, msg.message, msg.endReason);
        return;
      case "ended":
        h.ended(msg.code, msg.message, msg.kicked);
        return;
      case "refresh":
        h.refresh().then(
          (fresh) => this.post({ t: "refreshed", fresh, message: "" }),
          (err) => this.post({ t: "refreshed", fresh: null, message: asCallError(err).message }),
        );
        return;
      case "stats":
        this.#stats.get(msg.id)?.({ connection: msg.connection, media: msg.media });
        this.#stats.delete(msg.id);
        return;
      case "log":
        h.log(msg.text);
        return;
      case "closed":
        this.#closed();
    }
  }
}
