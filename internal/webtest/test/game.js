// examples/game-server: the page of a small game, with positional voice.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { Person, sleep, until } from "../lib/people.js";
import { browser } from "../lib/scene.js";

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

/** How loud the left and the right are, the RMS of 170 ms. @param {Person} p @returns {Promise<[number, number]>} */
const hear = (p) => p.page.evaluate(() => /** @type {any} */ (globalThis).sides?.map((/** @type {AnalyserNode} */ ear) => {
  const x = new Float32Array(ear.fftSize);
  ear.getFloatTimeDomainData(x);
  return Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length);
}) ?? [0, 0]);

/**
 * The loudest of what is said from half a second on, for a second or more, until
 * something is.
 * @param {Person} p
 * @param {number} least of the louder side
 */
async function listen(p, least) {
  let loudest = [0, 0];
  await sleep(500); // what is on its way, and what the analysers have, is of before
  let n = 0;
  await until(async () => {
    const now = await hear(p);
    if (now[0] + now[1] > loudest[0] + loudest[1]) loudest = now;
    return ++n >= 16 && Math.max(...loudest) > least;
  }, () => `${p.user} to hear more than ${least}, at most there was ${loudest}`);
  return loudest;
}

/** Hears nothing. @param {Person} p */
const silent = (p) => until(async () => Math.max(...await hear(p)) < 1e-4, `${p.user} to hear nothing`);

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
    return Math.hypot(me.x - x, me.y - y) < 0.1;
  }, `alice to come to ${x}, ${y}`);
}

/** Walks in. @param {Person} p @param {string} name */
async function enter(p, name) {
  await p.page.getByLabel("Your name").fill(name);
  await p.click("Walk in");
  await p.reads(`You are ${name}.`);
  await until(() => p.page.evaluate(() => "voice" in globalThis), "voice");
}

test("walk to a bot, hear it from its side, and walk away", { timeout: 300_000 }, async () => {
  const path = process.env.EARSHOT_GAME;
  assert.ok(path, "EARSHOT_GAME is not set: run `make test-web`");
  // One bot, which talks and stands still, in the north-west.
  const program = spawn(path, ["-addr", "127.0.0.1:0", "-web", "localhost:0", "-bots", "1", "-speed", "0", "-side", "16", "-range", "5"], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    let said = "";
    createInterface({ input: program.stdout }).on("line", (line) => { said += line + "\n"; });
    const address = await until(() => /Walk in at (\S+)/.exec(said)?.[1], "the game's page");
    const open = (/** @type {string} */ user, options = {}) => Person.at(address, { browser, user, script: ears, ...options });
    const [alice, bob] = await Promise.all([open("alice", { errors: [/WebTransport|Failed to establish|ERR_FAILED/] }), open("bob", { deny: ["microphone"], errors: [/409/] })]);
    await enter(alice, "alice");
    const { alice: start, bot0: bot } = await until(async () => { const s = await spots(alice); return s.alice && s.bot0 && s; }, "the world");
    assert.ok(Math.hypot(start.x - bot.x, start.y - bot.y) > 5, "the bot is out of hearing at first");
    await silent(alice);
    await Promise.all([walker(alice, bot, () => said), refused(bob)]);
    await bob.close();
    await lost(alice, program);
    await away(alice);
    await alice.close();
  } finally {
    program.kill("SIGCONT");
    program.kill("SIGINT");
    await once(program, "exit");
  }
});

/** @param {Person} alice @param {{x: number, y: number}} bot @param {() => string} said by the game */
async function walker(alice, bot, said) {
  // With it at the left, near and farther off.
  await walk(alice, bot.x + 2, bot.y);
  await alice.page.locator("#heard li", { hasText: /^bot0 ?2 m, left$/ }).waitFor();
  const near = await listen(alice, 0.01);
  assert.ok(near[0] > 0.01 && near[1] < 0.02 * near[0], `two metres off, at the left: ${near}`);
  await walk(alice, bot.x + 4.8, bot.y);
  const far = await listen(alice, 1e-3);
  assert.ok(far[0] > 1e-3 && far[0] < near[0] / 2, `farther off, quieter: ${far}, two metres off: ${near}`);

  // The microphone opens with the button.
  assert.equal(await alice.page.evaluate(() => globalThis.fake.live("audio")), 0);
  await alice.click("Talk");

  // The keys; and with it ahead it is heard on both sides.
  await alice.page.keyboard.down("ArrowDown");
  await until(async () => (await spots(alice)).alice.y > bot.y + 0.5, "alice to walk south");
  await alice.page.keyboard.up("ArrowDown");
  await walk(alice, bot.x, bot.y + 2);
  const ahead = await listen(alice, 0.005);
  assert.ok(ahead[0] > 0.005 && Math.abs(ahead[0] - ahead[1]) < 0.15 * ahead[0], `ahead: ${ahead}`);
  await until(() => /; 1 bots hear/.test(said()), () => `the bot to hear alice: ${said()}`);
  const shots = process.env.EARSHOT_SHOTS;
  if (shots) {
    mkdirSync(shots, { recursive: true });
    await alice.page.screenshot({ path: join(shots, "game.png") });
  }
  await alice.click("Stop talking");

  // The key is let go in another window.
  await alice.page.keyboard.down("t");
  await alice.page.getByRole("button", { name: "Stop talking" }).waitFor();
  await alice.page.evaluate(() => void dispatchEvent(new Event("blur")));
  await alice.page.getByRole("button", { name: "Talk", exact: true }).waitFor();
  await alice.page.keyboard.up("t");
}

/** Nothing comes from the game for some seconds, and then again: the player is in it, and hears it. @param {Person} alice @param {import("node:child_process").ChildProcess} program */
async function lost(alice, program) {
  await alice.page.evaluate(() => {
    const { voice } = /** @type {any} */ (globalThis);
    voice.setCallingListener({ onCallEnd: () => { /** @type {any} */ (globalThis).out = true; } });
  });
  program.kill("SIGSTOP");
  await alice.reads("The voices are lost; trying again…");
  await alice.reads("The game does not answer; trying again…");
  await silent(alice);
  program.kill("SIGCONT");
  await alice.reads("You are alice.");
  await listen(alice, 0.005);
  assert.equal(await alice.page.evaluate(() => "out" in globalThis), false, "she was never out of the world");
}

/** Away from the bot: silence, and nothing more comes; and the page is loaded again. @param {Person} alice */
async function away(alice) {
  await walk(alice, 8, 8);
  const datagrams = () => alice.page.evaluate(async () => (await /** @type {any} */ (globalThis).voice.stats()).connection.datagramsReceived);
  await until(async () => { // those on their way have come
    const before = await datagrams();
    await sleep(700);
    return (await datagrams()) === before;
  }, "the datagrams to stop");
  await silent(alice);

  // The page is loaded again, and is not let to the voices at first.
  await alice.page.route("**/call/connection", (r) => r.abort(), { times: 1 });
  await alice.readsOn("There are no voices: ", () => alice.page.reload());
  await alice.reads("You are alice.");
}

/** A name that is taken, and a microphone that is refused. @param {Person} bob */
async function refused(bob) {
  await bob.page.getByLabel("Your name").fill("alice");
  await bob.click("Walk in");
  await bob.reads("Somebody of that name is here already.");
  await enter(bob, "bob");
  await bob.click("Talk");
  await bob.reads("The browser may not use your microphone.");
}
