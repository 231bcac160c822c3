import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { AudioReceiver } from "../../media/audio-receive.js";
import { readRTP, RTPHeader } from "../../media/rtp.js";
import { NOWHERE, Space } from "../../media/space.js";
import { install } from "./codecs.js";
import { random, tone } from "./random.js";

/** @type {{name: string, packet: string, extension: number, left: number, right: number}[]} */
const vectors = JSON.parse(readFileSync(new URL("./space.json", import.meta.url), "utf8"));
const says = (/** @type {number} */ db, /** @type {number} */ pan) => ((db & 255) << 8) | (pan & 255);

/** @type {any} */
let Playout;
Object.assign(globalThis, {
  AudioWorkletProcessor: class { port = {}; },
  registerProcessor: (/** @type {string} */ _, /** @type {any} */ made) => { Playout = made; },
  currentTime: 0,
});
await import("../../media/playout-worklet.js");

test("packets are heard as by the Go client", () => {
  assert.ok(vectors.length > 40);
  for (const v of vectors) {
    const codecs = install();
    /** @type {number[]} */
    const told = [];
    const track = { trackID: 1, userID: "al", kind: "audio", flow: 2, ssrc: 77, payloadType: 111, levelExtension: 1, spaceExtension: v.extension };
    const r = new AudioReceiver(track, {
      play: (_id, _ts, _pcm, space) => told.push(space), array: (n) => new Float32Array(n), heard() {}, heardSource() {}, bad: () => assert.fail(v.name),
    });
    r.packet(Uint8Array.from(Buffer.from(v.packet, "hex")), 0);
    assert.equal(codecs.FakeAudioDecoder.made.length, 1);
    const s = new Space();
    s.tell(told[0]);
    s.jump();
    assert.ok(Math.abs(s.left - v.left) < 2e-6 && Math.abs(s.right - v.right) < 2e-6, `${v.name}: ${s.left} and ${s.right}`);
    r.close();
  }
});

test("what is not announced is not read, and any bytes are", () => {
  const h = new RTPHeader();
  const b = Uint8Array.from(Buffer.from(vectors[0].packet, "hex"));
  assert.ok(readRTP(h, b, 1) && h.space === -1);
  assert.ok(readRTP(h, b, 0, 2) && h.space === 0xc400);
  assert.ok(readRTP(h, b, 0, 3) && h.space === -1, "of the packet before nothing is left");
  const rnd = random(4);
  const s = new Space();
  for (let i = 0; i < 20000; i++) {
    const g = Uint8Array.from({ length: 12 + Math.floor(rnd() * 40) }, () => Math.floor(rnd() * 256));
    g.set([0x90, 111], 0);
    if (i % 2) g.set([0xbe, 0xde, 0, Math.floor(rnd() * 8)], 12 > g.length - 4 ? 0 : 12);
    if (!readRTP(h, g, 1, 2) || h.space < 0) continue;
    s.tell(h.space);
    s.jump();
    assert.ok(s.left >= 0 && s.right >= 0 && Math.hypot(s.left, s.right) < 10 ** (12 / 20) + 1e-9);
  }
});

/** A loudspeaker that plays `voices`, each a tone of 0.25, told where they are by `where`. */
function playout(/** @type {number} */ voices, /** @type {number} */ amplitude = 0.25) {
  const node = new Playout({ processorOptions: { burst: 480 } });
  const port = { postMessage() {}, /** @type {any} */ onmessage: null };
  node.port.onmessage({ data: port });
  const post = (/** @type {any} */ m) => port.onmessage({ data: m });
  for (let id = 0; id < voices; id++) post({ add: id, channels: 1 });
  let at = 0;
  let sent = 0;
  /**
   * Plays n quanta.
   * @param {number} n
   * @param {(id: number) => number} where
   */
  const play = (n, where) => {
    const out = [new Float32Array(128 * n), new Float32Array(128 * n)];
    for (let q = 0; q < n; q++, at += 128) {
      for (; sent <= at; sent += 960) for (let id = 0; id < voices; id++) post([id, sent, tone(960, sent, 300 + 200 * id, amplitude), where(id)]);
      const block = [new Float32Array(128), new Float32Array(128)];
      node.process([], [block]);
      block.forEach((side, i) => out[i].set(side, 128 * q));
    }
    return out;
  };
  return { play, post };
}

/** @param {Float32Array} x */
const peak = (x) => x.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
/** @param {Float32Array} x */
const step = (x) => x.reduce((most, v, i) => (i > 0 ? Math.max(most, Math.abs(v - x[i - 1])) : most), 0);
/** @param {number} got @param {number} want @param {string} what */
const near = (got, want, what) => assert.ok(Math.abs(got - want) <= 0.02 * want + 1e-4, `${what}: ${got}, want ${want}`);

test("a voice is on its side, and as loud as it is told", () => {
  const { play, post } = playout(1);
  let [l, r] = play(100, () => says(0, 8));
  assert.ok(peak(l.subarray(0, 128 * 80)) < 1e-9, "it is at the right from its first sample on");
  near(peak(r.subarray(128 * 60)), 0.25, "right");
  play(30, () => says(-20, -8));
  [l, r] = play(60, () => says(-20, -8));
  near(peak(l), 0.025, "left, 20 dB less");
  assert.ok(peak(r) < 1e-9);
  play(30, () => says(0, 0));
  [l, r] = play(60, () => says(0, 0));
  near(peak(l), 0.25 * Math.SQRT1_2, "ahead");
  near(peak(r), 0.25 * Math.SQRT1_2, "ahead");
  post({ gain: 0, value: 0.5 });
  play(30, () => says(0, 0));
  [l] = play(60, () => says(0, 0));
  near(peak(l), 0.125 * Math.SQRT1_2, "half of it by the user's own wish");
  post({ mute: true });
  play(30, () => says(0, 8));
  [l, r] = play(30, () => says(0, 8));
  assert.equal(peak(l) + peak(r), 0, "the loudspeaker is mute");
  post({ mute: false });
  play(30, () => NOWHERE);
  [l, r] = play(60, () => NOWHERE);
  assert.deepEqual(l, r);
  near(peak(l), 0.125, "a voice without a place");
});

test("from one side to the other it glides", () => {
  const { play } = playout(1);
  const [l0, r0] = play(80, () => says(12, -8));
  // From one end to the other at once, there and back, at any moment of a frame.
  for (let i = 0; i < 40; i++) {
    const [l, r] = play(11, () => (i % 2 ? says(12, -8) : says(-60, 8)));
    // A tone of 300 Hz and 1.0 has steps of 0.039; what glides from 4 to 0 within 1000 samples adds 0.004.
    for (const x of [l, r]) assert.ok(step(x) < 0.046, `a step of ${step(x)}`);
  }
  assert.ok(peak(l0) > 0.9 && peak(r0) < 1e-9);
});

test("where many are too loud together both sides are turned down alike", () => {
  const { play } = playout(6, 0.5);
  play(60, (id) => says(6, id === 0 ? -8 : 8));
  const [l, r] = play(80, (id) => says(6, id === 0 ? -8 : 8));
  assert.ok(peak(r) <= 1 && peak(r) > 0.9);
  assert.ok(peak(l) < 0.6, `the side of one voice is as much quieter: ${peak(l)}`);
});
