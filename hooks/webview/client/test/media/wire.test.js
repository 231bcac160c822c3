import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_BUNDLE, Outbox, readDatagram, StreamReader } from "../../media/wire.js";
import { readVarint, varint, varintSize, writeVarint } from "../../net/varint.js";
import { random } from "./random.js";

/** @param {Uint8Array} b */
function items(b) {
  /** @type {[number, number[]][]} */
  const out = [];
  readDatagram(b, (flow, p) => out.push([flow, [...p]]));
  return out;
}

test("varints are those of RFC 9000 appendix A.1, in any form", () => {
  for (const [hex, want] of /** @type {[string, number][]} */ ([["25", 37], ["4025", 37], ["7bbd", 15293], ["9d7f3e7d", 494878333]])) {
    const b = Uint8Array.from(Buffer.from(hex, "hex"));
    assert.ok(readVarint(b, 0));
    assert.deepEqual({ ...varint }, { value: want, next: b.length });
    assert.ok(!readVarint(b.subarray(0, b.length - 1), 0));
  }
  assert.ok(!readVarint(new Uint8Array(8).fill(0xff), 0), "above 2^53-1");
  const b = new Uint8Array(8);
  for (const v of [0, 63, 64, 16383, 16384, 2 ** 30 - 1, 2 ** 30, Number.MAX_SAFE_INTEGER]) {
    assert.equal(writeVarint(b, 0, v), varintSize(v));
    assert.ok(readVarint(b, 0));
    assert.equal(varint.value, v);
  }
});

test("packets that are sent together come as one datagram", () => {
  /** @type {Uint8Array[]} */
  const sent = [];
  const out = new Outbox((b) => sent.push(b), () => true);
  out.add(3, new Uint8Array([1, 2, 3]));
  out.flush();
  assert.deepEqual([...sent[0]], [3, 1, 2, 3], "one is no bundle");
  out.add(3, new Uint8Array([1]));
  out.add(63, new Uint8Array([2, 9, 9]), 1);
  out.add(70, new Uint8Array(1100).fill(7));
  out.add(5, new Uint8Array(60));
  out.flush();
  out.flush();
  assert.equal(sent.length, 3);
  assert.ok(sent.every((b) => b.length <= MAX_BUNDLE));
  assert.deepEqual(sent.slice(1).flatMap(items).map(([f, p]) => [f, p.length]), [[3, 1], [63, 1], [70, 1100], [5, 60]]);
  const alone = new Outbox((b) => sent.push(b), () => false);
  sent.length = 0;
  alone.add(3, new Uint8Array([1]));
  alone.add(4, new Uint8Array([2]));
  assert.deepEqual(sent.flatMap(items), [[3, [1]], [4, [2]]]);
});

test("of a malformed bundle the items before the fault count", () => {
  assert.deepEqual(items(new Uint8Array([0, 2, 5, 9, 3, 6])), [[5, [9]]]);
  assert.deepEqual(items(new Uint8Array([0, 2, 5, 9, 2, 0, 1, 2, 5, 9])), [[5, [9]]], "a bundle in a bundle");
  assert.deepEqual(items(new Uint8Array([0, 1, 5])), []);
  assert.deepEqual(items(new Uint8Array([5])), []);
  assert.deepEqual(items(new Uint8Array(0)), []);
});

test("any bytes are read without a fault", () => {
  const rnd = random(1);
  for (let i = 0; i < 20000; i++) {
    const b = new Uint8Array(Math.floor(rnd() * 40)).map(() => Math.floor(rnd() * 256));
    if (i % 2 && b.length > 0) b[0] = 0;
    for (const [flow, p] of items(b)) assert.ok(flow > 0 && p.length > 0 && p.length < b.length);
    new StreamReader(() => {}).push(b);
  }
});

test("a stream's packets come whole, however it is cut", () => {
  const stream = new Uint8Array([7, 2, 1, 2, 0x40, 3, 3, 4, 5]);
  for (let cut = 0; cut <= stream.length; cut++) {
    /** @type {number[][]} */
    const got = [];
    const r = new StreamReader((flow, p) => got.push([flow, ...p]));
    assert.ok(r.push(stream.subarray(0, cut)) && r.push(stream.subarray(cut)));
    assert.deepEqual(got, [[7, 1, 2], [7, 3, 4, 5]]);
  }
  assert.ok(!new StreamReader(() => {}).push(new Uint8Array([7, 0])), "an empty packet");
  assert.ok(!new StreamReader(() => {}).push(new Uint8Array([7, 0x80, 2, 0, 0])), "too large a packet");
  assert.ok(!new StreamReader(() => {}).push(new Uint8Array([0, 1, 1])), "flow 0");
});
