// What a page makes of a game's world, which to it is a call without an inviter.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code } from "../codes.js";
import { page, settle, tell } from "./page.js";

const entered = ["entered", { callID: "w", inviter: "", isFromGroup: true, media: 1 }];
const track = (n, more) => ["trackAdded", {
  trackID: n, callID: "w", userID: `bot${n}`, kind: "audio", flow: n, ssrc: n, payloadType: 111, levelExtension: 1, spaceExtension: 2, ...more,
}];

test("a page is put into a world, hears who comes and goes, and is taken out", async (t) => {
  const p = await page(t, { config: { autoMicrophone: false } });
  await tell(p, entered);
  assert.deepEqual(p.take().map((x) => x[0]), ["onEnterRoom"]);
  assert.equal(p.client.callState().inviter, "");
  await tell(p, ...Array.from({ length: 24 }, (_, i) => track(i + 1)));
  assert.equal(p.worker.filter(([name, tr]) => name === "trackAdded" && tr.spaceExtension === 2).length, 24);
  assert.equal(p.client.callState().audio.length, 24);
  // One goes, and another comes in on its flow.
  await tell(p, ["trackEnded", { trackID: 3 }], track(25, { flow: 3 }));
  assert.deepEqual(p.take().slice(-2), [["onUserAudioAvailable", "bot3", false], ["onUserAudioAvailable", "bot25", true]]);
  await assert.rejects(p.client.muteRemoteAudio("bot3", true), { code: Code.BadParam });
  await p.client.muteRemoteAudio("bot25", true);
  assert.deepEqual(p.server.last.of("subscribe").map((m) => m.body), [{ trackID: 25, on: false }]);
  await tell(p, ["callEnd", { callID: "w", reason: 9 }]);
  assert.deepEqual(p.take().map((x) => [x[0], x[2]]), [["onCallEnd", 9]]);
  assert.equal(p.client.callState(), null);
  assert.ok(p.worker.some(([name]) => name === "callEnded"));
  await tell(p, entered, track(1));
  assert.deepEqual(p.take().map((x) => x[0]), ["onEnterRoom", "onUserAudioAvailable"], "and put in again");
});

test("a page in a world is told how good the connections of those are whom it hears", async (t) => {
  const p = await page(t, { config: { autoMicrophone: false } });
  await tell(p, entered, track(1), track(2));
  p.take();
  const own = p.client.config?.userID ?? "alice";
  await tell(p, ["quality", { callID: "w", users: [{ userID: own, quality: 1 }, { userID: "bot2", quality: 3 }, { userID: "far", quality: 6 }], all: true }]);
  assert.deepEqual(p.take(), [["onNetworkQuality", { userID: own, quality: 1 }, [{ userID: "bot2", quality: 3 }]]]);
  await tell(p, ["callEnd", { callID: "w", reason: 9 }]);
});

test("no view shows a world, unless the route says so", async (t) => {
  const shown = [];
  const view = { present: (s) => void shown.push(s.callID), dismiss: () => void shown.push("dismiss") };
  const p = await page(t);
  p.client.setView(view);
  await tell(p, entered);
  p.client.setView({ ...view });
  p.client.enableCustomViewRoute(true);
  p.client.enableCustomViewRoute(false);
  assert.deepEqual(shown, []);
  p.client.setView(null);
  p.client.setView(view);
  assert.deepEqual(shown, []);
  await tell(p, ["callEnd", { callID: "w", reason: 9 }], ["entered", { callID: "c", inviter: "bob", media: 1 }]);
  assert.deepEqual(shown, ["c"], "the next call");
  const q = await page(t, { config: { view, viewRoute: (state, standard) => standard } });
  shown.length = 0;
  await tell(q, entered);
  assert.deepEqual(shown, ["w"]);
});

test("the microphone waits for the first setMicMute(false)", async (t) => {
  const p = await page(t, { config: { autoMicrophone: false } });
  await tell(p, entered);
  const names = () => p.media.splice(0).map(([name]) => name).filter((n) => /Mic|Speaker/.test(n));
  assert.deepEqual(names(), ["openSpeaker"]);
  assert.equal(p.client.callState().micMuted, true);
  await p.client.setMicMute(false);
  assert.deepEqual(names(), ["setMicMute", "openMicrophone"]);
  assert.deepEqual(p.server.last.of("publish").map((m) => m.body), [{ callID: "w", kind: "audio", muted: false }]);
  await p.client.setMicMute(true);
  await p.client.setMicMute(false);
  assert.equal(p.server.last.of("publish").length, 1);
  assert.equal(p.server.last.of("mute").length, 2);
});

test("a microphone that is refused is muted again, and may be asked for again", async (t) => {
  const fail = { openMicrophone: "Permission denied" };
  const p = await page(t, { config: { autoMicrophone: false }, fail });
  await tell(p, entered);
  await assert.rejects(p.client.setMicMute(false), { code: Code.MicStart });
  assert.equal(p.client.callState().micMuted, true);
  assert.equal(p.server.last.of("publish").length, 0);
  p.emit({ type: "device", kind: "microphone", problem: "denied" });
  p.emit({ type: "device", kind: "microphone", problem: "" });
  await settle();
  assert.equal(p.media.filter(([name]) => name === "openMicrophone").length, 1, "nobody wants it now");
  delete fail.openMicrophone;
  await p.client.setMicMute(false);
  assert.equal(p.server.last.of("publish").length, 1);
});

test("a page that is loaded again in a world goes on with it", async (t) => {
  const p = await page(t, { config: { storageKey: "k" } });
  await tell(p, entered, track(1), track(2));
  const again = await page(t, { config: { storageKey: "k" }, server: p.server, storage: p.storage });
  assert.ok(p.server.last.of("resume").length === 1);
  assert.deepEqual(again.client.callState().audio, ["bot1", "bot2"]);
  assert.equal(again.worker.filter(([name, tr]) => name === "trackAdded" && tr.spaceExtension === 2).length, 2);
  await tell(again, ["callEnd", { callID: "w", reason: 9 }]);
  assert.equal(again.client.callState(), null);
});
