import assert from "node:assert/strict";
import { test } from "node:test";
import { AudioReceiver } from "../../media/audio-receive.js";
import { AudioSender } from "../../media/audio-send.js";
import { readRTP, RTPHeader, writeRTP } from "../../media/rtp.js";
import { install } from "./codecs.js";
import { random, tone } from "./random.js";

const track = { trackID: 5, userID: "al", kind: "audio", flow: 2, ssrc: 77, payloadType: 111, levelExtension: 1 };

function sender() {
  const codecs = install();
  /** @type {{seq: number, ts: number, marker: boolean, level: number}[]} */
  const sent = [];
  const h = new RTPHeader();
  let failed = 0;
  const s = new AudioSender({
    send: (flow, b, n) => {
      assert.ok(flow === 2 && readRTP(h, b.subarray(0, n), 1) && h.ssrc === 77);
      sent.push({ seq: h.sequence, ts: h.timestamp, marker: h.marker, level: h.levels[0] & 127 });
    },
    heard: () => {},
    failed: () => failed++,
  });
  let at = 0;
  const talk = (/** @type {number} */ frames, amplitude = 0.5) => {
    for (let i = 0; i < 2 * frames; i++, at += 10_000) s.samples(tone(480, 480 * i, 440, amplitude), 480, 48000, at, at / 1000);
  };
  return { s, sent, talk, codecs, failures: () => failed, pause: (/** @type {number} */ us) => (at += us) };
}

test("nothing is sent before a track is there, and a talk spurt begins with a marker", () => {
  const { s, sent, talk } = sender();
  talk(3);
  assert.equal(sent.length, 0);
  s.publish(track);
  talk(3);
  assert.deepEqual(sent.map((p) => p.marker), [true, false, false]);
  assert.deepEqual(sent.map((p) => (p.ts - sent[0].ts) >>> 0), [0, 960, 1920]);
  assert.equal(sent[0].level, 9);
});

test("muted sends nothing, and time goes on", () => {
  const { s, sent, talk, pause } = sender();
  s.publish(track);
  talk(2);
  s.mute(true);
  talk(5);
  s.mute(false);
  talk(1);
  pause(2_000_000); // the device was away
  talk(1);
  assert.deepEqual(sent.map((p) => [(p.ts - sent[0].ts) / 960 >>> 0, p.marker]), [[0, true], [1, false], [7, true], [108, true]]);
  assert.deepEqual(sent.map((p) => (p.seq - sent[0].seq) & 0xffff), [0, 1, 2, 3]);
});

test("a shift waits for a pause, and is made once", () => {
  const { s, sent, talk } = sender();
  s.publish(track);
  talk(2);
  s.shift = 431;
  talk(2);
  assert.equal(s.stats.shifts, 0);
  talk(1, 0);
  talk(3);
  const steps = sent.slice(1).map((p, i) => (p.ts - sent[i].ts) >>> 0);
  assert.deepEqual(steps, [960, 960, 960, 960, 960 + 431, 960]);
  assert.equal(s.stats.shifts, 1);
});

test("a narrow line takes a narrow voice; a broken encoder is replaced, but not for ever", () => {
  const { s, sent, talk, codecs, failures } = sender();
  s.publish(track);
  talk(1);
  assert.equal(codecs.FakeAudioEncoder.made[0].config.bitrate, 32000);
  s.follow(100_000);
  assert.equal(codecs.FakeAudioEncoder.made[0].config.bitrate, 16000);
  s.follow(0);
  assert.equal(codecs.FakeAudioEncoder.made[0].config.bitrate, 32000);
  codecs.FakeAudioEncoder.made[0].fail("broken");
  talk(1);
  assert.deepEqual(sent.map((p) => p.marker), [true, true]);
  for (let i = 1; i < 5; i++) {
    codecs.FakeAudioEncoder.made[i].fail("broken");
    s.samples(tone(960, 0, 440, 0.5), 960, 48000, s.expected, performance.now());
  }
  assert.equal(failures(), 1);
  assert.equal(codecs.FakeAudioEncoder.made.length, 5);
});

function receiver() {
  const codecs = install();
  /** @type {[number, number][]} */
  const played = [];
  let bad = 0;
  const r = new AudioReceiver(track, {
    play: (_, ts, pcm) => played.push([ts / 960, pcm.length === 0 ? -1 : pcm[0]]),
    array: (n) => new Float32Array(n),
    heard: () => {},
    heardSource: () => {},
    bad: () => bad++,
  });
  const packet = (/** @type {number} */ seq, ts = seq * 960, payload = [15 << 3, seq & 255, 1]) => {
    const b = new Uint8Array(20 + payload.length);
    b.set(payload, writeRTP(b, track, seq & 0xffff, ts, false, 1, 20));
    r.packet(b, seq * 20);
  };
  return { r, played, packet, codecs, bad: () => bad };
}

const round = (/** @type {[number, number][]} */ x) => x.map(([ts, v]) => [ts, Math.round(v * 10)]);

test("packets are decoded in order, whatever the order in which they come", () => {
  const { r, played, packet } = receiver();
  for (const i of [10, 12, 11, 11, 14, 13, 15]) packet(i);
  assert.deepEqual(played.filter(([, v]) => v > 0).map(([ts]) => ts), [10, 11, 12, 13, 14, 15]);
  assert.equal(r.stats.concealed, 0);
  r.close();
});

test("one that does not come is concealed when the sound runs out", () => {
  const { r, played, packet, codecs } = receiver();
  packet(10);
  packet(12);
  r.conceal(false);
  assert.deepEqual(round(played), [[10, 1], [11, 0], [12, 1]]);
  assert.deepEqual(codecs.FakeAudioDecoder.made[0].got[1], [15 << 3], "a packet of the first byte alone");
  packet(11);
  assert.deepEqual(played.at(-1), [11, -1], "too late: only the delay is told");
  assert.deepEqual([r.stats.lost, r.stats.concealed, r.stats.late], [1, 1, 1]);
  r.close();
});

test("what may never have been sent is concealed for a moment, and a talker who goes on is heard whole", () => {
  const { r, played, packet } = receiver();
  packet(10);
  for (let i = 0; i < 5; i++) r.conceal(false);
  assert.deepEqual(round(played), [[10, 1], [11, 0], [12, 0]]);
  packet(11, 200 * 960);
  packet(12, 201 * 960);
  assert.deepEqual(round(played).slice(3), [[200, 1], [201, 1]]);
  packet(13, 202 * 960, [15 << 3, 0]); // comfort noise: a pause
  r.conceal(false);
  assert.equal(r.stats.concealed, 2);
  r.close();
});

test("a gap too long to conceal, another stream, and what waits too long", () => {
  const { r, played, packet } = receiver();
  packet(10);
  packet(200);
  packet(201);
  assert.deepEqual(round(played).slice(-2).map(([ts]) => ts), [200, 201]);
  packet(40000);
  assert.equal(played.at(-1)?.[0], 40000);
  assert.ok(r.heldCount === 0);
  r.close();
});

test("a packet that breaks the decoder costs that packet", async () => {
  const { r, played, packet, codecs, bad } = receiver();
  packet(10);
  packet(11, 11 * 960, [15 << 3, 0xee, 1]);
  await null;
  packet(12);
  assert.equal(codecs.FakeAudioDecoder.made.length, 2);
  assert.equal(bad(), 1);
  packet(13, 13 * 960, [255, 255, 1]);
  assert.equal(bad(), 2, "what is no Opus does not reach it");
  assert.deepEqual(round(played).filter(([, v]) => v > 0), [[10, 1], [12, 1]]);
  r.close();
});

test("any packets are taken without a fault", async () => {
  const { r, codecs } = receiver();
  const rnd = random(8);
  for (let i = 0; i < 5000; i++) {
    const b = new Uint8Array(12 + Math.floor(rnd() * 30)).map(() => Math.floor(rnd() * 256));
    b[1] = 111;
    b.set([0, 0, 0, 77], 8);
    if (i % 2) b[0] = 0x80;
    if (i % 3) b.set([0, i & 255], 2);
    r.packet(b, i);
    if (i % 7 === 0) r.conceal(i % 2 === 0);
    if (i % 50 === 0) await null;
    assert.ok(r.heldCount >= 0 && r.heldCount < 32);
  }
  assert.ok(codecs.FakeAudioDecoder.made.length > 0);
  r.close();
});
