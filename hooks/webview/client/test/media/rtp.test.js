import assert from "node:assert/strict";
import { test } from "node:test";
import { frameLength, isComfort, packetLength } from "../../media/opus.js";
import { readRTCP, writeNACK, writePLI } from "../../media/rtcp.js";
import { isRTCP, readRTP, RTPHeader, step16, step32, writeRTP } from "../../media/rtp.js";
import { Assembler, Descriptor, frameHeader, packetsOf, readDescriptor, writeDescriptor } from "../../media/vp8.js";
import { random } from "./random.js";

const track = { payloadType: 111, ssrc: 0xdeadbeef };

test("a header comes back as it was written", () => {
  const b = new Uint8Array(40);
  const h = new RTPHeader();
  const at = writeRTP(b, track, 65535, 0xfffffff0, true, 1, 34.4, true);
  assert.equal(at, 20);
  assert.ok(readRTP(h, b.subarray(0, at + 3), 1));
  assert.deepEqual([h.sequence, h.timestamp, h.ssrc, h.payloadType, h.marker], [65535, 0xfffffff0, 0xdeadbeef, 111, true]);
  assert.deepEqual([h.levelCount, h.levels[0], h.from, h.end], [1, 0x80 | 34, 20, 23]);
  assert.equal(writeRTP(b, track, 1, 2, false), 12);
  assert.ok(readRTP(h, b.subarray(0, 12), 1));
  assert.deepEqual([h.marker, h.levelCount, h.from, h.end], [false, 0, 12, 12]);
});

test("sources and their levels, padding, and other extensions", () => {
  const b = Uint8Array.from([
    0x80 | 0x20 | 0x10 | 2, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5,
    0xbe, 0xde, 0, 2, 0x20, 9, 0, 0x11, 0x85, 6, 0, 0, 77, 0, 2,
  ]);
  const h = new RTPHeader();
  assert.ok(readRTP(h, b, 1));
  assert.deepEqual([...h.sources.slice(0, h.sourceCount)], [4, 5]);
  assert.deepEqual([...h.levels.slice(0, h.levelCount)], [0x85, 6]);
  assert.deepEqual([h.from, h.end], [32, 33]);
  b[b.length - 1] = 0;
  assert.ok(!readRTP(h, b, 1), "no padding where it says so");
  b[b.length - 1] = 4;
  assert.ok(!readRTP(h, b, 1), "more padding than there is");
});

test("any bytes are read without a fault", () => {
  const rnd = random(2);
  const h = new RTPHeader();
  const d = new Descriptor();
  const frames = new Assembler();
  let seq = 0;
  for (let i = 0; i < 30000; i++) {
    const b = new Uint8Array(Math.floor(rnd() * 60)).map(() => Math.floor(rnd() * 256));
    if (b.length > 0 && i % 2) b[0] = 0x80 | (b[0] & 0x3f);
    if (readRTP(h, b, 1)) {
      assert.ok(h.from >= 12 && h.from <= h.end && h.end <= b.length && h.levelCount <= 16);
      const at = readDescriptor(d, b, h.from, h.end);
      assert.ok(at === -1 || (at > h.from && at < h.end));
      if (frames.push(seq++ & 0xffff, h.timestamp, h.marker, b, h.from, h.end)) assert.ok(frames.frame().length > 0);
    }
    if (b.length > 3 && i % 3 === 0) {
      b[1] = 205 + (i % 2);
      b[2] = 0;
      b[3] = Math.floor(b.length / 4) - 1;
      if (i % 4) b[0] = 0x80 | [1, 4, 11, 15][i % 4];
    }
    readRTCP(b, { keyFrame() {}, nack() {}, limit: (bps) => assert.ok(bps >= 0 && bps <= 1e9), feedback: (p) => assert.ok(p.length % 4 === 0) });
    frameHeader(b);
    assert.ok(packetLength(b) <= 5760);
  }
});

test("steps go around", () => {
  assert.equal(step16(2, 65535), 3);
  assert.equal(step16(65535, 2), -3);
  assert.equal(step32(5, 0xffffffff), 6);
});

test("RTCP: what is asked for", () => {
  /** @type {any[]} */
  const got = [];
  const to = {
    keyFrame: (/** @type {number} */ s) => got.push(["key", s]), nack: (/** @type {number} */ s, /** @type {number} */ q) => got.push([s, q]),
    limit: (/** @type {number} */ bps) => got.push(bps),
  };
  assert.ok(isRTCP(writePLI(7)));
  readRTCP(writePLI(7), to);
  readRTCP(Uint8Array.from([0x84, 206, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 3, 0, 0, 0]), to); // FIR
  readRTCP(writeNACK(9, [65534, 65535, 3, 500], 4), to);
  readRTCP(Uint8Array.from([0x8f, 206, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0x52, 0x45, 0x4d, 0x42, 1, (2 << 2) | 1, 0, 1, 0, 0, 0, 5]), to);
  assert.deepEqual(got, [["key", 7], ["key", 8], [9, 65534], [9, 65535], [9, 3], [9, 500], (65536 + 1) * 4]);
  got.length = 0;
  const both = new Uint8Array(24);
  both.set(writePLI(1));
  both.set(writePLI(2), 12);
  readRTCP(both, to);
  readRTCP(both.subarray(0, 20), to);
  assert.deepEqual(got, [["key", 1], ["key", 2], ["key", 1]]);
});

test("frames are cut and put together again; a gap drops the frame", () => {
  const frame = new Uint8Array(3000).map((_, i) => i);
  const cut = packetsOf(frame.length);
  assert.equal(cut, 3);
  /** @type {Uint8Array[]} */
  const packets = [];
  for (let i = 0; i < cut; i++) {
    const b = new Uint8Array(1006);
    assert.equal(writeDescriptor(b, 0, i === 0, 0x7abc, 200, 1), 6);
    b.set(frame.subarray(1000 * i, 1000 * i + 1000), 6);
    packets.push(b);
  }
  const d = new Descriptor();
  assert.equal(readDescriptor(d, packets[0], 0, 1006), 6);
  assert.deepEqual([d.start, d.partition, d.pictureID, d.tl0, d.tid, d.sync], [true, 0, 0x7abc, 200, 1, true]);
  const a = new Assembler();
  const push = (/** @type {number} */ seq, /** @type {number} */ i, ts = 5) => a.push(seq & 0xffff, ts, i === 2, packets[i], 0, 1006);
  assert.deepEqual([push(65535, 0), push(0, 1), push(0, 1), push(1, 2)], [false, false, false, true]);
  assert.deepEqual(a.frame(), frame);
  push(2, 0);
  assert.ok(!push(4, 2), "one is missing");
  assert.equal(a.dropped, 1);
  a.skip(5);
  assert.ok(!push(6, 0, 9) && !push(7, 1, 9) && push(8, 2, 9));
});

test("frame headers and lengths of Opus packets", () => {
  assert.deepEqual(frameHeader(Uint8Array.from([0x10, 0, 0, 0x9d, 1, 0x2a, 0x40, 0x01, 0xf0, 0x40])), { key: true, width: 320, height: 240 });
  assert.deepEqual(frameHeader(Uint8Array.from([1, 0, 0])), { key: false, width: 0, height: 0 });
  assert.equal(frameHeader(new Uint8Array(10)), null);
  assert.equal(frameLength(15 << 3), 960);
  assert.equal(packetLength(Uint8Array.from([15 << 3, 1])), 960);
  assert.equal(packetLength(Uint8Array.from([(3 << 3) | 3, 3])), 0, "180 ms");
  assert.equal(packetLength(Uint8Array.from([(16 << 3) | 1])), 240);
  assert.ok(isComfort(Uint8Array.from([15 << 3])));
});
