// A page with a server that a test plays.

import { dialWith } from "../dial.js";
import { Host } from "../net/host.js";
import { FakeServer, fakeMedia, settle } from "./fake.js";

export { FakeServer, settle };

/** A tab's storage. */
export class Area extends Map {
  getItem(k) { return this.get(k) ?? null; }
  setItem(k, v) { this.set(k, v); }
  removeItem(k) { this.delete(k); }
}

export async function page(t, { server = new FakeServer(), config = {}, storage = new Area(), fail = {}, locks = undefined } = {}) {
  const log = [];
  const listener = new Proxy({}, { get: (_, name) => (...args) => void log.push([name, ...args]) });
  const media = [];
  const worker = [];
  let emit, page;
  const client = await dialWith({
    url: "https://127.0.0.1:1/earshot", sdkAppID: 1, userID: "alice", userSig: "s", listener, ...config,
  }, {
    worker: () => {
      const self = { onmessage: null, postMessage: (m) => queueMicrotask(() => outer.onmessage?.({ data: structuredClone(m) })) };
      const outer = {
        onmessage: null, onerror: null, terminate: () => {},
        postMessage: (m) => queueMicrotask(() => self.onmessage?.({ data: structuredClone(m) })),
      };
      page = outer;
      new Host(self, () => fakeWorkerMedia(worker), server.open);
      return outer;
    },
    media: (env) => ((emit = env.emit), fakeMedia(media, fail)),
    storage, locks,
  });
  t.after(() => client.destroy());
  await settle();
  const take = () => log.splice(0).filter((x) => x[0] !== "onConnectionState");
  take();
  return { client, server, storage, media, worker, take, emit: (e) => emit(e), fromWorker: (m) => page.onmessage({ data: m }), names: () => take().map((x) => x[0]) };
}

function fakeWorkerMedia(done) {
  return new Proxy({}, { get: (_, name) => (...args) => void done.push([name, ...args]) });
}

/** Says events of the server's. */
export async function tell(p, ...events) {
  for (const [type, body] of events) p.server.tell(type, body);
  await settle();
  await settle();
}
