import assert from "node:assert/strict";
import { test } from "node:test";
import { BandwidthEstimator } from "../../media/bwe.js";
import { FeedbackWriter } from "../../media/feedback.js";
import { readRTCP } from "../../media/rtcp.js";
import { random } from "./random.js";

/**
 * A camera of 30 frames a second that follows its target, over a line.
 * @param {object} o
 * @param {number} o.seconds
 * @param {(t: number) => number} o.capacity bit/s
 * @param {number} [o.loss]
 * @param {number} [o.most] what the camera has to send, bit/s
 * @param {(t: number) => boolean} [o.reports]
 */
function run({ seconds, capacity, loss = 0, most = Infinity, reports = () => true }) {
  const s = new BandwidthEstimator(500_000);
  const rx = new FeedbackWriter();
  const rnd = random(4);
  /** @type {{at: number, seq: number}[]} */
  let line = [];
  /** @type {{at: number, b: Uint8Array}[]} */
  let back = [];
  let free = 0;
  let seq = 65000;
  /** @type {number[]} */
  const targets = [];
  let queue = 0;
  for (let t = 1; t < seconds * 1000; t++) {
    if (t % 33 === 0) {
      const bytes = Math.min(s.target, most) / 8 / 30;
      const n = Math.max(1, Math.ceil(bytes / 1100));
      for (let i = 0; i < n; i++) {
        const size = Math.round(bytes / n);
        s.sent(7, seq, size, t);
        if (free - t < 500) {
          free = Math.max(free, t) + (size * 8000) / capacity(t);
          if (rnd() >= loss) line.push({ at: free + 20, seq });
        }
        queue = Math.max(queue, t > (seconds - 5) * 1000 ? free - t : 0);
        seq = (seq + 1) & 0xffff;
      }
    }
    line = line.filter((p) => p.at > t || (rx.received(7, p.seq, p.at), false));
    if (t % 40 === 0) {
      const b = rx.report(t);
      if (b && reports(t)) back.push({ at: t + 20, b: b.slice() });
    }
    back = back.filter((p) => p.at > t || (readRTCP(p.b, { feedback: (b) => s.feedback(b, t) }), false));
    if (t % 1000 === 0) targets.push(s.target);
  }
  return { s, targets, queue };
}

test("it finds what a line carries, and keeps its queue short", () => {
  const { targets, queue, s } = run({ seconds: 40, capacity: () => 1.5e6 });
  const last = targets.slice(-10).reduce((a, b) => a + b, 0) / 10;
  assert.ok(last > 0.9e6 && last < 1.6e6, `${last} bit/s`);
  assert.ok(queue < 150, `a queue of ${queue} ms`);
  assert.ok(s.rtt > 35 && s.rtt < 120, `rtt ${s.rtt}`);
});

test("it gives way at once when the line narrows", () => {
  const { targets } = run({ seconds: 30, capacity: (t) => (t < 15_000 ? 2e6 : 5e5) });
  assert.ok(targets[13] > 9e5, `${targets[13]} before`);
  assert.ok(targets[17] < 6e5, `${targets[17]} 3 s after`);
  const later = targets.slice(19).reduce((a, b) => a + b, 0) / targets.slice(19).length;
  assert.ok(later > 2.5e5 && later < 5.5e5, `${later} later: ${targets}`);
});

test("loss that is always there costs little; a sender of little is not led on", () => {
  const { targets } = run({ seconds: 40, capacity: () => 2e6, loss: 0.05 });
  const last = targets[targets.length - 1];
  assert.ok(last > 9e5, `${last} with 5 % lost`);
  const little = run({ seconds: 30, capacity: () => 5e7, most: 3e5 });
  assert.ok(little.targets.every((t) => t < 6.5e5), `${Math.max(...little.targets)} for 300 kbit/s`);
});

test("without reports it falls", () => {
  const { targets } = run({ seconds: 12, capacity: () => 2e6, reports: (t) => t < 6000 });
  assert.ok(targets[10] < 0.5 * targets[5], `${targets[5]}, then ${targets[10]}`);
});

test("a report says what came when, twice, around the end of the numbers", () => {
  const rx = new FeedbackWriter();
  assert.equal(rx.report(5), null);
  for (const [seq, at] of [[65534, 1000], [0, 1010], [2, 1020]]) rx.received(9, seq, at);
  const b = /** @type {Uint8Array} */ (rx.report(1020));
  assert.deepEqual([...b.slice(0, 4), ...b.slice(8, 16)], [0x8b, 205, 0, b.length / 4 - 1, 0, 0, 0, 9, 0xff, 0xfe, 0, 5]);
  const metric = (/** @type {number} */ i) => (b[16 + 2 * i] << 8) | b[17 + 2 * i];
  assert.deepEqual([0, 1, 2, 3, 4].map(metric), [0x8000 | 20, 0, 0x8000 | 10, 0, 0x8000]);
  assert.equal(rx.report(1060), null, "nothing new");
  rx.received(9, 1, 1070);
  const again = /** @type {Uint8Array} */ (rx.report(1080));
  assert.ok(again.length > b.length - 12);
});

test("hostile reports change nothing but a number within bounds", () => {
  const rnd = random(6);
  const s = new BandwidthEstimator(500_000);
  for (let t = 1, seq = 0; t < 20000; t++) {
    if (t % 5 === 0) s.sent(7, seq++ & 0xffff, 1000, t);
    const n = 12 + 4 * Math.floor(rnd() * 20);
    const b = new Uint8Array(n).map(() => Math.floor(rnd() * 256));
    b.set([0x8b, 205, 0, n / 4 - 1]);
    if (n > 20) b.set([0, 0, 0, 7, seq >> 8, seq - 8, 0, (n - 20) / 2], 8);
    readRTCP(b, { feedback: (p) => s.feedback(p, t) });
    assert.ok(s.target >= 60_000 && s.target <= 4_000_000 && s.rtt >= 0);
  }
});
