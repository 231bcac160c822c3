import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Session } from "../net/session.js";
import { encodeFrame } from "../net/framing.js";
import { FakeServer, settle } from "./fake.js";

const config = { url: "https://127.0.0.1:1/earshot", certificateHashes: [], sdkAppID: 1, userID: "alice", userSig: "s", agent: "t" };

/** A session whose clock stands still until a test moves it. */
async function session(t, { server = new FakeServer(), saved = null, refresh = null, start = true } = {}) {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_000_000 });
  t.after(() => mock.timers.reset());
  const told = [];
  const note = (name) => (...args) => void told.push([name, ...args]);
  const s = new Session(config, {
    welcome: (w, epoch) => told.push(["welcome", w.resumed, epoch]),
    event: (e, n) => told.push(["event", e.type, n]),
    lost: note("lost"), over: note("over"), ended: note("ended"), datagram: note("datagram"), stream: note("stream"),
    log: () => {}, refresh,
  }, server.open);
  t.after(() => s.close());
  if (start) {
    const p = s.start(saved);
    await settle();
    await p;
  }
  return { s, server, told, of: (name) => told.filter((x) => x[0] === name) };
}

/** Lets time pass. */
async function pass(ms, step = 250) {
  for (let at = 0; at < ms; at += step) {
    mock.timers.tick(Math.min(step, ms - at));
    await settle(20);
  }
}

const request = (id) => encodeFrame({ type: "call", id, body: {} });

test("signs in, says that the welcome came, and keeps alive", async (t) => {
  const { s, server, told } = await session(t);
  assert.deepEqual(told, [["welcome", false, 1]]);
  assert.deepEqual(server.last.received.map((m) => m.type), ["signIn", "ack"]);
  assert.deepEqual(server.last.received[0].body, { version: 1, sdkAppID: 1, userID: "alice", userSig: "s", agent: "t", bundles: true });
  await pass(6000);
  assert.ok(server.last.of("ping").length >= 3);
  assert.equal(server.connections.length, 1);
  assert.ok(s.bundles);
});

test("a refused sign-in is the server's error, an unreachable one is another", async (t) => {
  const server = new FakeServer();
  server.mood = "unreachable";
  const { s } = await session(t, { server, start: false });
  await assert.rejects(s.start(null), { name: "CallError", code: -7 });
});

test("a server that never answers does not hang the sign-in", async (t) => {
  const server = new FakeServer();
  server.mood = "silent";
  const { s } = await session(t, { server, start: false });
  const p = assert.rejects(s.start(null), { code: -3308 });
  await settle();
  await pass(11_000, 1000);
  await p;
});

test("acknowledges every 16th event that was carried out", async (t) => {
  const { s, server } = await session(t);
  for (let i = 1; i <= 40; i++) server.tell("userSigExpired", {});
  await settle();
  for (let i = 1; i <= 40; i++) s.seen(1, i);
  await settle();
  assert.deepEqual(server.last.of("ack").map((m) => m.ack), [undefined, 16, 32]);
});

test("resumes after silence: what was missed comes once, what is unanswered goes again", async (t) => {
  const { s, server, told, of } = await session(t);
  server.results = false;
  server.tell("userSigExpired", {});
  server.tell("userSigExpired", {});
  await settle();
  s.seen(1, 2);
  s.request(1, 1, request(1));
  s.request(1, 2, request(2));
  await settle();
  server.requests = 1; // the second was lost on the way
  server.mood = "silent";
  const before = server.connections.length;
  await pass(2500);
  assert.equal(of("lost").length, 0);
  server.mood = "welcome";
  const first = server.last;
  first.received.push = () => 0; // a connection that is dead stays so
  await pass(2000);
  assert.equal(of("lost").length, 1);
  assert.equal(server.connections.length, before + 1);
  const again = server.last;
  assert.deepEqual(again.received[0], { type: "resume", id: undefined, n: undefined, ack: undefined, body: { version: 1, token: "0".repeat(31) + "1", last: 2, bundles: true } });
  assert.deepEqual(again.received.slice(1, 3).map((m) => [m.type, m.ack, m.id]), [["ack", 2, undefined], ["call", undefined, 2]]);
  again.send("userSigExpired", {}, 2); // seen before
  again.send("userSigExpired", {}, 3);
  await settle();
  assert.deepEqual(of("event").map((e) => e[2]), [1, 2, 3]);
  assert.deepEqual(told.filter((x) => x[0] === "welcome").at(-1), ["welcome", true, 1]);
});

test("an attempt that is not answered is not taken for a page that is closed", async (t) => {
  const { server } = await session(t);
  server.mood = "silent";
  server.last.break();
  await settle();
  const attempt = server.last;
  assert.equal(attempt.of("resume").length, 1);
  await pass(6000, 500);
  assert.equal(attempt.closedWith.closeCode, 0x106);
});

test("asks where the server is before it dials again", async (t) => {
  let asked = 0;
  const refresh = async () => ({ url: `https://127.0.0.1:2/${++asked}`, certificateHashes: [], userSig: "new" });
  const { server, of } = await session(t, { refresh });
  server.mood = "refuse";
  server.last.break();
  await pass(2000);
  assert.deepEqual(of("over").map((x) => [x[1], x[3]]), [[-8, 9]]);
  assert.equal(server.last.address.url, "https://127.0.0.1:2/2");
  assert.equal(server.last.of("signIn")[0].body.userSig, "new");
  assert.deepEqual(of("welcome").at(-1), ["welcome", false, 2]);
});

test("after the window the session is over, and it signs in anew when it can", async (t) => {
  const { s, server, of } = await session(t);
  server.mood = "unreachable";
  server.last.break();
  await pass(14_000, 500);
  assert.equal(of("over").length, 0);
  const tries = server.connections.length;
  assert.ok(tries > 5 && tries < 20, `${tries} tries`);
  await pass(3000, 500);
  assert.deepEqual(of("over").map((x) => [x[1], x[3]]), [[-8, 4]]);
  s.request(1, 1, request(1)); // of the session that was
  server.mood = "welcome";
  await pass(12_000, 500);
  assert.deepEqual(of("welcome").at(-1), ["welcome", false, 2]);
  assert.equal(server.last.of("call").length, 0);
});

test("coming online dials at once", async (t) => {
  const { s, server, of } = await session(t);
  server.mood = "unreachable";
  server.last.break();
  await pass(5000);
  server.mood = "welcome";
  s.hasten();
  await settle();
  assert.equal(of("welcome").length, 2);
});

test("what is no message ends the connection, and the next goes on", async (t) => {
  const { server, of } = await session(t);
  const first = server.last;
  first.raw(new Uint8Array([255, 255, 255, 255]));
  await settle();
  await pass(1000);
  assert.equal(first.closedWith.closeCode, 0x102);
  assert.deepEqual(of("welcome").at(-1), ["welcome", true, 1]);
});

test("messages that are not known are counted and passed over", async (t) => {
  const { server, of } = await session(t);
  server.tell("dance", {});
  server.tell("userEnter", { callID: 5 });
  server.tell("userSigExpired", {});
  await settle();
  assert.deepEqual(of("event"), [["event", "userSigExpired", 3]]);
});

test("goodbyes and being kicked end it, a shutdown does not", async (t) => {
  for (const [send, want] of [
    [(c) => c.send("goodbye", { code: -2, message: "bad" }), ["ended", -2, "bad", false]],
    [(c) => { c.send("kicked", { code: -1, message: "elsewhere" }, 1); c.send("goodbye", { code: -1, message: "x" }); }, ["ended", -1, "elsewhere", true]],
    [(c) => c.end(0x106, "resumed"), ["ended", -8, "the session goes on in another page", false]],
    [(c) => c.send("goodbye", { code: -7, message: "shuts down" }), ["over", -7, "shuts down", 9]],
  ]) {
    const { s, server, of } = await session(t);
    send(server.last);
    await settle();
    assert.deepEqual(of(want[0]), [want]);
    s.close();
    mock.timers.reset();
  }
});

test("what was saved is resumed, or else signed in for", async (t) => {
  const saved = { token: "ab", last: 7, windowMS: 15_000 };
  const one = await session(t, { saved });
  assert.deepEqual(one.told, [["welcome", true, 1]]);
  assert.equal(one.server.last.received[0].body.last, 7);
  one.s.close();
  mock.timers.reset();
  const server = new FakeServer();
  server.mood = "refuse";
  const two = await session(t, { saved, server });
  assert.deepEqual(two.told, [["welcome", false, 2]]);
});
