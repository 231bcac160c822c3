import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Speaker } from "../../media/speaker.js";

const look = 2000; // ms between looks at what was played

/** A browser's sound, which plays `rate` seconds of sound a second. */
function device(/** @type {import("node:test").TestContext} */ t) {
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  let now = 0;
  /** @type {any[]} */
  const contexts = [];
  const play = { rate: 1 };
  class FakeContext {
    state = "running";
    currentTime = 0;
    baseLatency = 0.003;
    destination = {};
    audioWorklet = { addModule: async () => {} };
    /** @param {any} options */
    constructor(options) {
      this.options = options;
      contexts.push(this);
    }
    async resume() {}
    async close() { this.state = "closed"; }
    /** @param {string} id */
    async setSinkId(id) { this.sink = id; }
  }
  class FakeNode {
    port = { postMessage: () => {} };
    connect() {}
    disconnect() {}
  }
  const was = { AudioContext: globalThis.AudioContext, AudioWorkletNode: globalThis.AudioWorkletNode };
  Object.assign(globalThis, { AudioContext: FakeContext, AudioWorkletNode: FakeNode });
  const clock = t.mock.method(performance, "now", () => now);
  t.after(() => {
    Object.assign(globalThis, was);
    clock.mock.restore();
    mock.timers.reset();
  });
  /** @type {any[]} */
  const posted = [], told = [];
  const speaker = new Speaker((msg) => {
    posted.push(msg);
    if (msg.port) t.after(() => msg.port.close());
  }, (e) => told.push(e));
  /** Lets time pass, of which the sound's goes by at its rate. */
  const pass = async (/** @type {number} */ ms) => {
    now += ms;
    const c = contexts.at(-1);
    if (c.state === "running") c.currentTime += (ms / 1000) * play.rate;
    mock.timers.tick(look);
    for (let i = 0; i < 20; i++) await Promise.resolve();
  };
  return { speaker, contexts, posted, told, play, pass };
}

const hints = (/** @type {any[]} */ contexts) => contexts.map((c) => c.options.latencyHint);

test("the smallest blocks are asked for, and kept while the device keeps up", async (t) => {
  const { speaker, contexts, pass, play } = device(t);
  await speaker.open();
  for (let i = 0; i < 5; i++) await pass(look);
  play.rate = 0.9; // for once
  await pass(look);
  play.rate = 1;
  for (let i = 0; i < 5; i++) await pass(look);
  play.rate = 0.5;
  for (let i = 0; i < 3; i++) await pass(60 * look); // the page slept, and its sound less long
  assert.deepEqual(hints(contexts), [0]);
  speaker.close();
});

test("a device that does not keep up gets the usual blocks, once, with the same loudspeaker and mute", async (t) => {
  const { speaker, contexts, posted, told, pass, play } = device(t);
  await speaker.open();
  await speaker.setSink("headset");
  speaker.setMute(true);
  await pass(look);
  play.rate = 0.95;
  await pass(look);
  assert.equal(contexts.length, 1, "one time does not count");
  await pass(look);
  assert.deepEqual(hints(contexts), [0, "interactive"]);
  assert.deepEqual(contexts.map((c) => [c.state, c.sink]), [["closed", "headset"], ["running", "headset"]]);
  assert.deepEqual(posted.filter((m) => m.t === "speaker").length, 2, "the worker is given the new one's port");
  assert.deepEqual(posted.at(-1).t === "latency" ? posted.at(-2) : posted.at(-1), { t: "speakerMute", on: true });
  for (let i = 0; i < 6; i++) await pass(look); // still slow: there is nothing more to try
  assert.equal(contexts.length, 2);
  assert.deepEqual(told, []);
  speaker.close();
  assert.equal(contexts[1].state, "closed");
});

test("one that is closed while it opens stays closed", async (t) => {
  const { speaker, contexts, posted, told, pass } = device(t);
  speaker.sink = "headphones";
  let choose = () => {};
  Object.assign(globalThis.AudioContext.prototype, { setSinkId: () => new Promise((resolve) => (choose = () => resolve(undefined))) });
  const opening = speaker.open();
  for (let i = 0; i < 20; i++) await Promise.resolve();
  speaker.close();
  choose();
  await opening;
  const before = posted.length;
  await pass(look);
  assert.deepEqual([contexts.length, contexts[0].state, posted.length, told, speaker.timer], [1, "closed", before, [], undefined]);
});
