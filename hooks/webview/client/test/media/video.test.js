import assert from "node:assert/strict";
import { test } from "node:test";
import { readRTCP } from "../../media/rtcp.js";
import { readRTP, RTPHeader, writeRTP } from "../../media/rtp.js";
import { VideoReceiver } from "../../media/video-receive.js";
import { VideoSender } from "../../media/video-send.js";
import { writeDescriptor } from "../../media/vp8.js";
import { install } from "./codecs.js";
import { random } from "./random.js";

const track = { trackID: 6, userID: "al", kind: "video", flow: 3, ssrc: 900, payloadType: 96 };

/** @param {number[]} [ssrcs] */
function sender(ssrcs) {
  const codecs = install();
  /** @type {Uint8Array[]} */
  const sent = [];
  /** @type {number[]} */
  const targets = [];
  let backlog = 0;
  const s = new VideoSender({
    send: (_, b, n) => sent.push(b.slice(0, n)),
    flush: () => {},
    backlog: () => backlog,
    target: (bps) => targets.push(bps),
    failed: () => {},
  });
  s.publish(track, ssrcs ?? []);
  let t = 1000;
  const film = (/** @type {number} */ frames, width = 640, height = 360) => {
    for (let i = 0; i < frames; i++, t += 66) {
      s.input(/** @type {any} */ ({ displayWidth: width, displayHeight: height, timestamp: t * 1000, close() {} }), t);
    }
  };
  return { s, sent, targets, film, codecs, stuck: (/** @type {number} */ n) => (backlog = n), now: () => t };
}

/** @param {Uint8Array[]} packets */
function headers(packets) {
  return packets.map((b) => {
    const h = new RTPHeader();
    assert.ok(readRTP(h, b) && b.length <= 1150);
    return h;
  });
}

test("sizes have the same times, and key frames together", () => {
  const { s, sent, film, codecs } = sender([900, 901]);
  film(3);
  s.keyFrame(901);
  film(12);
  assert.deepEqual(codecs.FakeVideoEncoder.made.map((e) => [e.config.width, e.config.height]), [[320, 180], [640, 360]]);
  const h = headers(sent);
  const times = (/** @type {number} */ ssrc) => [...new Set(h.filter((p) => p.ssrc === ssrc).map((p) => p.timestamp))];
  assert.deepEqual(times(900), times(901));
  assert.equal(times(900).length, 15);
  const keys = (/** @type {number} */ ssrc) => sent.filter((b, i) => h[i].ssrc === ssrc && b[12] & 0x10 && (b[18] & 1) === 0).map((b, i) => i);
  assert.equal(keys(900).length, 2);
  assert.equal(keys(901).length, 2);
  s.unpublish();
});

test("key frames are 500 ms apart, however many ask", () => {
  const { s, film } = sender();
  for (let i = 0; i < 30; i++) {
    s.keyFrame(900);
    film(1);
  }
  assert.ok(s.stats.keyFrames >= 3 && s.stats.keyFrames <= 4, `${s.stats.keyFrames} in 2 s`);
  s.keyFrame(12345);
  s.unpublish();
});

test("what gets through decides which sizes are sent", () => {
  const { s, film, targets, codecs } = sender([900, 901]);
  film(1);
  assert.deepEqual(targets, [600_000]);
  s.limit(150_000);
  film(10);
  assert.deepEqual(targets, [600_000, 150_000]);
  assert.equal(s.sizes[1].rate, 0);
  assert.equal(codecs.FakeVideoEncoder.made[0].config.bitrate, 150_000);
  const frames = s.sizes[1].frames;
  film(5);
  assert.equal(s.sizes[1].frames, frames);
  s.limit(600_000);
  assert.ok(s.wantKey, "the larger one begins with a key frame");
  s.unpublish();
});

test("frames are left out when an encoder or the line does not keep up", () => {
  const { s, film, stuck, codecs } = sender();
  film(2);
  codecs.FakeVideoEncoder.made[0].encodeQueueSize = 3;
  film(2);
  codecs.FakeVideoEncoder.made[0].encodeQueueSize = 0;
  stuck(100);
  film(2);
  stuck(0);
  codecs.FakeVideoEncoder.made[0].fail("broken");
  film(10);
  assert.equal(s.stats.skipped, 4);
  assert.equal(codecs.FakeVideoEncoder.made.length, 2);
  assert.equal(s.stats.keyFrames, 2);
  s.unpublish();
});

test("an encoder that throws is made anew, and the frame is closed", () => {
  const { s, film, codecs } = sender();
  film(2);
  codecs.FakeVideoEncoder.made[0].state = "closed"; // and its error is still to come
  let closed = 0;
  s.input(/** @type {any} */ ({ displayWidth: 640, displayHeight: 360, timestamp: 1_132_000, close: () => closed++ }), 1132);
  assert.equal(closed, 1);
  film(10);
  assert.equal(codecs.FakeVideoEncoder.made.length, 2);
  assert.equal(s.stats.keyFrames, 2);
  s.unpublish();
});

function receiver() {
  /** @type {Uint8Array[]} */
  const asked = [];
  let first = 0;
  const r = new VideoReceiver(track, {
    rtcp: (b) => asked.push(b.slice()),
    report: () => {},
    rtt: () => 20,
    sound: () => 0,
    first: () => first++,
  });
  let drawn = 0;
  const canvas = { width: 1, height: 1, getContext: () => ({ drawImage: () => drawn++ }) };
  r.show(/** @type {any} */ (canvas));
  return { r, asked, drawn: () => drawn, first: () => first };
}

test("whole frames are drawn in order; what is lost is asked for and comes again", () => {
  const { s, sent, film, now } = sender();
  film(5);
  const { r, asked, drawn, first } = receiver();
  const t = performance.now();
  sent.forEach((b, i) => i !== 4 && r.packet(b, t + i / 100));
  assert.equal(drawn(), 1);
  r.look(t + 20);
  /** @type {number[]} */
  const again = [];
  for (const b of asked) readRTCP(b, { nack: (ssrc, seq) => again.push(ssrc, seq) });
  assert.deepEqual(again, [900, headers(sent)[4].sequence]);
  const before = sent.length;
  s.again(again[0], again[1], performance.now());
  assert.deepEqual(sent[before], sent[4]);
  s.again(900, (again[1] + 1000) & 0xffff, now());
  assert.equal(sent.length, before + 1, "what is not there is not sent");
  r.packet(sent[before], t + 40);
  assert.equal(r.stats.frames, 5);
  assert.equal(drawn() + r.draws.length, 5);
  assert.equal(first(), 1);
  r.close();
  s.unpublish();
});

test("what does not come again is given up, and a key frame asked for", () => {
  const { s, sent, film } = sender();
  film(3);
  const { r, asked } = receiver();
  const t = performance.now();
  sent.forEach((b, i) => i !== 4 && r.packet(b, t + i / 100));
  r.look(t + 1000);
  let keys = 0;
  for (const b of asked) readRTCP(b, { keyFrame: () => keys++ });
  assert.equal(keys, 1);
  assert.ok(!r.keyed);
  s.keyFrame(900);
  const from = sent.length;
  film(8);
  for (const b of sent.slice(from)) r.packet(b, t + 1100);
  assert.ok(r.keyed && r.stats.dropped >= 1);
  r.close();
  s.unpublish();
});

test("a picture that claims to be huge is not decoded", () => {
  install();
  const { r, asked } = receiver();
  const b = new Uint8Array(40);
  const key = (/** @type {number} */ seq, /** @type {number} */ width, /** @type {number} */ height) => {
    const at = writeDescriptor(b, writeRTP(b, track, seq, 3000 * seq, true), true, seq, 0, 0);
    b.set([0, 0, 0, 0x9d, 1, 0x2a, width & 0xff, width >> 8, height & 0xff, height >> 8], at);
    r.packet(b.slice(), performance.now() + 1000 * seq);
  };
  key(1, 16383, 16383);
  key(2, 320, 4097);
  assert.deepEqual([r.decoder, r.keyed, asked.length], [null, false, 2]);
  key(3, 4096, 2160);
  assert.equal(/** @type {any} */ (r.decoder).got.length, 1);
  r.close();
});

test("after a mute the picture goes on with a key frame", () => {
  const { s, sent, film } = sender();
  const { r } = receiver();
  const decoded = () => /** @type {any} */ (r.decoder).got.length;
  const t = performance.now();
  let at = 0;
  const arrive = () => sent.slice(at, (at = sent.length)).forEach((b) => r.packet(b, t));
  film(3);
  arrive();
  assert.equal(decoded(), 3);
  r.muted = true;
  film(1);
  arrive();
  r.muted = false;
  film(2);
  arrive();
  assert.equal(decoded(), 3, "what refers to what was left out");
  s.keyFrame(900);
  film(8);
  arrive();
  assert.ok(decoded() > 3);
  r.close();
  s.unpublish();
});

test("any packets are taken without a fault", () => {
  const { s, sent, film } = sender();
  film(30);
  const { r } = receiver();
  const rnd = random(11);
  for (let i = 0; i < 6000; i++) {
    const b = sent[Math.floor(rnd() * sent.length)].slice(0, 13 + Math.floor(rnd() * 1150));
    for (let k = Math.floor(rnd() * 4); k > 0; k--) b[Math.floor(rnd() * Math.min(24, b.length))] = Math.floor(rnd() * 256);
    r.packet(b, i);
    assert.ok(r.order.waiting >= 0 && r.order.waiting <= 512 && r.draws.length <= 12);
  }
  r.close();
  s.unpublish();
});
