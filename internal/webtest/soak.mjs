// A call between two pages of ten minutes: `make soak`; MINUTES is how long. Fails
// when the memory of a page or the server grows, when the playout delay grows, or
// when sound and picture are more than 45 ms apart.
import { launch } from "./lib/browser.js";
import { pictureDelays, quantile, take, voiceDelays } from "./lib/measure.js";
import { Person, sleep } from "./lib/people.js";
import { Stage } from "./lib/stage.js";

const minutes = Number(process.env.MINUTES ?? 10);
const stage = await Stage.start();
const browser = await launch(["--js-flags=--expose-gc"]);
/** @type {string[]} */
const faults = [];
const MB = (/** @type {number} */ bytes) => (bytes / 1e6).toFixed(1).padStart(6);
const ms = (/** @type {number} */ x) => x.toFixed(0).padStart(5);
const median = (/** @type {number[]} */ list) => quantile(list, 0.5);

/** What a page's JavaScript holds, workers apart, after garbage was collected. @param {Person} p */
async function heap(p) {
  const session = await p.context.newCDPSession(p.page);
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  await session.detach();
  return usedSize;
}

/** Resident memory of the browser's renderers, in which the workers are. */
async function renderers() {
  const { readFileSync } = await import("node:fs");
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  let kB = 0;
  for (const { type, id } of processInfo) {
    if (type !== "renderer") continue;
    try {
      kB += Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/status`, "utf8"))?.[1] ?? 0);
    } catch { /* it has ended */ }
  }
  return kB * 1000;
}

try {
  const [alice, bob] = await Promise.all(["alice", "bob"].map((user) => Person.open({ stage, browser, user, probe: true })));
  await alice.do("call", "bob", 2);
  await bob.waitFor("onInvited alice");
  await bob.do("accept");
  await alice.waitFor("onFirstVideoFrame bob 320 240");
  await sleep(10_000); // the buffers settle
  await Promise.all([take(alice), take(bob)]);
  /** @type {{heap: number, renderers: number, server: number, sound: number, apart: number}[]} */
  const rows = [];
  console.log("minute  pages MB  renderers MB  server MB  sound ms  picture ms  at the ear, sound later by ms");
  for (let n = 1; n <= 2 * minutes; n++) {
    await sleep(30_000);
    const [a, b] = await Promise.all([take(alice), take(bob)]);
    const sound = median([...voiceDelays(a, b), ...voiceDelays(b, a)]), picture = median([...pictureDelays(a, b), ...pictureDelays(b, a)]);
    const row = {
      heap: (await heap(alice)) + (await heap(bob)), renderers: await renderers(), server: (await stage.ask("memory")).heap,
      sound, apart: sound + a.outputLatency - picture,
    };
    rows.push(row);
    console.log(`${(n / 2).toFixed(1).padStart(6)} ${MB(row.heap).padStart(9)} ${MB(row.renderers).padStart(13)} ${MB(row.server).padStart(10)} ${ms(sound).padStart(9)} ${ms(picture).padStart(11)} ${ms(row.apart).padStart(6)}`);
    if (!(Math.abs(row.apart) <= 45)) faults.push(`minute ${n / 2}: sound and picture are ${row.apart.toFixed(0)} ms apart`);
  }
  // The first third is for warming up; then the end is as the middle was.
  const third = Math.max(1, Math.floor(rows.length / 3));
  for (const [what, slack] of /** @type {const} */ ([["heap", 2e6], ["renderers", 16e6], ["server", 2e6], ["sound", 15]])) {
    const before = median(rows.slice(third, 2 * third).map((r) => r[what])), after = median(rows.slice(-third).map((r) => r[what]));
    if (!(after - before < slack)) faults.push(`${what} went from ${before.toFixed(0)} to ${after.toFixed(0)}`);
  }
  await Promise.all([alice.close(), bob.close()]);
} finally {
  await browser.close();
  await stage.stop();
}
for (const f of faults) console.error(f);
console.log(faults.length === 0 ? "All is level." : `${faults.length} faults.`);
process.exitCode = faults.length === 0 ? 0 : 1;
