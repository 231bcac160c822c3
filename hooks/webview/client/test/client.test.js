import assert from "node:assert/strict";
import { test } from "node:test";

import { dialWith } from "../dial.js";
import { Area, FakeServer, page, settle, tell } from "./page.js";

const entered = (media = 1, userIDs = []) => ["entered", { callID: "c", inviter: "alice", media, userIDs }];
const bob = { callID: "c", userID: "bob" };
const track = (trackID, kind, more) => ({ trackID, callID: "c", userID: "bob", kind, flow: trackID, ssrc: trackID, payloadType: 1, ...more });

test("an answered call, in order, with the microphone published", async (t) => {
  const p = await page(t);
  await p.client.call("bob", 1);
  await tell(p, entered(), ["accepted", bob], ["userEnter", bob], ["callBegin", { callID: "c" }], ["trackAdded", track(5, "audio")], ["trackMuted", { trackID: 5, muted: true }]);
  assert.deepEqual(p.names(), ["onEnterRoom", "onAccept", "onUserEnter", "onCallBegin", "onUserAudioAvailable", "onUserAudioAvailable"]);
  assert.deepEqual(p.server.last.of("publish").map((m) => m.body.kind), ["audio"]);
  assert.deepEqual([p.client.callState().users, p.client.callState().invited, p.client.callState().audio], [["bob"], [], []]);
  assert.ok(p.worker.some((x) => x[0] === "published"));
  await tell(p, ["callEnd", { callID: "c", reason: 1, durationMS: 5 }]);
  assert.deepEqual(p.take(), [["onCallEnd", { callID: "c", groupID: "", media: 1, inviter: "alice" }, 1, 5]]);
  assert.equal(p.client.callState(), null);
  assert.ok(p.media.some((x) => x[0] === "closeMicrophone"));
});

test("reject, busy, no answer, cancel and a time-out of one's own", async (t) => {
  const p = await page(t);
  for (const [event, name] of [["rejected", "onReject"], ["lineBusy", "onLineBusy"], ["noResponse", "onNoResp"]]) {
    await tell(p, entered(), [event, bob], ["callEnd", { callID: "c", reason: 2 }]);
    assert.deepEqual(p.names(), ["onEnterRoom", name, "onCallEnd"]);
  }
  const invited = ["invited", { callID: "c", sponsor: "bob", inviter: "bob", media: 2, timeoutMS: 30000 }];
  await tell(p, invited, ["cancelled", { callID: "c" }]);
  assert.deepEqual(p.names(), ["onInvited", "onCallReceived", "onCallingCancel"]);
  await tell(p, invited, ["timedOut", { callID: "c", userIDs: [] }]);
  assert.deepEqual(p.take().at(-1), ["onCallingTimeout", []]);
  await assert.rejects(p.client.accept(), { code: -3 });
});

test("bad arguments are rejected before the server is asked", async (t) => {
  const p = await page(t);
  const { client: c } = p;
  for (const f of [
    () => c.call("a b", 1), () => c.call("bob", 3), () => c.groupCall([], 1), () => c.call("bob", 1, { timeoutMS: -1 }),
    () => c.call("bob", 1, { userData: "x".repeat(5000) }), () => c.setReceiveMode("x"), () => c.setRemoteAudioVolume("bob", 151),
    () => c.hangup(), () => c.openCamera(), () => c.startRemoteView("bob", {}), () => c.setMicMute(1), () => c.recentCalls({ limit: 0 }),
  ]) await assert.rejects(f, { name: "CallError" });
  assert.throws(() => c.enableCustomViewRoute(true), { name: "CallError" });
  assert.equal(p.server.requests, 0);
});

test("views: presented, turned off and on in the middle, dismissed", async (t) => {
  const seen = [];
  const view = { present: (s) => seen.push(["present", s.users]), dismiss: (id) => seen.push(["dismiss", id]), onUserEnter: (u) => seen.push(["enter", u]) };
  const p = await page(t, { config: { view } });
  await tell(p, entered(1, ["bob"]));
  p.client.enableCustomViewRoute(true);
  assert.equal(seen.length, 2); // not inside the function
  await settle();
  await tell(p, ["userEnter", { callID: "c", userID: "carol" }]);
  p.client.enableCustomViewRoute(false);
  await tell(p, ["callEnd", { callID: "c", reason: 1 }]);
  assert.deepEqual(seen, [["present", []], ["enter", "bob"], ["dismiss", "c"], ["present", ["bob", "carol"]], ["dismiss", "c"]]);
});

test("switching to audio ends the camera", async (t) => {
  const p = await page(t);
  await tell(p, entered(2), ["trackAdded", track(5, "video")]);
  assert.deepEqual(p.server.last.of("publish").map((m) => [m.body.kind, m.body.layers]), [["audio", undefined], ["video", 2]]);
  assert.equal(p.client.callState().cameraOn, true);
  await tell(p, ["mediaChanged", { ...bob, from: 2, media: 1 }], ["trackEnded", { trackID: 5 }]);
  assert.equal(p.client.callState().cameraOn, false);
  assert.deepEqual(p.names().slice(-2), ["onCallMediaTypeChanged", "onUserVideoAvailable"]);
  assert.equal(p.media.filter((x) => x[0] === "closeCamera").length, 1);
  await assert.rejects(p.client.openCamera(), { code: -3 });
});

test("a microphone that cannot be opened is told, and the call goes on", async (t) => {
  const p = await page(t, { fail: { openMicrophone: "denied" } });
  await tell(p, entered());
  assert.deepEqual(p.take().at(-1), ["onError", -1302, "microphone: denied"]);
  assert.equal(p.server.last.of("publish").length, 0);
});

test("unmuting tries a microphone again that could not be opened", async (t) => {
  const fail = { openMicrophone: "denied" };
  const p = await page(t, { fail });
  await tell(p, entered());
  await p.client.setMicMute(true);
  await assert.rejects(p.client.setMicMute(false), { code: -1302 });
  delete fail.openMicrophone;
  await p.client.setMicMute(true);
  await p.client.setMicMute(false);
  assert.deepEqual(p.server.last.of("publish").map((m) => m.body.muted), [false]);
});

test("whom one called is not waited for in the next room", async (t) => {
  const p = await page(t);
  await p.client.call("bob", 1);
  await tell(p, entered());
  assert.deepEqual(p.client.callState().invited, ["bob"]);
  await tell(p, ["callEnd", { callID: "c", reason: 3 }]);
  p.take();
  await tell(p, ["entered", { callID: "w", inviter: "", media: 1 }]);
  assert.deepEqual(p.client.callState().invited, []);
  assert.deepEqual(p.take(), [["onEnterRoom", 1]]);
});

test("a client that has ended stays so, whatever was on its way", async (t) => {
  const p = await page(t);
  await p.client.destroy();
  p.fromWorker({ t: "welcome", epoch: 1, welcome: { version: 1, token: "ab", windowMS: 1, received: 0, resumed: true, bundles: true } });
  assert.equal(p.client.connection, "closed");
  await assert.rejects(p.client.userInfo("bob"), { name: "CallError", code: -3 });
  assert.equal((await p.client.done).code, 0);
});

test("what the browser refuses is a CallError, too", async () => {
  const worker = () => { throw new DOMException("another origin", "SecurityError"); };
  const config = { url: "https://127.0.0.1:1/earshot", sdkAppID: 1, userID: "alice", userSig: "s" };
  await assert.rejects(dialWith(config, { worker, media: () => assert.fail(), storage: null }), { name: "CallError", message: "another origin" });
});

/** Locks of a browser. */
class Locks {
  held = new Set();
  async request(name, { signal }, f) {
    if (this.held.has(name)) await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    this.held.add(name);
    await f();
    this.held.delete(name);
  }
}

test("what was muted before the page was loaded again is muted in the next call; an ended client keeps no lock", async (t) => {
  const storage = new Area();
  const server = new FakeServer();
  const one = await page(t, { server, storage, config: { storageKey: "k" } });
  await one.client.setMicMute(true);
  const locks = new Locks();
  const two = await page(t, { server, storage: new Area(storage), config: { storageKey: "k" }, locks });
  assert.deepEqual(two.media, [["setMicMute", true]]);
  assert.equal(locks.held.size, 1);
  await two.client.destroy();
  await settle();
  assert.equal(locks.held.size, 0);
});

test("a page that is loaded again goes on with its call", async (t) => {
  const storage = new Area();
  const server = new FakeServer();
  const one = await page(t, { server, storage, config: { storageKey: "k" } });
  await tell(one, entered(1, ["bob"]), ["callBegin", { callID: "c" }], ["trackAdded", track(5, "audio")]);
  const own = JSON.parse(storage.get("k")).own;
  assert.equal(own.length, 1);
  const copy = new Area(storage);
  const presented = [];
  const two = await page(t, { server, storage: copy, config: { storageKey: "k", view: { present: (s) => presented.push(s), dismiss: () => {} } } });
  await settle();
  assert.deepEqual(server.last.received.slice(0, 1).map((m) => m.type), ["resume"]);
  assert.deepEqual(server.last.of("unpublish").map((m) => m.body.trackID), own);
  assert.equal(server.last.of("publish").length, 1);
  assert.deepEqual([presented.length, presented[0].users, presented[0].audio, presented[0].begun], [1, ["bob"], ["bob"], true]);
  assert.ok(two.worker.some((x) => x[0] === "trackAdded" && x[1].trackID === 5));
  for (const [k, user] of [["not JSON", "alice"], [copy.get("k"), "eve"], ['{"version":1}', "alice"]]) {
    const s = new FakeServer();
    await page(t, { server: s, storage: new Area([["k", k]]), config: { storageKey: "k", userID: user } });
    assert.equal(s.last.received[0].type, "signIn");
  }
});

test("listeners are a set, and one that throws stops nobody", async (t) => {
  const p = await page(t);
  const error = console.error;
  console.error = () => {};
  t.after(() => (console.error = error));
  let n = 0;
  const l = { onUserSigExpired: () => { n++; p.client.removeCallingListener(l); throw new Error("mine"); } };
  p.client.setCallingListener(l);
  p.client.setCallingListener(l);
  const after = [];
  p.client.setCallingListener({ onUserSigExpired: () => after.push(1) });
  await tell(p, ["userSigExpired", {}], ["userSigExpired", {}]);
  assert.deepEqual([n, after.length], [1, 2]);
});

test("a session that the server has lost: the call ends, in words, and it signs in again", async (t) => {
  const p = await page(t);
  await tell(p, entered(1, ["bob"]), ["callBegin", { callID: "c" }]);
  p.take();
  p.server.mood = "refuse";
  p.server.last.break();
  await new Promise((resolve) => setTimeout(resolve, 400));
  await settle();
  assert.deepEqual(p.names(), ["onWarning", "onCallEnd", "onError"]);
  await p.client.call("bob", 1);
  assert.equal(p.server.last.of("call")[0].id, 1);
});
