import assert from "node:assert/strict";
import { test } from "node:test";
import { Cache, Gaps, Order } from "../../media/gaps.js";
import { random } from "./random.js";

const into = new Uint16Array(32);

test("what is missing is asked for, again, and given up", () => {
  const g = new Gaps(400);
  assert.ok(!g.received(65534, 0));
  assert.ok(!g.received(1, 10));
  assert.equal(g.due(into, 40, 12), 0, "it may be merely late");
  assert.equal(g.due(into, 40, 15), 2);
  assert.deepEqual([...into.slice(0, 2)], [65535, 0]);
  assert.equal(g.due(into, 40, 50), 0, "no answer could have come");
  assert.ok(!g.received(65535, 55));
  assert.equal(g.due(into, 40, 66), 1);
  assert.equal(into[0], 0);
  assert.ok(g.waits(0) && !g.waits(65535));
  assert.equal(g.due(into, 40, 395), 0, "too late to come in time");
  g.due(into, 40, 411);
  assert.ok(!g.waits(0));
  assert.ok(g.received(5000, 500), "another stream");
  assert.equal(g.n, 0);
});

test("a sender that skips numbers is asked a bounded number of times", () => {
  const g = new Gaps(400);
  let asked = 0;
  for (let i = 0, seq = 0; i < 1000; i++, seq = (seq + 300) & 0xffff) {
    g.received(seq, i);
    asked += g.due(into, 10, i);
    assert.ok(g.n <= 128);
  }
  assert.ok(asked <= 32 * 1000);
});

test("packets come out in order, once", () => {
  const o = new Order(16);
  const p = (/** @type {number} */ i) => new Uint8Array([i]);
  const out = () => {
    const got = [];
    for (let b = o.pop(); b; b = o.pop()) got.push(b[0]);
    return got;
  };
  o.push(65535, p(1));
  o.push(1, p(3));
  assert.deepEqual(out(), [1]);
  o.push(0, p(2));
  o.push(0, p(9));
  assert.deepEqual(out(), [2, 3]);
  o.push(0, p(9));
  assert.deepEqual(out(), []);
  o.push(40, p(4)); // no room: what is missing is given up
  assert.equal(o.waiting, 1);
  for (let i = 0; i < 100 && o.waiting > 0; i++) if (o.pop(true)) break;
  assert.equal(o.waiting, 0);
  const rnd = random(7);
  for (let i = 0; i < 20000; i++) {
    o.push(Math.floor(rnd() * 65536), p(0));
    if (rnd() < 0.5) o.pop(rnd() < 0.5);
    assert.ok(o.waiting >= 0 && o.waiting <= 16);
  }
});

test("a cache has the newest packets, for as long as they are worth it", () => {
  const c = new Cache(8, 16);
  for (let i = 0; i < 20; i++) c.put((65530 + i) & 0xffff, new Uint8Array([i, 1]), 2, i);
  assert.equal(c.get(65530, 100, 20), null);
  assert.deepEqual([.../** @type {Uint8Array} */ (c.get(13, 100, 20))], [19, 1]);
  assert.equal(c.get(13, 5, 30), null);
  c.put(14, new Uint8Array(20), 20, 21);
  assert.equal(c.get(14, 100, 21), null, "too large to keep");
});
