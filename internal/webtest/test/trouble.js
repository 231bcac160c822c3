// What goes wrong: the network, the server, devices, the browser.
import assert from "node:assert/strict";
import { oneAfterAnother, scene, stage } from "../lib/scene.js";
import { until } from "../lib/people.js";

/** The console's words for a connection that cannot be made, which no page can help. */
const noConnection = [/Failed to establish a connection/, /ERR_(QUIC|CONNECTION|NETWORK)/, /WebTransport/];

scene("the network is lost and comes back", async (s) => {
  const [alice, bob] = await Promise.all([s.page("alice", { errors: noConnection }), s.go("bob", { answer: true })]);
  await alice.do("call", "bob", 2);
  await alice.waitFor("onCallBegin");
  await bob.do("openCamera");
  await Promise.all([alice.hears("bob"), bob.hears("alice"), alice.seesMotion("bob")]);
  await stage.ask("network", { down: true });
  await alice.waitFor("onConnectionState reconnecting");
  await stage.ask("network");
  await oneBack(alice);
  await Promise.all([alice.hears("bob"), bob.hears("alice"), alice.seesMotion("bob"), bob.sees("alice")]);
  assert.equal((await bob.told()).some((e) => e.startsWith("onUserLeave")), false, "nobody is told");
  await oneAfterAnother(alice, "onCallBegin", "onConnectionState reconnecting", "onConnectionState connected");
  assert.ok((await alice.told()).includes("onWarning 6007"));
});

scene("a bad network: sound and picture come through", async (s) => {
  const [alice, bob] = await Promise.all([s.page("alice"), s.page("bob")]);
  await stage.ask("network", { loss: 0.03, delayMS: 25 });
  await alice.do("call", "bob", 2);
  await bob.waitFor("onInvited alice");
  await bob.do("accept");
  await Promise.all([alice.hears("bob"), bob.hears("alice"), alice.sees("bob"), bob.sees("alice")]);
  const of = async () => (await alice.do("stats")).media.audio[0]?.packets ?? 0;
  const before = await of();
  await until(async () => (await of()) > before + 50, "a second of sound");
  await Promise.all([alice.hears("bob"), alice.sees("bob")]);
});

scene("the server is restarted in the middle of a call", async (s) => {
  const [alice, bob] = await Promise.all([s.page("alice", { errors: noConnection }), s.page("bob", { errors: noConnection })]);
  await alice.do("call", "bob", 1);
  await bob.waitFor("onInvited alice");
  await bob.do("accept");
  await Promise.all([alice.hears("bob"), bob.hears("alice")]);
  await stage.ask("restart");
  for (const p of [alice, bob]) {
    await p.waitFor("onConnectionState reconnecting");
    await oneBack(p);
    await p.waitFor("onCallEnd 9");
    assert.equal(await p.page.evaluate(() => globalThis.bare.client.callState()), null);
  }
  // The new server has another certificate, and they are signed in to it.
  await alice.forget();
  await alice.do("call", "bob", 1);
  await until(async () => (await bob.told()).filter((e) => e === "onInvited alice").length === 2, "a call through the new server");
  await bob.do("accept");
  await Promise.all([alice.hears("bob"), bob.hears("alice")]);
});

/** @param {import("../lib/people.js").Person} p */
function oneBack(p) {
  return until(async () => {
    const told = await p.told();
    return told.lastIndexOf("onConnectionState connected") > told.indexOf("onConnectionState reconnecting");
  }, `${p.user} to be connected again`, 40_000);
}

scene("the view tells of a lost network, and that it is back", async (s) => {
  const [alice, bob] = await Promise.all([s.view("alice", { errors: noConnection }), s.go("bob", { answer: true })]);
  await alice.click("Voice call to bob");
  await alice.hears("bob");
  await stage.ask("network", { down: true });
  await alice.reads("The connection was lost. Reconnecting…");
  await alice.readsOn("The connection is back.", () => stage.ask("network"), 40_000);
  await alice.hears("bob");
  await bob.hears("alice");
});

scene("the page is loaded again in the middle of a call", async (s) => {
  const [alice, bob] = await Promise.all([s.view("alice"), s.go("bob", { answer: true })]);
  await alice.click("Video call to bob");
  await bob.waitFor("onCallBegin");
  await bob.do("openCamera");
  await Promise.all([alice.hears("bob"), bob.hears("alice"), alice.seesMotion("bob"), bob.sees("alice")]);
  await alice.page.reload();
  await Promise.all([alice.hears("bob"), bob.hears("alice"), alice.seesMotion("bob"), bob.sees("alice")]);
  const told = await bob.told();
  assert.equal(told.some((e) => /onUserLeave|onCallEnd/.test(e)), false, `nobody is told: ${told.join("; ")}`);
  await alice.click("Hang up");
  await bob.waitFor("onCallEnd 1");
});

scene("the microphone and the camera are refused", async (s) => {
  const [alice, bob] = await Promise.all([s.view("alice", { deny: ["microphone", "camera", "screen"] }), s.go("bob", { answer: true })]);
  await alice.click("Video call to bob");
  await alice.reads("The browser may not use your microphone.");
  await alice.reads("The browser may not use your camera.");
  await alice.hears("bob");
  await bob.hears();
  await alice.readsOn("The screen is not shared: it was not allowed.", () => alice.click("Share screen"));
  assert.equal(await alice.page.getByText("That cannot be done now.").count(), 0, "it is said once");
  // The person allows it, and unmutes, as they were told.
  await alice.page.evaluate(() => { globalThis.fake.devices.deny = []; });
  await alice.click("Mute");
  await alice.readsOn("The microphone works again.", () => alice.click("Unmute"));
  await bob.hears("alice");
  await alice.click("Hang up");
  await bob.waitFor("onCallEnd 1");
});

scene("devices are unplugged", async (s) => {
  const [alice, bob] = await Promise.all([s.view("alice"), s.go("bob", { answer: true })]);
  await alice.click("Video call to bob");
  await Promise.all([bob.hears("alice"), bob.sees("alice")]);
  // Another one is there: it is taken.
  await alice.page.evaluate(() => globalThis.fake.unplug("audio"));
  await bob.hears("alice");
  await alice.page.evaluate(() => { globalThis.fake.devices.deny = ["microphone", "camera"]; });
  await alice.page.evaluate(() => globalThis.fake.unplug("video"));
  await alice.page.evaluate(() => globalThis.fake.unplug("audio"));
  await bob.hears();
  await alice.reads("microphone");
  await alice.hears("bob");
  // The person allows it again, and unmutes.
  await alice.page.evaluate(() => { globalThis.fake.devices.deny = []; });
  await alice.page.evaluate(() => navigator.mediaDevices.dispatchEvent(new Event("devicechange")));
  await bob.hears("alice");
});

scene("a shared screen ends by the browser's own button", async (s) => {
  const [alice, bob] = await Promise.all([s.page("alice"), s.page("bob")]);
  await alice.do("call", "bob", 2);
  await bob.waitFor("onInvited alice");
  await bob.do("accept");
  await bob.sees("alice");
  await alice.do("startScreenShare");
  await bob.sees("alice", [130, 40, 160]);
  await alice.page.evaluate(() => globalThis.fake.unplug("screen"));
  await until(async () => (await alice.told()).some((e) => e.startsWith("onScreenShareEnded")), "onScreenShareEnded");
  await bob.sees("alice");
});

for (const [what, locale] of [["WebTransport", "en"], ["VideoEncoder", "zh-CN"]]) {
  scene(`a browser without ${what} is told so in one sentence, in the library's words`, async (s) => {
    const alice = await s.view("alice", { script: `delete globalThis.${what};`, signIn: false, context: { locale } });
    const why = await alice.page.evaluate(async (language) => (await import(/** @type {any} */ ("/client/index.js"))).whyUnsupported(language), locale);
    assert.ok(why.includes(what), why);
    await alice.reads(why);
  });
}

scene("a link that has expired, and a page without one", async (s) => {
  const alice = await s.view("alice", { signIn: false, path: "?", errors: [/401/] });
  const { link } = await stage.ask("link", { user: "alice" });
  await alice.page.goto("about:blank");
  await alice.page.goto(link.replace(/userSig=[^&]*/, "userSig=eJwrzy9KUbBSUA%3D%3D"));
  await alice.reads("The link has expired");
  await alice.page.evaluate("sessionStorage.clear()");
  await alice.page.goto(stage.page);
  await alice.reads("Who are you?");
});
