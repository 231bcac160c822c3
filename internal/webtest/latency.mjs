// How late the other hears and sees: two pages in a call, with sound and picture
// whose times are known. `make bench-web`.
//
// Mouth to ear: from the moment in which a beep is in the captured stream to that in
// which it leaves the playout worklet; both are read in AudioWorkletProcessor.process,
// so they come in steps of the browser's own block (10 ms). What the browser says of
// its loudspeaker (AudioContext.outputLatency) is added.
// Captured to drawn: from a VideoFrame's being put into the camera's track to its being
// found in the other page's canvas, which is looked at every 2 ms.
import { readdirSync, readFileSync } from "node:fs";
import { launch } from "./lib/browser.js";
import { Person, sleep } from "./lib/people.js";
import { Stage } from "./lib/stage.js";

const seconds = Number(process.env.SECONDS_OF_CALL ?? 20);
const width = Number(process.env.WIDTH ?? 320);
const height = (width * 3) / 4;
const rate = Number(process.env.RATE ?? 15);

const quantile = (/** @type {number[]} */ x, /** @type {number} */ q) => x.toSorted((a, b) => a - b)[Math.min(x.length - 1, Math.floor(q * x.length))];

/** Runs in a page: its microphone beeps twice a second, its camera's frames are numbered. */
async function perform(/** @type {{width: number, height: number, rate: number}} */ { width, height, rate }) {
  const g = /** @type {any} */ (globalThis);
  g.mouth = [];
  g.shown = [];
  const ctx = new AudioContext({ sampleRate: 48000 });
  await ctx.audioWorklet.addModule("/pages/onset-worklet.js");
  const tone = new OscillatorNode(ctx, { frequency: 700 });
  const gain = new GainNode(ctx, { gain: 0 });
  const out = new MediaStreamAudioDestinationNode(ctx, { channelCount: 1 });
  const onset = new AudioWorkletNode(ctx, "onset", { numberOfOutputs: 0 });
  onset.port.onmessage = (e) => g.mouth.push(e.data);
  tone.connect(gain);
  gain.connect(out);
  gain.connect(onset);
  tone.start();
  let next = ctx.currentTime + 0.5;
  setInterval(() => {
    while (next < ctx.currentTime + 1) {
      // Not at the same place of a frame each time.
      gain.gain.setValueAtTime(0.4, next);
      gain.gain.setValueAtTime(0, next + 0.12);
      next += 0.5 + Math.random() * 0.02;
    }
  }, 200);
  await g.bare.client.setMicrophone({ track: out.stream.getAudioTracks()[0] });

  const camera = new g.MediaStreamTrackGenerator({ kind: "video" });
  const writer = camera.writable.getWriter();
  const canvas = new OffscreenCanvas(width, height);
  const c = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
  let n = 0;
  setInterval(() => {
    n = (n + 1) & 0xfff;
    c.fillStyle = "#456";
    c.fillRect(0, 0, width, height);
    for (let i = 0; i < 12; i++) {
      c.fillStyle = (n >> i) & 1 ? "white" : "black";
      c.fillRect((width / 12) * i, 0, width / 12, height / 4);
    }
    c.fillStyle = "orange"; // something moves
    c.fillRect((n * 5) % width, height / 2, 30, 40);
    g.shown[n] = performance.timeOrigin + performance.now();
    writer.write(new VideoFrame(canvas, { timestamp: Math.round(performance.now() * 1000) }));
  }, 1000 / rate);
  await g.bare.client.setCamera({ track: camera });
}

/** Runs in a page: notes when it hears beeps, and when it sees frames. */
async function watch(/** @type {string} */ user) {
  const g = /** @type {any} */ (globalThis);
  g.ear ??= [];
  g.seen = [];
  g.ear.length = 0;
  const small = new OffscreenCanvas(12, 4);
  const eye = /** @type {OffscreenCanvasRenderingContext2D} */ (small.getContext("2d", { willReadFrequently: true }));
  let last = -1;
  setInterval(() => {
    const e = /** @type {HTMLCanvasElement | null} */ (document.querySelector(`[data-user="${user}"] canvas`));
    if (!e || e.width < 12) return;
    eye.drawImage(e, 0, 0, 12, 4);
    const p = eye.getImageData(0, 0, 12, 1).data;
    let n = 0;
    for (let i = 0; i < 12; i++) if (p[4 * i + 1] > 128) n |= 1 << i;
    if (n !== last) g.seen.push([n, performance.timeOrigin + performance.now()]);
    last = n;
  }, 2);
}

/** CPU time of a process and its children, in seconds. @param {number} pid */
function cpu(pid) {
  let sum = 0;
  const all = readdirSync("/proc").filter((p) => /^\d+$/.test(p)).flatMap((p) => {
    try {
      const s = readFileSync(`/proc/${p}/stat`, "utf8");
      const f = s.slice(s.lastIndexOf(")") + 2).split(" ");
      return [{ pid: Number(p), parent: Number(f[1]), time: (Number(f[11]) + Number(f[12])) / 100 }];
    } catch {
      return [];
    }
  });
  const family = new Set([pid]);
  for (let grown = true; grown; ) {
    grown = false;
    for (const p of all) if (family.has(p.parent) && !family.has(p.pid)) grown = Boolean(family.add(p.pid));
  }
  for (const p of all) if (family.has(p.pid)) sum += p.time;
  return sum;
}

const tap = `
  const connect0 = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...rest) {
    const out = connect0.call(this, to, ...rest);
    if (this instanceof AudioWorkletNode && to === this.context.destination) {
      globalThis.ears = this.context;
      this.context.audioWorklet.addModule("/pages/onset-worklet.js").then(() => {
        const onset = new AudioWorkletNode(this.context, "onset", { numberOfOutputs: 0 });
        onset.port.onmessage = (e) => globalThis.ear?.push(e.data);
        connect0.call(this, onset);
      });
    }
    return out;
  };`;

const stage = await Stage.start();
const browser = await launch();
try {
  const people = [];
  for (const user of ["alice", "bob"]) people.push(await Person.open({ stage, browser, user, script: tap }));
  const [alice, bob] = people;
  for (const p of people) await p.page.evaluate(perform, { width, height, rate });
  await alice.do("call", "bob", 2);
  await bob.waitFor("onInvited alice");
  await bob.do("accept");
  await sleep(4000);
  const before = cpu(process.pid);
  const began = Date.now();
  await sleep(500 * seconds);
  const spent = (cpu(process.pid) - before) / ((Date.now() - began) / 1000);
  // Looking at the canvas costs more than the call: not while processor time is taken.
  for (const [p, other] of [[alice, "bob"], [bob, "alice"]]) await /** @type {Person} */ (p).page.evaluate(watch, /** @type {string} */ (other));
  await sleep(1000);
  const from = Date.now();
  await sleep(1000 * seconds);

  const got = await Promise.all(people.map((p) => p.page.evaluate(() => {
    const g = /** @type {any} */ (globalThis);
    return { mouth: g.mouth, ear: g.ear, shown: g.shown, seen: g.seen, output: 1000 * g.ears.outputLatency };
  })));
  const stats = await Promise.all(people.map((p) => p.page.evaluate(() => /** @type {any} */ (globalThis).bare.client.stats())));
  for (const [i, j] of [[0, 1], [1, 0]]) {
    const ears = [];
    for (const t of got[i].mouth) {
      if (t < from) continue;
      const heard = got[j].ear.find((/** @type {number} */ e) => e > t);
      if (heard && heard - t < 450) ears.push(heard - t);
    }
    const eyes = [];
    for (const [n, t] of got[j].seen) if (t > from && t > got[i].shown[n] && t - got[i].shown[n] < 2000) eyes.push(t - got[i].shown[n]);
    const f = (/** @type {number} */ v) => (v ?? NaN).toFixed(1);
    console.log(`${people[j].user} hears ${people[i].user}: ${ears.length} beeps, stream to worklet p50 ${f(quantile(ears, 0.5))} p99 ${f(quantile(ears, 0.99))} ms; with the loudspeaker's ${f(got[j].output)} ms: p50 ${f(quantile(ears, 0.5) + got[j].output)} ms`);
    console.log(`${people[j].user} sees ${people[i].user}: ${eyes.length} of ${seconds * rate} frames, captured to drawn p50 ${f(quantile(eyes, 0.5))} p95 ${f(quantile(eyes, 0.95))} ms`);
  }
  console.log(`CPU of both pages, the browser and the server: ${spent.toFixed(2)} cores`);
  if (process.env.VERBOSE) console.log(JSON.stringify(stats, null, 1));
} finally {
  await browser.close();
  await stage.stop();
}
