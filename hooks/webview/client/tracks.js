// The others' microphones and cameras: which there are, which are shown here, and
// how loud they are.

import { bad } from "./check.js";
import { Code } from "./codes.js";

/** @typedef {import("./net/messages.js").Track} Track */

/**
 * What is used of the media's half on this thread.
 * @typedef {object} Outputs
 * @property {(userID: string, element: HTMLElement) => unknown} attachView
 * @property {(userID: string) => unknown} detachView
 * @property {(userID: string, volume: number) => unknown} setRemoteVolume
 */

export class Tracks {
  #outputs;
  #requests;
  #available;
  #changed;
  /** @type {Map<number, Track>} */
  #all = new Map();
  /** Those of them that startRemoteView asked for. @type {Set<number>} */
  #shown = new Set();
  /** Users whose volume is not 100. @type {Set<string>} */
  #amplified = new Set();

  /**
   * @param {Outputs} outputs
   * @param {import("./requests.js").Requests} requests
   * @param {(track: Track, yes: boolean) => void} available is told whether one can be heard or seen
   * @param {() => void} changed is told when others are shown than before
   */
  constructor(outputs, requests, available, changed) {
    this.#outputs = outputs;
    this.#requests = requests;
    this.#available = available;
    this.#changed = changed;
  }

  get all() {
    return [...this.#all.values()];
  }

  /** The IDs of those that are shown. */
  get shown() {
    return [...this.#shown];
  }

  // What the server says.

  /** @param {Track} t */
  add(t) {
    this.#all.set(t.trackID, t);
    this.#tell(t, !t.muted);
  }

  /** @param {number} trackID */
  ended(trackID) {
    const t = this.#all.get(trackID);
    if (!t) return;
    this.#all.delete(trackID);
    if (this.#shown.delete(trackID)) this.#outputs.detachView(t.userID);
    this.#tell(t, false);
  }

  /** @param {number} trackID @param {boolean} muted */
  muted(trackID, muted) {
    const t = this.#all.get(trackID);
    if (!t) return;
    this.#all.set(trackID, { ...t, muted });
    this.#tell(t, !muted);
  }

  /** Takes over those of a page that was loaded again, of which everybody knows. @param {Track[]} tracks */
  restore(tracks) {
    for (const t of tracks) this.#all.set(t.trackID, t);
  }

  /** The call is over here, and they with it. */
  clear() {
    for (const t of this.#all.values()) if (t.kind === "video") this.#outputs.detachView(t.userID);
    for (const u of this.#amplified) this.#outputs.setRemoteVolume(u, 100);
    this.#all.clear();
    this.#shown.clear();
    this.#amplified.clear();
  }

  /** @param {Track} t @param {boolean} yes */
  #tell(t, yes) {
    if (!t.mix) this.#available(t, yes); // a mix is everybody's
  }

  // What the page wants.

  /** @param {string} userID @param {HTMLElement} element */
  async show(userID, element) {
    const { trackID } = this.#of(userID, "video");
    this.#outputs.attachView(userID, element);
    this.#shown.add(trackID);
    this.#changed();
    try {
      await this.#requests.send("subscribe", { trackID, on: true });
    } catch (err) {
      if (this.#shown.delete(trackID)) this.#outputs.detachView(userID);
      throw err;
    }
  }

  /** @param {string} userID */
  async hide(userID) {
    const { trackID } = this.#of(userID, "video");
    if (!this.#shown.delete(trackID)) bad(`${userID} is not shown`, Code.Refused);
    this.#outputs.detachView(userID);
    this.#changed();
    await this.#requests.send("subscribe", { trackID, on: false });
  }

  /** Whether one is heard here. @param {string} userID @param {boolean} on */
  async hear(userID, on) {
    const { trackID } = this.#of(userID, "audio");
    await this.#requests.send("subscribe", { trackID, on });
  }

  /** @param {string} callID @param {string} userID @param {number} volume 0 to 150 */
  async setVolume(callID, userID, volume) {
    // The server hears of it in a room that forwards, too: it may mix later.
    await this.#requests.send("gain", { callID, userID, gain: volume / 100 });
    this.#amplified.add(userID);
    this.#outputs.setRemoteVolume(userID, volume);
  }

  /** @param {string} userID @param {"audio"|"video"} kind */
  #of(userID, kind) {
    for (const t of this.#all.values()) if (t.userID === userID && t.kind === kind && !t.mix) return t;
    return bad(`${userID} has no ${kind === "audio" ? "microphone" : "camera"} on`);
  }
}
