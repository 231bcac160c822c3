// The worker's side of the library: ties the session to the media, and both to
// the main thread.

import { asCallError, Code, MediaType } from "../codes.js";
import { Session } from "./session.js";

/** @typedef {import("./messages.js").Track} Track */
/** @typedef {import("./messages.js").Result} Result */

/**
 * The worker's half of the media.
 * @typedef {object} WorkerMedia
 * @property {(bytes: Uint8Array) => void} onDatagram
 * @property {(stream: ReadableStream<Uint8Array>) => void} onStream
 * @property {(track: Track) => void} trackAdded
 * @property {(trackID: number) => void} trackEnded
 * @property {(trackID: number, muted: boolean) => void} trackMuted
 * @property {(body: {trackID: number, samples: number}) => void} shift
 * @property {(track: Track, layerSSRCs: number[]) => void} published
 * @property {(trackID: number) => void} unpublished
 * @property {(connected: boolean) => void} connected
 * @property {() => void} callEnded
 * @property {(msg: any) => void} onMessage
 * @property {() => unknown} stats
 * @property {() => void} close
 */

/**
 * What the worker's half of the media is given.
 * @typedef {object} MediaEnv
 * @property {(msg: any, transfer?: Transferable[]) => void} post to the main thread's half
 * @property {(bytes: Uint8Array) => void} sendDatagram
 * @property {() => number} sendBacklog
 * @property {() => boolean} bundles
 * @property {(...what: unknown[]) => void} log
 */

/**
 * @typedef {object} Port the worker's global scope
 * @property {(msg: any, transfer: Transferable[]) => void} postMessage
 * @property {((e: {data: any}) => void) | null} onmessage
 * @property {() => void} [close]
 */

/** @typedef {{callID: string, tracks: Track[]}} Restored the media of a call that a page had before it was loaded again */

/**
 * From the main thread.
 * @typedef {{t: "start", config: import("./session.js").SessionConfig, refresh: boolean,
 *     saved: (import("./session.js").Saved & {media: Restored}) | null}
 *   | {t: "request", epoch: number, id: number, type: string, frame: Uint8Array, trackID?: number}
 *   | {t: "seen", epoch: number, n: number}
 *   | {t: "refreshed", fresh: import("./session.js").Fresh | null, message: string}
 *   | {t: "hasten"}
 *   | {t: "stats", id: number}
 *   | {t: "close"}} ToWorker
 */

/**
 * From the worker.
 * @typedef {{t: "welcome", epoch: number, welcome: import("./messages.js").Welcome}
 *   | {t: "failed", code: number, message: string}
 *   | {t: "event", epoch: number, n: number, event: import("./messages.js").Checked}
 *   | {t: "lost", reason: string}
 *   | {t: "over", code: number, message: string, endReason: number}
 *   | {t: "ended", code: number, message: string, kicked: boolean}
 *   | {t: "refresh"}
 *   | {t: "stats", id: number, connection: unknown, media: unknown}
 *   | {t: "log", text: string}
 *   | {t: "closed"}} FromWorker
 */

export class Host {
  #port;
  #openTransport;
  /** @type {Session | null} */
  #session = null;
  /** @type {WorkerMedia} */
  #media;
  /** What is to be restored when the session is resumed. @type {Restored | null} */
  #restore = null;
  /** Requests whose results mean something here: what was asked, by ID. @type {Map<number, string>} */
  #asked = new Map();
  /** The client's own tracks. @type {Map<number, Track>} */
  #own = new Map();
  #callID = "";
  /** @type {{resolve: (f: import("./session.js").Fresh) => void, reject: (err: Error) => void} | null} */
  #refreshing = null;

  /**
   * @param {Port} port
   * @param {(env: MediaEnv) => WorkerMedia} createMedia
   * @param {import("./connection.js").OpenTransport} [openTransport]
   */
  constructor(port, createMedia, openTransport) {
    this.#port = port;
    this.#openTransport = openTransport;
    this.#media = createMedia({
      post: (msg, transfer = []) => port.postMessage({ to: "media", msg }, transfer),
      sendDatagram: (bytes) => this.#session?.sendDatagram(bytes),
      sendBacklog: () => this.#session?.backlog ?? 0,
      bundles: () => this.#session?.bundles ?? false,
      log: (...what) => this.#log(what.map(String).join(" ")),
    });
    port.onmessage = (e) => {
      if (e.data?.to === "media") this.#contain(() => this.#media.onMessage(e.data.msg));
      else this.#message(e.data);
    };
  }

  /** @param {FromWorker} msg */
  #post(msg) {
    this.#port.postMessage(msg, []);
  }

  /** @param {string} text */
  #log(text) {
    this.#post({ t: "log", text });
  }

  /** A fault of the media's is not one of the calls'. @param {() => void} f */
  #contain(f) {
    try {
      f();
    } catch (err) {
      this.#log(`the media failed: ${err instanceof Error ? err.stack ?? err.message : err}`);
    }
  }

  /** @param {ToWorker} msg */
  #message(msg) {
    const session = this.#session;
    switch (msg.t) {
      case "start":
        this.#start(msg);
        return;
      case "request":
        if (!session || msg.epoch !== session.epoch) return;
        if (msg.type === "publish" || msg.type === "unpublish") this.#asked.set(msg.id, msg.type);
        if (msg.type === "unpublish" && msg.trackID !== undefined) this.#unpublished(msg.trackID);
        session.request(msg.epoch, msg.id, msg.frame);
        return;
      case "seen":
        session?.seen(msg.epoch, msg.n);
        return;
      case "refreshed":
        if (msg.fresh) this.#refreshing?.resolve(msg.fresh);
        else this.#refreshing?.reject(new Error(msg.message));
        this.#refreshing = null;
        return;
      case "hasten":
        session?.hasten();
        return;
      case "stats": {
        let media = null;
        this.#contain(() => {
          media = this.#media.stats();
        });
        this.#post({ t: "stats", id: msg.id, connection: session?.stats() ?? null, media });
        return;
      }
      case "close":
        session?.close();
        this.#contain(() => this.#media.close());
        this.#post({ t: "closed" });
        this.#port.close?.();
    }
  }

  /** @param {Extract<ToWorker, {t: "start"}>} msg */
  async #start(msg) {
    const session = new Session(msg.config, {
      welcome: (welcome, epoch) => this.#welcome(welcome, epoch),
      event: (event, n, epoch) => this.#event(event, n, epoch),
      lost: (reason) => {
        this.#contain(() => this.#media.connected(false));
        this.#post({ t: "lost", reason });
      },
      over: (code, message, endReason) => {
        this.#callOver();
        this.#post({ t: "over", code, message, endReason });
      },
      ended: (code, message, kicked) => {
        this.#callOver();
        this.#post({ t: "ended", code, message, kicked });
      },
      refresh: msg.refresh ? () => this.#refresh() : null,
      datagram: (bytes) => this.#media.onDatagram(bytes),
      stream: (stream) => this.#media.onStream(stream),
      log: (text) => this.#log(text),
    }, this.#openTransport);
    this.#session = session;
    this.#restore = msg.saved?.media ?? null;
    try {
      await session.start(msg.saved);
    } catch (err) {
      const { code, message } = asCallError(err);
      this.#post({ t: "failed", code, message });
    }
  }

  #refresh() {
    return new Promise((/** @type {(f: import("./session.js").Fresh) => void} */ resolve, reject) => {
      this.#refreshing = { resolve, reject };
      this.#post({ t: "refresh" });
    });
  }

  /** @param {import("./messages.js").Welcome} welcome @param {number} epoch */
  #welcome(welcome, epoch) {
    this.#post({ t: "welcome", epoch, welcome });
    this.#contain(() => this.#media.connected(true));
    const restore = this.#restore;
    this.#restore = null;
    if (!restore || !welcome.resumed) return;
    this.#callID = restore.callID;
    for (const t of restore.tracks) this.#contain(() => this.#media.trackAdded(t));
  }

  /**
   * The media hear of an event here, before the main thread does.
   * @param {import("./messages.js").Checked} event
   * @param {number} n
   * @param {number} epoch
   */
  #event(event, n, epoch) {
    this.#contain(() => this.#hear(event));
    this.#post({ t: "event", epoch, n, event });
  }

  /** @param {import("./messages.js").Checked} event */
  #hear({ type, body }) {
    switch (type) {
      case "result":
        this.#result(body);
        return;
      case "trackAdded":
        this.#media.trackAdded(body);
        return;
      case "trackEnded":
        this.#media.trackEnded(body.trackID);
        return;
      case "trackMuted":
        this.#media.trackMuted(body.trackID, body.muted);
        return;
      case "shift":
        this.#media.shift(body);
        return;
      case "entered":
        this.#callID = body.callID;
        return;
      case "mediaChanged":
        if (body.media === MediaType.Audio) { // the server has dropped them
          for (const t of [...this.#own.values()]) if (t.kind === "video") this.#unpublished(t.trackID);
        }
        return;
      case "callEnd":
        if (body.callID === this.#callID) this.#callOver();
    }
  }

  /** @param {Result} result */
  #result(result) {
    const asked = this.#asked.get(result.re);
    this.#asked.delete(result.re);
    const track = result.track;
    if (asked !== "publish" || result.code !== Code.OK || !track || track.callID !== this.#callID) return;
    this.#own.set(track.trackID, track);
    if (track.kind === "video") this.#session?.videoFlows.add(track.flow);
    this.#media.published(track, track.layerSSRCs.length > 0 ? track.layerSSRCs : [track.ssrc]);
  }

  /** @param {number} trackID */
  #unpublished(trackID) {
    const t = this.#own.get(trackID);
    if (!t) return;
    this.#own.delete(trackID);
    this.#session?.videoFlows.delete(t.flow);
    this.#contain(() => this.#media.unpublished(trackID));
  }

  #callOver() {
    this.#asked.clear();
    for (const id of [...this.#own.keys()]) this.#unpublished(id);
    if (this.#callID) this.#contain(() => this.#media.callEnded());
    this.#callID = "";
  }
}
