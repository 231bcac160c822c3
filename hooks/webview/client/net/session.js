// A signed-in session over connections that come and go: sign-in, keep-alive,
// acknowledgements, resuming, and signing in anew when there is nothing left to
// resume.

import { asCallError, CallError, Code, EndReason } from "../codes.js";
import { CloseCode, Connection, openWebTransport } from "./connection.js";
import { checkMessage } from "./messages.js";

const pingEvery = 1500;
const maxSilence = 3000;
const checkEvery = 500;
/** A connection that may be broken has so long to be heard. */
const suspectFor = 1000;
const dialTimeout = 5000;
const refreshTimeout = 3000;
const ackEvery = 16;
const firstPause = 250;
const maxRedialPause = 2000;
const maxSignInPause = 10_000;

/** The server said no, with a goodbye. */
class Refused extends Error {
  /** @param {number} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/**
 * @typedef {object} SessionConfig
 * @property {string} url
 * @property {ArrayBuffer[]} certificateHashes
 * @property {number} sdkAppID
 * @property {string} userID
 * @property {string} userSig
 * @property {string} agent
 */

/** @typedef {{url: string, certificateHashes: ArrayBuffer[], userSig?: string}} Fresh what a refresh gives */

/**
 * What a session tells. Of an epoch all is told in order; a session that was
 * signed in anew is another epoch.
 * @typedef {object} SessionHandlers
 * @property {(welcome: import("./messages.js").Welcome, epoch: number) => void} welcome signed in, or resumed
 * @property {(event: import("./messages.js").Checked, n: number, epoch: number) => void} event n is 0 of what has none
 * @property {(reason: string) => void} lost the connection is lost; another is being dialled
 * @property {(code: number, message: string, endReason: number) => void} over what was there cannot be resumed; a new sign-in is tried
 * @property {(code: number, message: string, kicked: boolean) => void} ended it is over for good
 * @property {(() => Promise<Fresh>) | null} refresh asks where the server is now
 * @property {(bytes: Uint8Array) => void} datagram
 * @property {(stream: ReadableStream<Uint8Array>) => void} stream
 * @property {(text: string) => void} log
 */

/** @typedef {{token: string, last: number, windowMS: number}} Saved what it takes to resume */

export class Session {
  #config;
  #handlers;
  #openTransport;
  /** @type {Connection | null} */
  #conn = null;
  #epoch = 1;
  #token = "";
  #windowMS = 15_000;
  #heard = 0;
  #received = 0; // n of the last event that came
  #seen = 0; // and that was carried out
  #acked = 0;
  /** Requests without a result, by ID. @type {Map<number, Uint8Array>} */
  #pending = new Map();
  #ended = false;
  #kicked = false;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  #lastCheck = 0;
  #lastPing = 0;
  /** When a connection that may be broken is given up, unless it is heard. */
  #suspect = 0;
  #suspectedAt = 0;
  /** Ends the present pause. @type {(() => void) | null} */
  #wake = null;

  /** The flows of the client's own video tracks. @type {Set<number>} */
  videoFlows = new Set();
  /** Whether the server takes several packets in one datagram. */
  bundles = false;
  /** The last round trip of a ping, in milliseconds. */
  rttMS = 0;
  reconnects = 0;

  /**
   * @param {SessionConfig} config
   * @param {SessionHandlers} handlers
   * @param {import("./connection.js").OpenTransport} [openTransport]
   */
  constructor(config, handlers, openTransport = openWebTransport) {
    this.#config = { ...config };
    this.#handlers = handlers;
    this.#openTransport = openTransport;
  }

  /**
   * Resumes what was saved, or signs in. Rejects with a CallError; the session
   * is of no use then.
   * @param {Saved | null} saved
   */
  async start(saved) {
    try {
      if (saved) {
        this.#token = saved.token;
        this.#received = this.#seen = this.#acked = saved.last;
        this.#windowMS = saved.windowMS;
        try {
          const got = await this.#redial(Date.now() + saved.windowMS);
          this.#adopt(got.conn, got.welcome);
          return;
        } catch (err) {
          if (!(err instanceof Refused)) throw err;
          this.#handlers.log(`what was saved cannot be resumed: ${err.message}`);
          this.#forget();
        }
      }
      const got = await this.#signIn(2 * dialTimeout);
      this.#adopt(got.conn, got.welcome);
    } catch (err) {
      this.#ended = true;
      if (err instanceof Refused) throw new CallError(err.code, err.message);
      throw asCallError(err);
    }
  }

  get epoch() {
    return this.#epoch;
  }

  /**
   * Sends a request, and again when the connection is lost and resumed.
   * @param {number} epoch in which it was made; of another it is dropped
   * @param {number} id
   * @param {Uint8Array} frame the whole message
   */
  request(epoch, id, frame) {
    if (epoch !== this.#epoch || this.#ended) return;
    this.#pending.set(id, frame);
    this.#conn?.sendFrame(frame);
  }

  /**
   * Says that the events up to n were carried out, and need not come again.
   * @param {number} epoch
   * @param {number} n
   */
  seen(epoch, n) {
    if (epoch !== this.#epoch || n <= this.#seen || n > this.#received) return;
    this.#seen = n;
    if (n - this.#acked >= ackEvery) this.#ack();
  }

  /** @param {Uint8Array} bytes see DatagramWriter.send */
  sendDatagram(bytes) {
    this.#conn?.datagrams.send(bytes);
  }

  get backlog() {
    return this.#conn?.datagrams.backlog ?? 0;
  }

  stats() {
    const d = this.#conn?.datagrams;
    return {
      connected: this.#conn !== null,
      rttMS: this.rttMS,
      reconnects: this.reconnects,
      datagramsSent: d?.sent ?? 0,
      datagramsDropped: d?.dropped ?? 0,
      datagramsTooLarge: d?.tooLarge ?? 0,
      datagramsReceived: this.#conn?.received ?? 0,
      backlog: this.backlog,
    };
  }

  /** The network has changed: dials at once, or finds out at once whether the connection stands. */
  hasten() {
    this.#wake?.();
    if (this.#conn) {
      this.#suspectedAt = Date.now();
      this.#suspect = this.#suspectedAt + suspectFor;
      this.#ping();
    }
  }

  /** Ends the session on this side. It is idempotent. */
  close() {
    this.#ended = true;
    clearInterval(this.#timer);
    this.#wake?.();
    this.#conn?.close(CloseCode.SignedOut, "signed out");
    this.#conn = null;
  }

  #forget() {
    this.#epoch++;
    this.#token = "";
    this.#received = this.#seen = this.#acked = 0;
    this.#pending.clear();
    this.videoFlows.clear();
  }

  /** @param {number} timeoutMS */
  #signIn(timeoutMS) {
    const { sdkAppID, userID, userSig, agent } = this.#config;
    return this.#attempt({ type: "signIn", body: { version: 1, sdkAppID, userID, userSig, agent, bundles: true } }, timeoutMS);
  }

  /**
   * Opens a connection, with a first message.
   * @param {import("./framing.js").Message} first
   * @param {number} timeoutMS of opening, and of the answer
   */
  async #attempt(first, timeoutMS) {
    /** @type {Connection | undefined} */
    let mine; // the handlers may be called before open returns
    const conn = await Connection.open(this.#openTransport, this.#config, {
      datagram: (bytes) => {
        if (mine && mine === this.#conn) this.#contain(() => this.#handlers.datagram(bytes));
      },
      stream: (stream) => {
        if (mine && mine === this.#conn) this.#contain(() => this.#handlers.stream(stream));
        else stream.cancel().catch(() => {});
      },
    }, this.videoFlows, timeoutMS);
    mine = conn;
    try {
      if (this.#ended) throw new CallError(Code.Failed, "closed");
      conn.send(first);
      const m = checkMessage(await conn.first(timeoutMS));
      if (this.#ended) throw new CallError(Code.Failed, "closed");
      if (typeof m === "string") throw new CallError(Code.ServerFailed, `the server answered the sign-in with ${m}`);
      if (m.type === "goodbye") throw new Refused(m.body.code, m.body.message);
      if (m.type !== "welcome") throw new CallError(Code.ServerFailed, `the server answered the sign-in with ${m.type}`);
      return { conn, welcome: m.body };
    } catch (err) {
      conn.close();
      throw err;
    }
  }

  /**
   * Dials and resumes until that works or is refused, and once more when the
   * time is over already: a machine that has slept may have been waited for.
   * @param {number} until
   */
  async #redial(until) {
    for (let pause = firstPause; ; pause = Math.min(2 * pause, maxRedialPause)) {
      try {
        await this.#refresh();
        const left = Math.max(until - Date.now(), 1000);
        return await this.#attempt(
          { type: "resume", body: { version: 1, token: this.#token, last: this.#seen, bundles: true } },
          Math.min(left, dialTimeout),
        );
      } catch (err) {
        if (err instanceof Refused || this.#ended) throw err;
        this.#handlers.log(`dialling again failed: ${asCallError(err).message}`);
        if (Date.now() + pause >= until) throw err;
      }
      await this.#pause(pause);
      if (this.#ended) throw new CallError(Code.Failed, "closed");
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
      const fresh = /** @type {Fresh} */ (await Promise.race([refresh(), late]));
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
  #pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), ms);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve(undefined);
      };
    });
  }

  /**
   * Makes a connection the one in use.
   * @param {Connection} conn
   * @param {import("./messages.js").Welcome} welcome
   */
  #adopt(conn, welcome) {
    this.#conn = conn;
    this.#token = welcome.token;
    this.#windowMS = welcome.windowMS;
    this.bundles = welcome.bundles;
    this.#suspect = 0;
    this.#lastCheck = this.#lastPing = Date.now();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#check(), checkEvery);
    this.#ack(); // says that the welcome, and the token in it, came
    this.#handlers.welcome(welcome, this.#epoch);
    for (const [id, frame] of this.#pending) {
      if (id > welcome.received) conn.sendFrame(frame);
    }
    conn.closed.then(({ code, reason }) => {
      if (conn !== this.#conn || this.#ended) return;
      if (code === CloseCode.Replaced) this.#end(Code.Disconnected, "the session goes on in another page", false);
      else this.#lost(reason);
    });
    conn.listen((m) => this.#message(conn, m));
  }

  /**
   * @param {Connection} conn
   * @param {import("./framing.js").Message} m
   */
  #message(conn, m) {
    if (conn !== this.#conn) return;
    const n = m.n ?? 0;
    if (n > 0) {
      if (n <= this.#received) return; // sent again, and carried out before
      this.#received = n;
    }
    const checked = checkMessage(m);
    if (typeof checked === "string") {
      this.#handlers.log(`ignored ${checked}`);
      if (n > 0 && n === this.#seen + 1) this.seen(this.#epoch, n);
      return;
    }
    switch (checked.type) {
      case "welcome":
        return;
      case "pong":
        if (checked.body.t > 0) this.rttMS = Math.max(0, Date.now() - checked.body.t);
        return;
      case "kicked":
        this.#kicked = true;
        this.#end(checked.body.code, checked.body.message, true);
        return;
      case "goodbye":
        this.#goodbye(checked.body.code, checked.body.message);
        return;
      case "result":
        this.#pending.delete(checked.body.re);
    }
    this.#contain(() => this.#handlers.event(checked, n, this.#epoch));
  }

  /** @param {() => void} f */
  #contain(f) {
    try {
      f();
    } catch (err) {
      this.#handlers.log(`failed: ${err instanceof Error ? err.stack ?? err.message : err}`);
    }
  }

  /** The server's last word. @param {number} code @param {string} message */
  #goodbye(code, message) {
    if (this.#kicked) return;
    if (code !== Code.ServerFailed) {
      this.#end(code, message, false);
      return;
    }
    this.#drop(); // it shuts down, and may come back
    this.#handlers.lost(message);
    this.#again(code, message, EndReason.ByServer);
  }

  #ack() {
    this.#acked = this.#seen;
    this.#conn?.send({ type: "ack", ack: this.#seen || undefined });
  }

  #ping() {
    const now = Date.now();
    this.#lastPing = now;
    this.#acked = this.#seen;
    this.#conn?.send({ type: "ping", ack: this.#seen || undefined, body: { t: now } });
  }

  #check() {
    const conn = this.#conn;
    if (!conn) return;
    const now = Date.now();
    if (now - this.#lastCheck > 4 * checkEvery) {
      // This page has slept: what has come meanwhile is still to be read.
      this.#suspectedAt = now;
      this.#suspect = now + suspectFor;
      this.#ping();
    }
    this.#lastCheck = now;
    if (this.#suspect > 0) {
      if (conn.heard > this.#suspectedAt) this.#suspect = 0;
      else if (now >= this.#suspect) this.#lost("nothing is heard of the server");
    } else if (now - conn.heard >= maxSilence) {
      this.#lost("nothing is heard of the server");
    }
    if (this.#conn && now - this.#lastPing >= pingEvery) this.#ping();
  }

  #drop() {
    const conn = this.#conn;
    if (!conn) return;
    this.#heard = conn.heard;
    this.#conn = null;
    clearInterval(this.#timer);
    conn.close(CloseCode.Replaced, "dialling again"); // 0 would be taken for a page that is closed
  }

  /** @param {string} reason */
  async #lost(reason) {
    this.#drop();
    this.reconnects++;
    this.#handlers.lost(reason);
    try {
      const got = await this.#redial(this.#heard + this.#windowMS);
      this.#adopt(got.conn, got.welcome);
    } catch (err) {
      if (this.#ended) return;
      if (err instanceof Refused) {
        this.#again(Code.Disconnected, "the server does not know this session any more", EndReason.ByServer);
      } else {
        this.#again(Code.Disconnected, `the connection was lost for longer than ${this.#windowMS} ms`, EndReason.Offline);
      }
    }
  }

  /**
   * There is nothing left to resume: signs in anew, for as long as it takes.
   * @param {number} code @param {string} message @param {number} endReason of the call
   */
  async #again(code, message, endReason) {
    this.#forget();
    this.#handlers.over(code, message, endReason);
    for (let pause = firstPause; ; pause = Math.min(2 * pause, maxSignInPause)) {
      await this.#pause(pause);
      if (this.#ended) return;
      try {
        await this.#refresh();
        const got = await this.#signIn(dialTimeout);
        this.#adopt(got.conn, got.welcome);
        return;
      } catch (err) {
        if (this.#ended) return;
        if (err instanceof Refused && err.code !== Code.ServerFailed) {
          this.#end(err.code, err.message, false);
          return;
        }
        this.#handlers.log(`signing in again failed: ${asCallError(err).message}`);
      }
    }
  }

  /** @param {number} code @param {string} message @param {boolean} kicked */
  #end(code, message, kicked) {
    if (this.#ended) return;
    this.close();
    this.#handlers.ended(code, message, kicked);
  }
}
