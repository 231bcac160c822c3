import assert from "node:assert/strict";
import { test } from "node:test";
import { Media } from "../../media/media.js";

/** A browser with one device of each kind, in which nothing can be captured. */
function broken(/** @type {import("node:test").TestContext} */ t) {
  const g = /** @type {any} */ (globalThis);
  /** @type {{readyState: string, stop(): void, getSettings(): object}[]} */
  const tracks = [];
  const open = async () => {
    const track = { readyState: "live", stop() { this.readyState = "ended"; }, getSettings: () => ({}) };
    tracks.push(track);
    return { getTracks: () => [track], getVideoTracks: () => [track] };
  };
  class FakeContext {
    audioWorklet = { addModule: async () => { throw new Error("no worklets"); } };
    async close() {}
  }
  const fakes = {
    navigator: { mediaDevices: { getUserMedia: open, getDisplayMedia: open, addEventListener() {}, removeEventListener() {} } },
    AudioContext: FakeContext, document: { createElement: () => { throw new Error("no pictures"); } },
  };
  for (const [name, value] of Object.entries(fakes)) {
    const was = Object.getOwnPropertyDescriptor(g, name);
    Object.defineProperty(g, name, { value, configurable: true, writable: true });
    t.after(() => (was ? Object.defineProperty(g, name, was) : delete g[name]));
  }
  /** @type {any[]} */
  const told = [];
  return { media: new Media({ post: () => {}, emit: (e) => told.push(e) }), tracks, told };
}

test("a device that was opened is closed when it cannot be captured", async (t) => {
  const { media, tracks, told } = broken(t);
  await assert.rejects(media.openMicrophone(), /no worklets/);
  await assert.rejects(media.openCamera(), /no pictures/);
  await assert.rejects(media.openScreen(), /no pictures/);
  assert.deepEqual(tracks.map((x) => x.readyState), ["ended", "ended", "ended"]);
  assert.deepEqual(told.map((e) => `${e.kind} ${e.problem}`).sort(), ["camera failed", "microphone failed", "screen failed", "speaker failed"]);
  assert.deepEqual([media.mic, media.camera, media.screen], [null, null, null]);
  media.close();
});
