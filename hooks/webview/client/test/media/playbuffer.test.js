import assert from "node:assert/strict";
import { test } from "node:test";
import { PlayBuffer } from "../../media/playbuffer.js";
import { random, tone } from "./random.js";

const QUANTUM = 128;

/**
 * Plays packets of 20 ms, sent each 20 ms by a clock that is `drift` too fast and
 * delayed by delay(i) ms (null: lost), to a sink that takes 480 samples at a time.
 * @param {object} o
 * @param {number} o.seconds
 * @param {(i: number) => number | null} o.delay
 * @param {number} [o.drift]
 * @param {(ts: number) => Float32Array} [o.sound]
 * @param {(i: number, ts: number) => number} [o.stamp]
 */
function play({ seconds, delay, drift = 0, sound = (ts) => tone(960, ts, 440, 0.5), stamp = (_, ts) => ts }) {
  const b = new PlayBuffer(1, 480);
  const left = new Float32Array(QUANTUM);
  const right = new Float32Array(QUANTUM);
  const start = 0xffff0000; // the timestamps go around
  /** @type {{at: number, ts: number, pcm: Float32Array}[]} */
  const packets = [];
  for (let i = 0; i < seconds * 50; i++) {
    const d = delay(i);
    const ts = stamp(i, i * 960);
    if (d !== null) packets.push({ at: (((i + 1) * 960) / (1 + drift) + d * 48) | 0, ts: (start + ts) >>> 0, pcm: sound(ts) });
  }
  packets.sort((p, q) => p.at - q.at);
  /** @type {number[]} */
  const delays = [];
  const out = new Float32Array(seconds * 48000);
  let next = 0;
  for (let at = 0; at + QUANTUM <= out.length; at += QUANTUM) {
    const burst = at - (at % 512); // four quanta at a time
    while (next < packets.length && packets[next].at <= burst) {
      b.push(packets[next].ts, packets[next].pcm);
      next++;
    }
    left.fill(0);
    right.fill(0);
    b.pull(left, right, 1, 1);
    out.set(left, at);
    if (b.active) delays[Math.floor(at / 48000)] = (b.out - b.head) / 48;
  }
  return { b, out, delays };
}

/**
 * The largest step from one sample to the next.
 * @param {Float32Array} x
 */
function step(x) {
  let most = 0;
  for (let i = 1; i < x.length; i++) most = Math.max(most, Math.abs(x[i] - x[i - 1]));
  return most;
}

const smooth = 0.05; // a tone of 440 Hz and 0.5 has steps of 0.029

test("on an even way sound is whole, and late by no more than it must", () => {
  const { b, out, delays } = play({ seconds: 5, delay: () => 1 });
  assert.equal(b.underruns, 0);
  assert.ok(delays[4] < 20 + 1 + 11 + 7 + 3, `${delays[4]} ms`);
  assert.ok(step(out) < smooth, `step ${step(out)}`);
  let sum = 0;
  for (const v of out.subarray(48000, 96000)) sum += v * v;
  assert.ok(Math.abs(Math.sqrt(sum / 48000) - 0.3536) < 0.01);
});

test("the delay grows with the jitter, and shrinks after it", () => {
  const rnd = random(5);
  const { b, out, delays } = play({ seconds: 40, delay: (i) => (i > 250 && i < 500 ? rnd() * 60 : 1) });
  assert.ok(delays[9] > 70, `${delays[9]} ms while there is jitter`);
  assert.ok(delays[39] < 45, `${delays[39]} ms long after`);
  assert.ok(b.underruns < 8, `${b.underruns} underruns`);
  assert.ok(b.cut > 0 && step(out) < 0.1, `step ${step(out)}`);
});

test("a clock that drifts neither fills nor empties it", () => {
  for (const drift of [3e-4, -3e-4]) {
    const { b, out, delays } = play({ seconds: 60, drift, delay: () => 2 });
    assert.ok(b.underruns <= 2, `${b.underruns} underruns`);
    assert.ok(delays[59] - 0 < 60 + Math.abs(60_000 * drift), `${delays[59]} ms`);
    assert.ok(b.depth() < 48 * 60, `${b.depth() / 48} ms wait`);
    assert.ok(step(out) < 0.1, `step ${step(out)}`);
  }
});

test("what is lost is no click, and what comes twice or late is not heard twice", () => {
  const { b, out } = play({ seconds: 4, delay: (i) => (i % 20 === 7 ? null : 1) });
  assert.ok(b.underruns >= 8);
  assert.ok(step(out) < smooth, `step ${step(out)}`);
  const before = b.end;
  b.push((0xffff0000 + 960 * 150) >>> 0, tone(960, 0, 440, 0.5));
  assert.equal(b.end, before);
  assert.equal(b.lateDropped, 960);
});

test("a talk spurt after a pause begins with the delay, not with what was left of it", () => {
  const { b, out, delays } = play({ seconds: 8, delay: (i) => (i > 100 && i < 250 ? null : 3) });
  assert.ok(b.underruns <= 2 && delays[7] < 45, `${b.underruns}, ${delays[7]} ms`);
  assert.ok(step(out) < smooth);
  assert.ok(out.subarray(48000 * 3, 48000 * 5).every((v) => v === 0));
});

test("what a sender leaves out for a shift is silence of that length", () => {
  const { b, out } = play({ seconds: 4, delay: (i) => (i >= 100 ? 9 : 0), stamp: (i, ts) => (i >= 100 ? ts + 431 : ts) });
  assert.ok(b.underruns <= 2, `${b.underruns}`);
  assert.ok(step(out) < 0.1);
});

test("hostile timestamps and lengths", () => {
  const rnd = random(9);
  const b = new PlayBuffer(2, 480);
  const l = new Float32Array(QUANTUM);
  const r = new Float32Array(QUANTUM);
  for (let i = 0; i < 20000; i++) {
    b.push(rnd() < 0.5 ? Math.floor(rnd() * 2 ** 32) : i * 960, new Float32Array(2 * Math.floor(rnd() * 3000)).fill(0.1));
    l.fill(0);
    r.fill(0);
    b.pull(l, r, 1, 1);
    assert.ok(b.depth() >= 0 && b.depth() <= 19200 + 9600, `${b.depth()}`);
    if (i % 100 === 0) assert.ok(l.every(Number.isFinite) && r.every(Number.isFinite));
  }
});
