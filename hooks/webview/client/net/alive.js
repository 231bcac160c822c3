// Finds out whether a connection still stands: by pings, and by how long nothing was
// heard of the server.

const pingEvery = 1500;
const maxSilence = 3000;
const checkEvery = 500;
/** A connection that may be broken has so long to be heard. */
const suspectFor = 1000;

export class Alive {
  #ping;
  #lost;
  /** @type {{heard: number} | null} */
  #conn = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  #lastCheck = 0;
  #lastPing = 0;
  /** When a connection that may be broken is given up, unless it is heard. */
  #suspect = 0;
  #suspectedAt = 0;

  /**
   * @param {(now: number) => void} ping sends one
   * @param {() => void} lost is told that nothing is heard of the server; it calls stop
   */
  constructor(ping, lost) {
    this.#ping = ping;
    this.#lost = lost;
  }

  /** Watches a connection. @param {{heard: number}} conn heard is when anything came last, by Date.now */
  watch(conn) {
    this.stop();
    this.#conn = conn;
    this.#suspect = 0;
    this.#lastCheck = this.#lastPing = Date.now();
    this.#timer = setInterval(() => this.#check(conn), checkEvery);
  }

  stop() {
    clearInterval(this.#timer);
    this.#conn = null;
  }

  /** The connection may be broken: it is asked at once, and has not long to answer. */
  suspect() {
    if (!this.#conn) return;
    this.#suspectedAt = Date.now();
    this.#suspect = this.#suspectedAt + suspectFor;
    this.#send(this.#suspectedAt);
  }

  /** @param {number} now */
  #send(now) {
    this.#lastPing = now;
    this.#ping(now);
  }

  /** @param {{heard: number}} conn */
  #check(conn) {
    const now = Date.now();
    // After a gap this page has slept: what has come meanwhile is still to be read.
    if (now - this.#lastCheck > 4 * checkEvery) this.suspect();
    this.#lastCheck = now;
    if (this.#suspect > 0) {
      if (conn.heard > this.#suspectedAt) this.#suspect = 0;
      else if (now >= this.#suspect) this.#lost();
    } else if (now - conn.heard >= maxSilence) {
      this.#lost();
    }
    if (this.#conn === conn && now - this.#lastPing >= pingEvery) this.#send(now);
  }
}
