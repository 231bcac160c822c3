// A server that a test plays: WebTransport made of streams, and messages by hand.

import { encodeFrame, FrameReader } from "../net/framing.js";

/** Lets what is waiting in promises happen. */
export async function settle(rounds = 60) {
  for (let i = 0; i < rounds; i++) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  for (let i = 0; i < rounds; i++) await Promise.resolve();
}

/** One connection as the server sees it. */
class FakeConnection {
  constructor(address) {
    this.address = address;
    this.received = []; // messages of the client
    this.datagrams = [];
    this.closedWith = null;
    const frames = new FrameReader();
    this.control = null;
    this.readable = new ReadableStream({ start: (c) => (this.control = c) });
    this.writable = new WritableStream({ write: (b) => void this.received.push(...frames.push(b)) });
    let resolveClosed, rejectClosed;
    const closed = new Promise((resolve, reject) => ([resolveClosed, rejectClosed] = [resolve, reject]));
    closed.catch(() => {});
    this.break = (message = "connection lost") => rejectClosed(new Error(message));
    this.end = (closeCode, reason) => resolveClosed({ closeCode, reason });
    this.transport = {
      ready: Promise.resolve(),
      closed,
      close: (info) => {
        this.closedWith ??= info ?? {};
        resolveClosed(info ?? {});
      },
      createBidirectionalStream: async () => ({ readable: this.readable, writable: this.writable }),
      incomingUnidirectionalStreams: new ReadableStream({ start: (c) => (this.streams = c) }),
      datagrams: {
        readable: new ReadableStream({ start: (c) => (this.incoming = c) }),
        writable: new WritableStream({ write: (b) => void this.datagrams.push(b) }),
        maxDatagramSize: 1200,
      },
    };
  }

  send(type, body, n) {
    this.raw(encodeFrame({ type, n, body }));
  }

  raw(bytes) {
    this.control.enqueue(bytes);
  }

  /** Messages of a type. */
  of(type) {
    return this.received.filter((m) => m.type === type);
  }
}

/** The connections that a client opens, and how they are greeted. */
export class FakeServer {
  connections = [];
  /** "welcome", "refuse", "unreachable" or "silent" */
  mood = "welcome";
  n = 0;
  requests = 0; // received
  code = -8;
  /** Answers requests by themselves. */
  results = true;

  open = (address) => {
    const c = new FakeConnection({ ...address });
    this.connections.push(c);
    if (this.mood === "unreachable") {
      c.transport.ready = Promise.reject(new Error("Opening handshake failed."));
      c.break();
      return c.transport;
    }
    const push = c.received.push.bind(c.received);
    c.received.push = (...messages) => {
      push(...messages);
      for (const m of messages) this.#message(c, m);
      return c.received.length;
    };
    return c.transport;
  };

  get last() {
    return this.connections.at(-1);
  }

  /** An event on the last connection. */
  tell(type, body) {
    this.last.send(type, body, ++this.n);
  }

  #message(c, m) {
    if (this.mood === "silent") return;
    if (m.type === "signIn" || m.type === "resume") {
      if (this.mood === "refuse" && m.type === "resume") {
        c.send("goodbye", { code: this.code, message: "no" });
        return;
      }
      const resumed = m.type === "resume";
      if (!resumed) this.n = this.requests = 0;
      const token = this.connections.length.toString(16).padStart(32, "0");
      c.send("welcome", { version: 1, token, windowMS: 15000, received: this.requests, resumed, bundles: true });
    } else if (m.type === "ping") {
      c.send("pong", m.body);
    } else if (m.id) {
      this.requests = m.id;
      if (this.results) this.result(m);
    }
  }

  /** Answers a request. */
  result(m, more = {}) {
    const track = m.type === "publish"
      ? { trackID: 100 + m.id, callID: m.body.callID, userID: "alice", kind: m.body.kind, flow: m.id * 2, ssrc: m.id, payloadType: 96 }
      : undefined;
    this.tell("result", { re: m.id, code: 0, track, ...more });
  }
}

/** Media that note what is done to them. */
export function fakeMedia(done, fail = {}) {
  return new Proxy({}, {
    get: (_, name) => {
      if (name === "videoLayers") return () => 2;
      return async (...args) => {
        done.push([name, ...args]);
        if (fail[name]) throw new Error(fail[name]);
      };
    },
  });
}
