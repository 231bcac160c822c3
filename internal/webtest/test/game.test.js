// examples/game-server: the page of a small game, with positional voice.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { launch } from "../lib/browser.js";
import { Person, until } from "../lib/people.js";

/** Listens on both sides of what is played. */
const ears = `{
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...rest) {
    const out = connect.call(this, to, ...rest);
    if (to === this.context.destination && this instanceof AudioWorkletNode) {
      const sides = new ChannelSplitterNode(this.context, { numberOfOutputs: 2 });
      connect.call(this, sides);
      globalThis.sides = [0, 1].map((side) => {
        const ear = new AnalyserNode(this.context, { fftSize: 8192 });
        connect.call(sides, ear, side);
        return ear;
      });
    }
    return out;
  };
}`;

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

/** How loud the left and the right are, the RMS of 170 ms. @param {Person} p @returns {Promise<[number, number]>} */
const hear = (p) => p.page.evaluate(() => /** @type {any} */ (globalThis).sides?.map((/** @type {AnalyserNode} */ ear) => {
  const x = new Float32Array(ear.fftSize);
  ear.getFloatTimeDomainData(x);
  return Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length);
}) ?? [0, 0]);

/** The loudest of a second and a half. @param {Person} p */
async function listen(p) {
  let loudest = [0, 0];
  for (let i = 0; i < 10; i++, await p.page.waitForTimeout(150)) {
    const now = await hear(p);
    if (now[0] + now[1] > loudest[0] + loudest[1]) loudest = now;
  }
  return loudest;
}

/** What the page knows of the world. @param {Person} p @returns {Promise<Record<string, {x: number, y: number}>>} */
const spots = (p) => p.page.evaluate(() => Object.fromEntries([.../** @type {any} */ (globalThis).map.shown].map(([name, s]) => [name, { x: s.toX, y: s.toY }])));

/** Walks to a place, in metres, by pointing there. @param {Person} p @param {number} x @param {number} y */
async function walk(p, x, y) {
  const to = await p.page.evaluate(([x, y]) => {
    const { map } = /** @type {any} */ (globalThis);
    return { x: map.left + x * map.scale, y: map.top + y * map.scale };
  }, [x, y]);
  await p.page.locator("#map").click({ position: to });
  await until(async () => {
    const me = (await spots(p)).alice;
    return Math.hypot(me.x - x, me.y - y) < 0.2;
  }, `alice to come to ${x}, ${y}`);
}

test("walk to a bot, hear it from its side, and walk away", { timeout: 120_000 }, async () => {
  const path = process.env.EARSHOT_GAME;
  assert.ok(path, "EARSHOT_GAME is not set: run `make test-web`");
  // One bot, which talks and stands still.
  const program = spawn(path, ["-addr", "127.0.0.1:0", "-web", "localhost:0", "-bots", "1", "-speed", "0", "-side", "40", "-range", "9"], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    let said = "";
    createInterface({ input: program.stdout }).on("line", (line) => { said += line + "\n"; });
    const address = await until(() => /Walk in at (\S+)/.exec(said)?.[1], "the game's page");
    const open = (/** @type {string} */ user, options = {}) => Person.at(address, { browser, user, script: ears, ...options });
    const alice = await open("alice");
    await alice.page.getByLabel("Your name").fill("alice");
    await alice.click("Walk in");
    await alice.reads("You are alice.");
    await until(() => alice.page.evaluate(() => "voice" in globalThis), "voice");
    const { alice: start, bot0: bot } = await until(async () => { const s = await spots(alice); return s.alice && s.bot0 && s; }, "the world");
    assert.ok(Math.hypot(start.x - bot.x, start.y - bot.y) > 9, "the bot is out of hearing at first");
    assert.ok(Math.max(...await hear(alice)) < 1e-4);

    // At its left, then at its right, and farther off.
    const side = bot.x > 20 ? -1 : 1; // of the bot where there is room
    await walk(alice, bot.x + 2 * side, bot.y);
    await alice.page.locator("#heard li", { hasText: /^bot0 ?2 m, (left|right)$/ }).waitFor();
    const near = await listen(alice);
    const [toward, away] = side < 0 ? [1, 0] : [0, 1];
    assert.ok(near[toward] > 0.02 && near[away] < 0.02 * near[toward], `two metres off, on one side: ${near}`);
    await walk(alice, bot.x + 7 * side, bot.y);
    const far = await listen(alice);
    assert.ok(far[toward] > 1e-4 && far[toward] < near[toward] / 2, `seven metres off, quieter: ${far}, two metres off: ${near}`);

    // The keys; north of it, it is heard on both sides.
    await alice.page.keyboard.down("ArrowUp");
    await until(async () => (await spots(alice)).alice.y < bot.y - 0.5, "alice to walk north");
    await alice.page.keyboard.up("ArrowUp");
    await walk(alice, bot.x, bot.y + (bot.y > 20 ? -2 : 2));
    const middle = await listen(alice);
    assert.ok(middle[0] > 0.02 && Math.abs(middle[0] - middle[1]) < 0.05 * middle[0], `ahead or behind: ${middle}`);

    // The microphone opens with the button, and the bot hears it.
    assert.equal(await alice.page.evaluate(() => globalThis.fake.live("audio")), 0);
    await alice.click("Talk");
    await until(() => /; 1 bots hear/.test(said), () => `the bot to hear alice: ${said}`);
    const shots = process.env.EARSHOT_SHOTS;
    if (shots) {
      mkdirSync(shots, { recursive: true });
      await alice.page.screenshot({ path: join(shots, "game.png") });
    }
    await alice.click("Stop talking");

    // Away: silence, and nothing more comes.
    await walk(alice, 20, 20);
    const bytes = () => alice.page.evaluate(async () => (await /** @type {any} */ (globalThis).voice.stats()).connection.datagramsReceived);
    const before = await bytes();
    await alice.page.waitForTimeout(1000);
    assert.equal(await bytes(), before);
    assert.ok(Math.max(...await hear(alice)) < 1e-4);

    // A microphone that is refused; and a name that is taken.
    const bob = await open("bob", { deny: ["microphone"] });
    await bob.page.getByLabel("Your name").fill("alice");
    bob.options.errors = [/409/];
    await bob.click("Walk in");
    await bob.reads("Somebody of that name is here already.");
    await bob.page.getByLabel("Your name").fill("bob");
    await bob.click("Walk in");
    await bob.reads("You are bob.");
    await until(() => bob.page.evaluate(() => "voice" in globalThis), "voice");
    await until(async () => { await bob.click("Talk"); return true; }, "the button");
    await bob.reads("The browser may not use your microphone.");
    await alice.page.reload();
    await alice.reads("You are alice.");
    await Promise.all([alice.close(), bob.close()]);
  } finally {
    program.kill("SIGINT");
    await once(program, "exit");
  }
});
