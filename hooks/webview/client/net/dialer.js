// Makes connections to a server that are signed in, or resume a session: once, or as
// often as it takes.

import { asCallError, CallError, Code } from "../codes.js";
import { CloseCode, Connection } from "./connection.js";
import { checkMessage } from "./messages.js";

export const dialTimeout = 5000;
const refreshTimeout = 3000;
const firstPause = 250;
const maxRedialPause = 2000;
const maxSignInPause = 10_000;

/** The server said no, with a goodbye. */
export class Refused extends CallError {}

/** The dialer was closed. */
const closed = () => new CallError(Code.Failed, "closed");

/** @typedef {{conn: Connection, welcome: import("./messages.js").Welcome}} Dialled */

/**
 * @typedef {object} DialerHandlers
 * @property {(conn: Connection, bytes: Uint8Array) => void} datagram
 * @property {(conn: Connection, stream: ReadableStream<Uint8Array>) => void} stream
 * @property {(() => Promise<import("./session.js").Fresh>) | null} refresh
 * @property {(text: string) => void} log
 */

export class Dialer {
  #config;
  #videoFlows;
  #handlers;
  #openTransport;
  #closed = false;
  /** Ends the present pause. @type {(() => void) | null} */
  #wake = null;

  /**
   * @param {import("./session.js").SessionConfig} config
   * @param {Set<number>} videoFlows see Connection.open
   * @param {DialerHandlers} handlers
   * @param {import("./connection.js").OpenTransport} openTransport
   */
  constructor(config, videoFlows, handlers, openTransport) {
    this.#config = { ...config };
    this.#videoFlows = videoFlows;
    this.#handlers = handlers;
    this.#openTransport = openTransport;
  }

  /** What is being dialled, and would be, is given up: it rejects. */
  close() {
    this.#closed = true;
    this.#wake?.();
  }

  /** Ends a pause between two attempts. */
  hasten() {
    this.#wake?.();
  }

  /** @param {number} timeoutMS @returns {Promise<Dialled>} */
  signIn(timeoutMS) {
    const { sdkAppID, userID, userSig, agent } = this.#config;
    return this.#attempt({ type: "signIn", body: { version: 1, sdkAppID, userID, userSig, agent, bundles: true } }, timeoutMS);
  }

  /**
   * Signs in for as long as it takes: until it works, or is refused for good.
   * @returns {Promise<Dialled>}
   */
  async signInAgain() {
    for (let pause = firstPause; ; pause = Math.min(2 * pause, maxSignInPause)) {
      await this.#pause(pause);
      try {
        await this.#refresh();
        return await this.signIn(dialTimeout);
      } catch (err) {
        if (this.#closed || (err instanceof Refused && err.code !== Code.ServerFailed)) throw err;
        this.#handlers.log(`signing in again failed: ${asCallError(err).message}`);
      }
    }
  }

  /**
   * Dials and resumes until that works or is refused, and once more when the
   * time is over already: a machine that has slept may have been waited for.
   * @param {() => {token: string, last: number}} what is resumed: last may grow meanwhile
   * @param {number} until
   * @returns {Promise<Dialled>}
   */
  async resume(what, until) {
    for (let pause = firstPause; ; pause = Math.min(2 * pause, maxRedialPause)) {
      try {
        await this.#refresh();
        const left = Math.max(until - Date.now(), 1000);
        return await this.#attempt({ type: "resume", body: { version: 1, ...what(), bundles: true } }, Math.min(left, dialTimeout));
      } catch (err) {
        if (err instanceof Refused || this.#closed) throw err;
        this.#handlers.log(`dialling again failed: ${asCallError(err).message}`);
        if (Date.now() + pause >= until) throw err;
      }
      await this.#pause(pause);
    }
  }

  /**
   * Opens a connection, with a first message.
   * @param {import("./framing.js").Message} first
   * @param {number} timeoutMS of opening, and of the answer
   * @returns {Promise<Dialled>}
   */
  async #attempt(first, timeoutMS) {
    /** @type {Connection | undefined} */
    let mine; // the handlers may be called before open returns
    const conn = await Connection.open(this.#openTransport, this.#config, {
      datagram: (bytes) => {
        if (mine) this.#handlers.datagram(mine, bytes);
      },
      stream: (stream) => {
        if (mine) this.#handlers.stream(mine, stream);
        else stream.cancel().catch(() => {});
      },
    }, this.#videoFlows, timeoutMS);
    mine = conn;
    try {
      if (this.#closed) throw closed();
      conn.send(first);
      const m = checkMessage(await conn.first(timeoutMS));
      if (this.#closed) throw closed();
      if (typeof m === "string") throw new CallError(Code.ServerFailed, `the server answered the sign-in with ${m}`);
      if (m.type === "goodbye") throw new Refused(m.body.code, m.body.message);
      if (m.type !== "welcome") throw new CallError(Code.ServerFailed, `the server answered the sign-in with ${m.type}`);
      return { conn, welcome: m.body };
    } catch (err) {
      conn.close(CloseCode.Replaced, "not adopted"); // 0 would be taken for a page that is closed
      throw err;
    }
  }

  /** Asks where the server is. What does not answer leaves things as they are. */
  async #refresh() {
    const { refresh } = this.#handlers;
    if (!refresh) return;
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error("no answer")), refreshTimeout);
    });
    try {
      const fresh = /** @type {import("./session.js").Fresh} */ (await Promise.race([refresh(), late]));
      this.#config.url = fresh.url;
      this.#config.certificateHashes = fresh.certificateHashes;
      if (fresh.userSig) this.#config.userSig = fresh.userSig;
    } catch (err) {
      this.#handlers.log(`refresh failed: ${asCallError(err).message}`);
    } finally {
      clearTimeout(timer);
    }
  }

  /** @param {number} ms */
  async #pause(ms) {
    await new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), ms);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve(undefined);
      };
    });
    if (this.#closed) throw closed();
  }
}
