// How good everyone's connection is: told at once when a call is entered, and
// then every two seconds.

const every = 2000;

/** @typedef {import("./listener.js").UserQuality} UserQuality */

export class Qualities {
  #tell;
  /** @type {Map<string, number> | null} */
  #all = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /** @param {(qualities: Map<string, number>) => void} tell */
  constructor(tell) {
    this.#tell = tell;
  }

  /** What the server says, of all or of whom it has changed. @param {UserQuality[]} users @param {boolean} all */
  take(users, all) {
    const first = this.#all === null;
    const known = all || !this.#all ? new Map() : this.#all;
    for (const u of users) known.set(u.userID, u.quality);
    this.#all = known;
    if (!first) return;
    this.#tell(known);
    this.#timer = setInterval(() => this.#all && this.#tell(this.#all), every);
  }

  /** The call is over. */
  stop() {
    clearInterval(this.#timer);
    this.#all = null;
  }
}
