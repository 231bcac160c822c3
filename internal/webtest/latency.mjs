// How late sound and picture are from page to page on this machine, and what two
// pages and the server cost: `make bench-web`. SECONDS is how long, by default 30.
//
// Sound: from the onset of a burst in the captured stream, as a page reads it from
// its microphone's track, to the turn of the other page's audio thread in which the
// playout worklet gives it out. In it are the filling of a frame, encoding, both
// ways to the server, the jitter buffer and decoding; the devices' own latencies
// are not: what the browser says of the loudspeaker's is printed beside.
// Picture: from handing a canvas to the browser's capture ("captured"), and from
// the call of the encoder, to the end of drawing it on the other page's canvas.
// The screen's own latency is not in it. Reading the pictures' numbers costs CPU,
// which is in the figures.
import { launch } from "./lib/browser.js";
import { cpuSeconds, pictureDelays, quantile, take, voiceDelays } from "./lib/measure.js";
import { Person, sleep } from "./lib/people.js";
import { Stage } from "./lib/stage.js";

const seconds = Number(process.env.SECONDS ?? 30);
const stage = await Stage.start();
const server = stage.program.pid ?? 0;
const browser = await launch();
const ms = (/** @type {number} */ x) => x.toFixed(1).padStart(7);

/** @param {number} media @param {boolean} probe */
async function call(media, probe) {
  const options = { stage, browser, probe };
  const [alice, bob] = await Promise.all(["alice", "bob"].map((user) => Person.open({ ...options, user })));
  await alice.do("call", "bob", media);
  await bob.waitFor("onInvited alice");
  await bob.do("accept");
  await alice.waitFor(media === 2 ? "onFirstVideoFrame bob 320 240" : "onUserAudioAvailable bob true");
  await sleep(5000); // the buffers settle
  return [alice, bob];
}

try {
  {
    const [alice, bob] = await call(2, true);
    await Promise.all([take(alice), take(bob)]);
    await sleep(seconds * 1000);
    const [a, b] = await Promise.all([take(alice), take(bob)]);
    console.log(`${seconds} s, 320x240 at 15 frames a second, both ways; in ms    p50     p95     p99  number`);
    const row = (/** @type {string} */ name, /** @type {number[]} */ list) =>
      console.log(`${name.padEnd(52)}${ms(quantile(list, 0.5))} ${ms(quantile(list, 0.95))} ${ms(quantile(list, 0.99))} ${String(list.length).padStart(7)}`);
    row("sound, captured to played, alice to bob", voiceDelays(a, b));
    row("sound, captured to played, bob to alice", voiceDelays(b, a));
    row("picture, captured to drawn, alice to bob", pictureDelays(a, b));
    row("picture, captured to drawn, bob to alice", pictureDelays(b, a));
    row("picture, encoder to drawn, alice to bob", pictureDelays(a, b, "encoded"));
    row("picture, encoder to drawn, bob to alice", pictureDelays(b, a, "encoded"));
    const { media } = await alice.do("stats");
    console.log(`the loudspeaker's latency, as the browser says: ${ms(a.outputLatency)}; the library's view of the delay: ${ms(media.audio[0].delayMS)}, ` +
      `jitter ${ms(media.audio[0].jitterMS)}, concealed ${media.audio[0].concealed}, pictures held for the sound ${ms(media.video[0].heldMS)}`);
    await Promise.all([alice.close(), bob.close()]);
  }
  {
    const [alice, bob] = await call(2, false);
    const of = (/** @type {number} */ pid) => cpuSeconds(pid);
    const browserID = await browserProcess();
    const before = [of(browserID), of(server)], at = Date.now();
    await sleep(Math.min(seconds, 20) * 1000);
    const took = (Date.now() - at) / 1000;
    console.log(`CPU without probes: both pages ${((of(browserID) - before[0]) / took).toFixed(2)} cores, server ${((of(server) - before[1]) / took).toFixed(2)}`);
    await Promise.all([alice.close(), bob.close()]);
  }
} finally {
  await browser.close();
  await stage.stop();
}

async function browserProcess() {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  return processInfo.find((p) => p.type === "browser")?.id ?? 0;
}
