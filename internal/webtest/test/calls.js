// Calls between pages with the library alone, and with users in Go.
import assert from "node:assert/strict";
import { inOrder, oneAfterAnother, scene, stage } from "../lib/scene.js";
import { screenColour, sleep, until } from "../lib/people.js";

scene("two pages see and hear each other, and all that can be done in a call", async (s) => {
  const [alice, bob] = await Promise.all([s.page("alice"), s.page("bob")]);
  await alice.do("call", "bob", 2);
  await bob.waitFor("onInvited alice");
  await bob.do("accept");
  await Promise.all([alice.hears("bob"), bob.hears("alice"), alice.sees("bob"), bob.sees("alice")]);
  const picture = await alice.sees("bob");
  assert.deepEqual([picture.width, picture.height], [320, 240]);
  await inOrder(alice, ["onEnterRoom 0", "onAccept bob", "onUserEnter bob", "onCallBegin"]);
  await inOrder(bob, ["onInvited alice", "onCallReceived alice", "onEnterRoom 0", "onUserEnter alice", "onCallBegin"]);
  for (const [p, other] of /** @type {const} */ ([[alice, "bob"], [bob, "alice"]])) {
    await oneAfterAnother(p, `onUserEnter ${other}`, `onUserVideoAvailable ${other} true`, `onFirstVideoFrame ${other} 320 240`);
    await oneAfterAnother(p, `onUserEnter ${other}`, `onUserAudioAvailable ${other} true`);
  }
  /** @type {any} */
  let volumes;
  await until(async () => {
    volumes = await alice.page.evaluate(() => {
      const [list, total] = globalThis.bare.last.onUserVoiceVolume ?? [[], 0];
      return { users: list.map((/** @type {any} */ v) => v.userID).sort().join(), total };
    });
    return volumes.users === "alice,bob" && volumes.total > 50 && volumes.total < 90;
  }, () => `the volumes of both: a sine of -18 dBov has one of 74, there is ${JSON.stringify(volumes)}`);

  // Mute.
  await alice.do("setMicMute", true);
  await bob.waitFor("onUserAudioAvailable alice false");
  await bob.hears();
  await alice.hears("bob");
  await alice.do("setMicMute", false);
  await bob.hears("alice");
  await bob.do("muteRemoteAudio", "alice", true);
  await bob.hears();
  await bob.do("muteRemoteAudio", "alice", false);
  await bob.hears("alice");
  await bob.do("setSpeakerMute", true);
  await bob.hears();
  await bob.do("setSpeakerMute", false);
  await bob.hears("alice");

  // Camera.
  await alice.do("closeCamera");
  await bob.waitFor("onUserVideoAvailable alice false");
  await bob.seesNothingOf("alice");
  await until(() => alice.page.evaluate(() => globalThis.fake.live("video") === 0), "the camera to be let go");
  await alice.sees("bob");
  await alice.do("openCamera");
  await bob.sees("alice");

  // Screen: the one picture is another, and then the camera's again.
  await alice.do("startScreenShare");
  const screen = await bob.sees("alice", screenColour);
  assert.ok(Math.abs(screen.width / screen.height - 480 / 270) < 0.05, `the screen's shape, ${screen.width}x${screen.height}`);
  await alice.do("stopScreenShare");
  await bob.sees("alice");

  // To voice and back.
  await bob.do("switchMedia", 1);
  await Promise.all([alice, bob].map((p) => p.waitFor("onCallMediaTypeChanged 2 1")));
  await alice.seesNothingOf("bob");
  await alice.hears("bob");
  await alice.do("switchMedia", 2);
  await Promise.all([alice, bob].map((p) => p.waitFor("onCallMediaTypeChanged 1 2")));
  for (const p of [alice, bob]) {
    if (!(await p.page.evaluate(() => globalThis.bare.client.callState().cameraOn))) await p.do("openCamera");
  }
  await Promise.all([alice.sees("bob"), bob.sees("alice")]);

  await Promise.all([alice.forget(), bob.forget()]);
  await bob.do("hangup");
  await Promise.all([alice.waitFor("onCallEnd 1"), bob.waitFor("onCallEnd 1")]);
  await sleep(300);
  await inOrder(alice, ["onUserLeave bob 0", "onCallEnd 1"]);
  await inOrder(bob, ["onCallEnd 1"]);
  for (const p of [alice, bob]) {
    await until(() => p.page.evaluate(() => globalThis.fake.live("audio") + globalThis.fake.live("video") === 0), `${p.user}'s devices to be let go`);
  }
});

scene("a page calls a user in Go, who calls back", async (s) => {
  const [alice, bob] = await Promise.all([s.page("alice"), s.go("bob", { answer: true })]);
  await alice.do("call", "bob", 2);
  await alice.waitFor("onCallBegin");
  await bob.do("openCamera");
  await Promise.all([alice.hears("bob"), bob.hears("alice"), alice.seesMotion("bob")]);
  const seen = await bob.sees("alice", 15);
  assert.deepEqual([seen.width, seen.height], [320, 240]);
  await inOrder(alice, ["onEnterRoom 0", "onAccept bob", "onUserEnter bob", "onCallBegin"]);
  await inOrder(bob, ["onInvited alice", "onCallReceived alice", "onEnterRoom 0", "onUserEnter alice", "onCallBegin"]);
  await alice.do("setMicMute", true);
  await bob.hears();
  await alice.do("setMicMute", false);
  await bob.hears("alice");
  await bob.do("closeCamera");
  await alice.waitFor("onUserVideoAvailable bob false");
  await bob.do("openCamera");
  await alice.seesMotion("bob");
  await alice.do("hangup");
  await Promise.all([alice.waitFor("onCallEnd 1"), bob.waitFor("onCallEnd 1")]);

  await alice.forget();
  await bob.do("call", { to: ["alice"] });
  await alice.waitFor("onInvited bob");
  await alice.do("accept");
  await Promise.all([alice.hears("bob"), bob.hears("alice")]);
  await bob.do("hangup");
  await alice.waitFor("onCallEnd 1");
  await inOrder(alice, ["onInvited bob", "onCallReceived bob", "onEnterRoom 0", "onUserEnter bob", "onCallBegin", "onUserLeave bob 0", "onCallEnd 1"]);
});

scene("rejected, ignored, busy, taken back, not answered", async (s) => {
  const [alice, bob, carol] = await Promise.all([s.page("alice"), s.page("bob"), s.go("carol")]);
  await alice.do("call", "bob", 1);
  await bob.waitFor("onInvited alice");
  await assert.rejects(() => bob.do("call", "carol", 1), { code: -10 });
  await assert.rejects(() => alice.do("call", "carol", 1), { code: -10 });
  await bob.do("reject");
  await alice.waitFor("onCallEnd 2");
  await inOrder(alice, ["onEnterRoom 0", "onReject bob", "onCallEnd 2"]);
  await inOrder(bob, ["onInvited alice", "onCallReceived alice"]);

  await Promise.all([alice.forget(), bob.forget()]);
  await alice.do("call", "bob", 1);
  await bob.waitFor("onInvited alice");
  await bob.do("ignore");
  await alice.waitFor("onCallEnd 5");
  await inOrder(alice, ["onEnterRoom 0", "onLineBusy bob", "onCallEnd 5"]);

  await Promise.all([alice.forget(), bob.forget()]);
  await carol.do("call", { to: ["bob"] });
  await bob.waitFor("onInvited carol");
  await alice.do("call", "bob", 1);
  await alice.waitFor("onCallEnd 5");
  await inOrder(alice, ["onEnterRoom 0", "onLineBusy bob", "onCallEnd 5"]);
  await carol.do("hangup");
  await bob.waitFor("onCallingCancel");
  await inOrder(bob, ["onInvited carol", "onCallReceived carol", "onCallingCancel"]);

  await Promise.all([alice.forget(), bob.forget()]);
  await alice.do("call", "bob", 1, { timeoutMS: 1000 });
  await Promise.all([alice.waitFor("onCallEnd 3"), bob.waitFor("onCallingTimeout ")]);
  await inOrder(alice, ["onEnterRoom 0", "onNoResp bob", "onCallingTimeout bob", "onCallEnd 3"]);
  await inOrder(bob, ["onInvited alice", "onCallReceived alice", "onCallingTimeout "]);

  await Promise.all([alice.forget(), bob.forget()]);
  await alice.do("call", "bob", 1);
  await bob.waitFor("onInvited alice");
  await alice.do("hangup");
  await bob.waitFor("onCallingCancel");
  await alice.waitFor("onCallEnd 6");
  await assert.rejects(() => bob.do("accept"), { code: -3 });
});

scene("four pages in a group, one more is invited, and the server mixes", async (s) => {
  const [alice, bob, carol, dave] = await Promise.all(["alice", "bob", "carol", "dave"].map((u) => s.page(u)));
  const erin = await s.go("erin", { answer: true });
  await alice.do("groupCall", ["bob", "carol", "dave"], 1, "");
  for (const p of [bob, carol, dave]) {
    await p.waitFor("onInvited alice");
    await p.do("accept");
  }
  await alice.hears("bob", "carol", "dave");
  await bob.hears("alice", "carol", "dave");
  await carol.hears("alice", "bob", "dave");
  await dave.hears("alice", "bob", "carol");
  await oneAfterAnother(alice, "onAccept bob", "onUserEnter bob", "onCallBegin", "onAccept carol", "onUserEnter carol", "onAccept dave", "onUserEnter dave");

  await dave.do("setReceiveMode", "mix");
  await dave.hears("alice", "bob", "carol");
  await carol.do("setMicMute", true);
  await Promise.all([dave.hears("alice", "bob"), alice.hears("bob", "dave")]);

  await bob.do("inviteUser", ["erin"]);
  await alice.waitFor("onGroupCallInviteeListUpdate erin");
  await Promise.all([alice.hears("bob", "dave", "erin"), erin.hears("alice", "bob", "dave"), dave.hears("alice", "bob", "erin")]);
  await alice.do("setRemoteAudioVolume", "erin", 0);
  await alice.hears("bob", "dave");

  await alice.do("hangup");
  await bob.waitFor("onUserLeave alice 0");
  await bob.hears("dave", "erin");
  await alice.hears();
  assert.equal((await bob.told()).some((e) => e.startsWith("onCallEnd")), false, "the call of the others goes on");
  await Promise.all([bob, carol].map((p) => p.do("hangup")));
  await dave.do("hangup");
  const { records } = await alice.do("recentCalls", {});
  assert.equal(records[0].isGroup, true);
  assert.ok(records[0].durationMS > 0);
});

scene("a group call with pictures", async (s) => {
  const [alice, bob, carol] = await Promise.all([s.page("alice"), s.page("bob"), s.go("carol", { answer: true })]);
  await alice.do("groupCall", ["bob", "carol"], 2, "");
  await bob.waitFor("onInvited alice");
  await bob.do("accept");
  await alice.waitFor("onUserEnter carol");
  await carol.do("openCamera");
  await Promise.all([alice.sees("bob"), bob.sees("alice"), alice.seesMotion("carol"), bob.seesMotion("carol"), carol.sees("alice"), carol.sees("bob")]);
  await Promise.all([alice.hears("bob", "carol"), carol.hears("alice", "bob")]);
});

scene("a picture that cannot be decoded: a key frame comes, and it goes on", async (s) => {
  const [alice, bob] = await Promise.all([s.page("alice", { config: { workerURL: "/pages/broken-worker.js" } }), s.page("bob")]);
  await alice.do("call", "bob", 2);
  await bob.waitFor("onInvited alice");
  await bob.do("accept");
  await bob.sees("alice");
  const of = async () => (await bob.do("stats")).media.video[0];
  assert.equal((await of()).decodeErrors, 0);
  let spoilt = 0;
  const broken = async () => (spoilt = await alice.page.evaluate("broken"));
  await alice.page.evaluate(() => {
    const channel = new BroadcastChannel("break");
    Object.assign(globalThis, { broken: 0, spoil: () => channel.postMessage(0) });
    channel.onmessage = () => { /** @type {any} */ (globalThis).broken++; };
  });
  // One that is broken need not be decoded: where the line or a machine is slow, the
  // server leaves out every other picture, and those that refer to a lost one are
  // dropped. Then it is another's turn.
  const failed = await until(async () => {
    const before = await broken();
    await alice.page.evaluate("spoil()");
    await until(async () => (await broken()) > before, "a picture to be broken");
    return until(async () => { const now = await of(); return now.decodeErrors > 0 && now; }, "", 2000).catch(() => null);
  }, () => `the decoder to fail, ${spoilt} pictures were broken`);
  await until(async () => (await of()).drawn > failed.drawn + 10, "pictures that come after it");
  await bob.sees("alice");
  const errors = (await of()).decodeErrors;
  assert.ok(errors >= 1 && errors <= spoilt, `the decoder failed ${errors} times, ${spoilt} pictures were broken`);
  await bob.hears("alice");
});

scene("a second sign-in ends the first", async (s) => {
  const alice = await s.page("alice");
  await s.go("alice");
  await alice.waitFor("onKickedOffline");
  await alice.waitFor("onConnectionState closed");
  await assert.rejects(() => alice.do("call", "bob", 1));
  assert.ok((await stage.ask("online")).users.includes("alice"), "the second is there");
});

scene("enableCustomViewRoute, from the page and from the server", async (s) => {
  const [alice, bob] = await Promise.all([s.page("alice", { config: { view: true } }), s.go("bob", { answer: true })]);
  const views = () => alice.page.evaluate("bare.views.map((v) => v.join(' ')).join()");
  await alice.do("call", "bob", 1);
  await alice.waitFor("onCallBegin");
  assert.equal(await views(), "present dialling");
  await alice.do("enableCustomViewRoute", true);
  await until(async () => (await views()) === "present dialling,dismiss", "the view to go in the middle of a call");
  await alice.do("enableCustomViewRoute", false);
  await until(async () => (await views()) === "present dialling,dismiss,present begun", "the view to come back");
  await alice.do("hangup");
  await until(async () => (await views()) === "present dialling,dismiss,present begun,dismiss", "the view to be told of the end");

  await alice.do("enableCustomViewRoute", true);
  await alice.forget();
  await alice.do("call", "bob", 1);
  await alice.waitFor("onCallBegin");
  await alice.hears("bob");
  await alice.do("hangup");
  await alice.waitFor("onCallEnd 1");
  assert.equal(await views(), "present dialling,dismiss,present begun,dismiss", "off for calls to come");

  await alice.do("enableCustomViewRoute", false);
  await stage.ask("route", { user: "alice", custom: true });
  try {
    await alice.forget();
    await until(async () => (await bob.told()).filter((e) => e.startsWith("onCallEnd")).length === 2, "bob to be told of the end of both calls");
    await bob.do("call", { to: ["alice"] });
    await alice.waitFor("onInvited bob");
    await alice.do("accept");
    await alice.waitFor("onCallBegin");
    await alice.do("hangup");
    await alice.waitFor("onCallEnd 1");
    assert.equal(await views(), "present dialling,dismiss,present begun,dismiss", "the server wants it so");
  } finally {
    await stage.ask("route", { user: "alice", custom: false });
  }
  const carol = await s.page("carol");
  await assert.rejects(() => carol.do("enableCustomViewRoute", true), /no view/);
});
