import assert from "node:assert/strict";
import { test } from "node:test";
import { DominantSpeaker, level, Meter, volume } from "../../media/level.js";
import { Limiter } from "../../media/limiter.js";
import { Resampler } from "../../media/resample.js";
import { fullRate, share, sizesOf } from "../../media/sizes.js";
import { VoiceDetector } from "../../media/vad.js";
import { random, tone } from "./random.js";

// What mixer.Volume says.
const volumes = [[-70, 0], [-60.25, 0], [-60, 0], [-59.75, 0], [-59.5, 1], [-50, 18], [-42.25, 31], [-30, 53], [-20.75, 69], [-15, 79], [-10, 88], [-6.5, 94], [-3.25, 100], [-3, 100], [-1, 100], [0, 100]];

test("volumes are those of mixer.Volume", () => {
  for (const [dBov, want] of volumes) assert.equal(volume(dBov), want, String(dBov));
  assert.equal(volume(NaN), 0);
});

test("levels are those of mixer.Level", () => {
  const pcm = Float32Array.from({ length: 960 }, (_, i) => (((i * 7919) % 20000) - 10000) / 32767);
  assert.ok(Math.abs(level(pcm) - -15.0765799) < 1e-4);
  assert.ok(Math.abs(level(tone(48000, 0, 1000, 1)) - -3.0103) < 1e-3);
  assert.equal(level(new Float32Array(0)), -127);
  assert.equal(volume(level(tone(960, 0, 1000, 1))), 100);
});

test("a meter takes an interval's loudest frame, and the total without oneself", () => {
  const m = new Meter();
  m.add("bob", -30, false);
  m.add("bob", -20, true);
  m.add("bob", -40, false);
  m.add("al", -20, false);
  m.add("me", -5, true);
  m.add("mouse", -80, true);
  assert.deepEqual(m.take("me"), {
    volumes: [{ userID: "me", volume: 96, voice: true }, { userID: "al", volume: 70, voice: false }, { userID: "bob", volume: 70, voice: true }],
    total: volume(-20 + 10 * Math.log10(2)),
  });
  assert.deepEqual(m.take("me"), { volumes: [], total: 0 });
});

test("the floor is kept through a word of somebody else's", () => {
  const d = new DominantSpeaker();
  const say = (/** @type {string} */ userID, volume = 70) => [{ userID, volume, voice: true }];
  assert.ok(d.update(300, say("a")));
  assert.equal(String(d.user), "a");
  assert.ok(!d.update(300, [...say("a", 60), ...say("b", 70)]));
  assert.ok(!d.update(300, say("a")));
  for (const want of [false, false, true]) assert.equal(d.update(300, [...say("a", 60), ...say("b", 70)]), want);
  for (let i = 0; i < 16; i++) assert.ok(!d.update(300, []));
  assert.ok(d.update(300, []));
  assert.equal(String(d.user), "");
});

test("a voice is told from noise and from clicks", () => {
  const rnd = random(3);
  const noise = (/** @type {number} */ n, /** @type {number} */ a) => Float32Array.from({ length: n }, () => a * (rnd() * 2 - 1));
  const v = new VoiceDetector();
  let heard = 0;
  for (let i = 0; i < 100; i++) heard += v.process(noise(960, 0.01)) ? 1 : 0;
  assert.equal(heard, 0, "steady noise");
  for (let i = 0; i < 40; i++) { // keys
    const x = noise(960, 0.01);
    if (i % 8 === 0) for (let k = 0; k < 200; k++) x[k] += 0.3 * (rnd() * 2 - 1);
    heard += v.process(x) ? 1 : 0;
  }
  assert.ok(heard <= 2, `${heard} frames of typing`);
  heard = 0;
  for (let i = 0; i < 20; i++) { // a glottal pulse of 120 Hz under noise
    const x = noise(960, 0.01);
    for (let k = 0; k < 960; k++) {
      const p = (i * 960 + k) % 400;
      x[k] += 0.25 * Math.exp(-p / 60) * Math.cos(p / 9);
    }
    heard += v.process(x) ? 1 : 0;
  }
  assert.ok(heard >= 16, `${heard} of 20 frames of a voice`);
});

test("a limiter leaves what is not too loud, and clips nothing", () => {
  const l = new Limiter();
  const quiet = tone(128, 0, 500, 0.5);
  const left = quiet.slice();
  l.process(left, quiet.slice());
  assert.deepEqual(left, quiet);
  let peak = 0;
  let clipped = 0;
  for (let i = 0; i < 375; i++) {
    const x = tone(128, 128 * i, 500, 2.1);
    l.process(x, x.slice());
    for (const v of x) {
      peak = Math.max(peak, Math.abs(v));
      if (Math.abs(v) >= 1) clipped++;
    }
  }
  assert.ok(peak <= 1 && peak > 0.9 && clipped === 0, `${peak}, ${clipped} clipped`);
  for (let i = 0; i < 200; i++) l.process(new Float32Array(128), new Float32Array(128));
  const again = quiet.slice();
  l.process(again, quiet.slice());
  assert.deepEqual(again, quiet);
});

test("another rate becomes 48 kHz with the same tone", () => {
  for (const rate of [16000, 44100, 96000]) {
    const r = new Resampler(rate);
    const into = new Float32Array(4096);
    let n = 0;
    let crossings = 0;
    let last = 0;
    let sum = 0;
    for (let i = 0; i < 100; i++) {
      const chunk = rate / 100;
      const pcm = Float32Array.from({ length: chunk }, (_, k) => 0.5 * Math.sin((2 * Math.PI * 440 * (i * chunk + k)) / rate));
      const made = r.process(pcm, chunk, into);
      for (let k = 0; k < made; k++) {
        if (into[k] < -0.1) last = -1;
        if (last < 0 && into[k] > 0.1) {
          crossings++;
          last = 1;
        }
        sum += into[k] * into[k];
      }
      n += made;
    }
    assert.ok(Math.abs(n - 48000) < 100, `${rate}: ${n} samples`);
    assert.ok(Math.abs(crossings - 440) <= 2, `${rate}: ${crossings} Hz`);
    assert.ok(Math.abs(Math.sqrt(sum / n) - 0.3536) < 0.01, `${rate}: ${Math.sqrt(sum / n)}`);
  }
});

test("a bit rate is shared so that the smallest size always goes", () => {
  assert.deepEqual([320, 640, 1280].map(sizesOf), [1, 2, 3]);
  assert.equal(fullRate(320, 240, 15), 250_000);
  const full = [100, 300, 900];
  assert.deepEqual(share(50, full, [0, 0, 0]), [50, 0, 0]);
  assert.deepEqual(share(240, full, [0, 0, 0]), [100, 0, 0]);
  assert.deepEqual(share(240, full, [100, 200, 0]), [100, 140, 0], "it does not go on and off");
  assert.deepEqual(share(2000, full, [0, 0, 0]), full);
});
