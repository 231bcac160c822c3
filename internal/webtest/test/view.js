// The default view, as its user has it.
import assert from "node:assert/strict";
import { scene, stage } from "../lib/scene.js";
import { screenColour, until } from "../lib/people.js";

scene("ring, answer, see, hear, mute, hang up: all by clicks", async (s) => {
  const [alice, bob] = await Promise.all([s.view("alice"), s.view("bob")]);
  await alice.page.evaluate(() => { document.title = "The host's page"; });
  await alice.click("Video call to bob");
  await bob.page.getByRole("alertdialog").getByText("calls you with video").waitFor();
  await until(() => bob.rings(), "the bell");
  await until(() => alice.rings(), "the tone of the ringing elsewhere");
  await alice.reads("Calling…");
  await bob.click("Accept");
  await Promise.all([alice.hears("bob"), bob.hears("alice"), alice.sees("bob"), bob.sees("alice"), alice.sees("alice")]);
  await until(async () => !(await bob.rings()) && !(await alice.rings()), "the bells to be still");

  await alice.click("Mute");
  await bob.hears();
  await bob.page.locator('.es-tile[aria-label*="Muted"]').waitFor();
  await alice.click("Unmute");
  await bob.hears("alice");
  await alice.click("Camera off");
  await bob.seesNothingOf("alice");
  await alice.click("Camera on");
  await bob.sees("alice");
  await alice.click("Share screen");
  await bob.sees("alice", screenColour);
  await alice.reads("You share your screen");
  await alice.click("Stop sharing");
  await bob.sees("alice");
  await bob.click("Sound off");
  await bob.hears();
  await bob.click("Sound on");
  await bob.hears("alice");

  await alice.click("Minimise");
  await alice.page.locator(".es-mini").waitFor();
  await alice.sees("bob");
  await alice.click("Back to the call");
  await Promise.all([...[alice, bob].map((p) => p.reads("The call is a voice call now.")), alice.click("To voice call")]);
  await alice.seesNothingOf("bob");
  await bob.hears("alice");

  await bob.click("Hang up");
  await Promise.all([alice, bob].map((p) => p.reads("It lasted ")));
  assert.equal(await alice.page.title(), "The host's page");
  await alice.click("Close");
  await alice.reads("Outgoing · ");
});

scene("by keyboard alone", async (s) => {
  const [alice, bob] = await Promise.all([s.view("alice"), s.go("bob")]);
  await bob.do("call", { to: ["alice"] });
  const dialog = alice.page.getByRole("alertdialog");
  await dialog.waitFor();
  const focused = () => alice.page.evaluate(() => document.activeElement?.textContent ?? "");
  for (let i = 0; i < 8 && (await focused()) !== "Accept"; i++) await alice.page.keyboard.press("Tab");
  assert.equal(await focused(), "Accept");
  await alice.page.keyboard.press("Enter");
  await Promise.all([alice.hears("bob"), bob.hears("alice")]);
  for (let i = 0; i < 12 && (await focused()) !== "Hang up"; i++) await alice.page.keyboard.press("Tab");
  await alice.page.keyboard.press("Enter");
  await bob.waitFor("onCallEnd 1");
  await alice.reads("It lasted ");
});

scene("the link's sign-in leaves the address at once", async (s) => {
  const { link } = await stage.ask("link", { user: "alice" });
  /** @type {string[]} */
  const asked = [];
  const alice = await s.page("alice", { signIn: false });
  alice.page.on("request", (r) => asked.push(`${r.url()} ${JSON.stringify(r.headers())}`));
  await alice.page.goto("about:blank");
  await alice.page.goto(link, { waitUntil: "commit" });
  await until(() => !alice.page.url().includes("#"), "the fragment to go");
  await alice.page.locator(".es-home").waitFor();
  const sig = new URLSearchParams(new URL(link).hash.slice(1)).get("userSig") ?? "";
  assert.ok(sig.length > 40);
  const address = await alice.page.evaluate(() => [location.href, document.URL, document.documentElement.outerHTML, history.state, performance.now()].join());
  for (const leak of [address, ...asked]) assert.ok(!leak.includes(sig) && !leak.includes(encodeURIComponent(sig)), `the UserSig is in ${leak.slice(0, 300)}`);
  await alice.page.goBack();
  assert.ok(!alice.page.url().includes("userSig"));
});

scene("names are shown as text, whatever is in them", async (s) => {
  const name = `<img src=x onerror=document.title="hit"> & "quotes" \u202E`;
  const [alice, bob] = await Promise.all([s.view("alice"), s.go("bob", { text: name })]);
  await alice.reads("<img src=x");
  await bob.do("call", { to: ["alice"] });
  await alice.page.getByRole("alertdialog").getByText("<img src=x").waitFor();
  await alice.click("Accept");
  await alice.hears("bob");
  assert.equal(await alice.page.locator("#earshot img").count(), 0);
  assert.notEqual(await alice.page.title(), "hit");
  await bob.do("hangup");
});

scene("declined, busy and unanswered are told in words; contacts come and go", async (s) => {
  const alice = await s.view("alice");
  const bob = await s.go("bob");
  await alice.click("Voice call to bob");
  await bob.waitFor("onInvited alice");
  await bob.do("reject");
  await alice.reads("The call was declined.");
  await alice.click("Close");
  await bob.do("call", { to: ["alice"] });
  await alice.page.getByRole("alertdialog").waitFor();
  await bob.do("hangup");
  await alice.reads("The caller took the call back.");
  await alice.click("Close");
  await alice.reads("Missed");
  await bob.close();
  await until(async () => (await alice.page.getByRole("button", { name: "Voice call to bob", exact: true }).count()) === 0, "bob to go from the contacts");
});

scene("signed in elsewhere, and back", async (s) => {
  const alice = await s.view("alice");
  const other = await s.go("alice");
  await alice.reads("Signed in elsewhere");
  await alice.click("Use it here");
  await alice.page.locator(".es-home").waitFor();
  await other.waitFor("onKickedOffline");
});

scene("on a phone, in Chinese, in the dark", async (s) => {
  const bob = await s.go("bob", { answer: true });
  const alice = await s.view("alice", { context: { viewport: { width: 360, height: 640 }, locale: "zh-CN", colorScheme: "dark", hasTouch: true, isMobile: true } });
  await alice.page.getByLabel("与 bob 视频通话").tap();
  await bob.waitFor("onCallBegin");
  await bob.do("openCamera");
  await Promise.all([alice.hears("bob"), alice.seesMotion("bob")]);
  const words = await alice.page.locator(".es-controls").innerText();
  assert.ok(/[一-龥]/.test(words) && !/[A-Za-z]{3}/.test(words), words);
  assert.equal(await alice.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "nothing is wider than the phone");
  await bob.do("hangup");
});

scene("a group is chosen and called, and one more is invited", async (s) => {
  const go = await Promise.all(["bob", "carol", "dave"].map((u) => s.go(u, { answer: true })));
  const alice = await s.view("alice");
  for (const u of ["bob", "carol"]) await alice.page.getByLabel(`Choose ${u} for a group call`).check();
  await alice.reads("2 chosen for a group call");
  await alice.page.locator(".es-group").getByText("Voice call").click();
  await Promise.all([alice.hears("bob", "carol"), go[0].hears("alice", "carol"), go[1].hears("alice", "bob")]);
  await alice.click("Invite");
  await alice.page.getByRole("dialog").getByLabel("dave").check();
  await alice.click("Invite 1");
  await Promise.all([alice.hears("bob", "carol", "dave"), go[2].hears("alice", "bob", "carol")]);
  await alice.reads("Group call, 4 people");
  await alice.readsOn("bob left.", () => go[0].do("hangup"));
  await alice.hears("carol", "dave");
  await alice.click("Hang up");
  await alice.reads("It lasted ");
});
