// A signed-in session over connections that come and go: what was sent and what came
// in it, resuming, and signing in anew when there is nothing left to resume.

import { asCallError, Code, EndReason } from "../codes.js";
import { Alive } from "./alive.js";
import { CloseCode, openWebTransport } from "./connection.js";
import { Dialer, dialTimeout, Refused } from "./dialer.js";
import { checkMessage } from "./messages.js";

/** @typedef {import("./connection.js").Connection} Connection */

const ackEvery = 16;

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
  #handlers;
  #dialer;
  #alive;
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
    this.#handlers = handlers;
    this.#dialer = new Dialer(config, this.videoFlows, {
      datagram: (conn, bytes) => {
        if (conn === this.#conn) this.#contain(() => handlers.datagram(bytes));
      },
      stream: (conn, stream) => {
        if (conn === this.#conn) this.#contain(() => handlers.stream(stream));
        else stream.cancel().catch(() => {});
      },
      refresh: handlers.refresh,
      log: handlers.log,
    }, openTransport);
    this.#alive = new Alive((now) => this.#ping(now), () => this.#lost("nothing is heard of the server"));
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
          this.#adopt(await this.#resume(Date.now() + saved.windowMS));
          return;
        } catch (err) {
          if (!(err instanceof Refused)) throw err;
          this.#handlers.log(`what was saved cannot be resumed: ${err.message}`);
          this.#forget();
        }
      }
      this.#adopt(await this.#dialer.signIn(2 * dialTimeout));
    } catch (err) {
      this.#ended = true;
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
    this.#dialer.hasten();
    this.#alive.suspect();
  }

  /** Ends the session on this side. It is idempotent. */
  close() {
    this.#ended = true;
    this.#alive.stop();
    this.#dialer.close();
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

  /** @param {number} until */
  #resume(until) {
    return this.#dialer.resume(() => ({ token: this.#token, last: this.#seen }), until);
  }

  /**
   * Makes a connection the one in use.
   * @param {import("./dialer.js").Dialled} dialled
   */
  #adopt({ conn, welcome }) {
    this.#conn = conn;
    this.#token = welcome.token;
    this.#windowMS = welcome.windowMS;
    this.bundles = welcome.bundles;
    this.#alive.watch(conn);
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

  /** @param {number} now */
  #ping(now) {
    this.#acked = this.#seen;
    this.#conn?.send({ type: "ping", ack: this.#seen || undefined, body: { t: now } });
  }

  #drop() {
    const conn = this.#conn;
    if (!conn) return;
    this.#heard = conn.heard;
    this.#conn = null;
    this.#alive.stop();
    conn.close(CloseCode.Replaced, "dialling again"); // 0 would be taken for a page that is closed
  }

  /** @param {string} reason */
  async #lost(reason) {
    this.#drop();
    this.reconnects++;
    this.#handlers.lost(reason);
    try {
      this.#adopt(await this.#resume(this.#heard + this.#windowMS));
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
    try {
      this.#adopt(await this.#dialer.signInAgain());
    } catch (err) {
      const { code, message } = asCallError(err);
      this.#end(code, message, false);
    }
  }

  /** @param {number} code @param {string} message @param {boolean} kicked */
  #end(code, message, kicked) {
    if (this.#ended) return;
    this.close();
    this.#handlers.ended(code, message, kicked);
  }
}
