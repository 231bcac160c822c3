// A tab that is not in front, in a browser that shows one tab at a time.
import assert from "node:assert/strict";
import { launchTabs } from "../lib/browser.js";
import { until } from "../lib/people.js";
import { scene } from "../lib/scene.js";

scene("the tab is hidden: the call goes on, both ways", async (s) => {
  const tabs = await launchTabs();
  try {
    const [alice, bob] = await Promise.all([s.page("alice", { browser: tabs.browser, script: "devices.camera = true;" }), s.go("bob", { answer: true })]);
    await alice.do("call", "bob", 2);
    await alice.waitFor("onCallBegin");
    await bob.do("openCamera");
    await Promise.all([alice.hears("bob"), bob.hears("alice"), alice.seesMotion("bob"), bob.sees("alice")]);
    const other = await alice.context.newPage();
    await other.bringToFront();
    await until(() => alice.page.evaluate("document.hidden"), "the tab to be hidden");
    const drawn = async () => (await alice.do("stats")).media.video[0].drawn;
    const before = await drawn();
    await Promise.all([alice.hears("bob"), bob.hears("alice"), bob.sees("alice", 15)]);
    await until(async () => (await drawn()) > before + 45, "three seconds of pictures to be drawn");
    assert.equal(await alice.page.evaluate("document.hidden"), true);
    await alice.page.bringToFront();
    await until(() => alice.page.evaluate("!document.hidden"), "the tab to be seen");
    await alice.seesMotion("bob");
    assert.deepEqual((await alice.told()).filter((e) => /^(onWarning|onError|onConnectionState reconn)/.test(e)), []);
    await alice.close();
  } finally {
    await tabs.close();
  }
});
