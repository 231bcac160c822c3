// What a person does with the view beside calling.
import assert from "node:assert/strict";
import { scene, stage } from "../lib/scene.js";
import { until } from "../lib/people.js";

scene("another loudspeaker, the whole screen, and the small picture elsewhere", async (s) => {
  const [alice, bob] = await Promise.all([s.view("alice", { context: { permissions: ["microphone"] } }), s.go("bob", { answer: true })]);
  await alice.click("Video call to bob");
  await Promise.all([alice.sees("alice"), alice.hears("bob")]);

  // By the pointer, and no further than the call's edge; by the keys.
  const small = alice.page.locator(".es-pip");
  const box = async () => /** @type {{x: number, y: number, width: number, height: number}} */ (await small.boundingBox());
  const at = (/** @type {number} */ x, /** @type {number} */ y) => until(async () => {
    const now = await box();
    return Math.round(now.x) === Math.round(x) && Math.round(now.y) === Math.round(y);
  }, `the small picture at ${x}, ${y}`);
  let from = await box();
  await until(async () => { // it stands still
    const now = await box();
    const stands = ["x", "y", "width", "height"].every((k) => /** @type {any} */ (now)[k] === /** @type {any} */ (from)[k]);
    from = now;
    return stands;
  }, "the small picture to stand still");
  const [x, y] = [from.x + from.width / 2, from.y + from.height / 2];
  await alice.page.mouse.move(x, y);
  await alice.page.mouse.down();
  await alice.page.mouse.move(x - 120, y - 80, { steps: 3 });
  await at(from.x - 120, from.y - 80);
  await alice.page.mouse.move(-500, -500, { steps: 3 });
  await alice.page.mouse.up();
  const edge = /** @type {{x: number, y: number}} */ (await alice.page.locator(".es-stage").boundingBox());
  await at(edge.x, edge.y);
  await alice.page.mouse.move(x, y); // no longer held
  await small.focus();
  await alice.page.keyboard.press("ArrowRight");
  await at(edge.x + 24, edge.y);

  // What has the whole screen is the view, and it can be left again.
  await alice.click("Full screen");
  await alice.page.getByRole("button", { name: "Leave full screen" }).waitFor();
  assert.equal(await alice.page.evaluate(() => document.fullscreenElement?.className), "earshot");
  await alice.click("Leave full screen");
  await alice.page.getByRole("button", { name: "Full screen", exact: true }).waitFor();
  assert.equal(await alice.page.evaluate(() => document.fullscreenElement), null);

  await alice.hears("bob");
  await alice.page.locator(".es-controls").getByText("Settings").click();
  const speakers = alice.page.getByLabel("Speaker");
  await speakers.waitFor();
  const other = await speakers.locator("option").last().getAttribute("value");
  assert.ok(other && other !== "default");
  await speakers.selectOption(other);
  await until(async () => (await alice.page.evaluate(() => globalThis.fake.sinks())).join() === other, "the sound to go to the other loudspeaker");
  await alice.click("Done");
  await alice.hears("bob");
});

scene("a bell of the page's own", async (s) => {
  const [alice, bob] = await Promise.all([s.page("alice", { signIn: false }), s.go("bob")]);
  const { id, ...credentials } = await stage.ask("credentials", { user: "alice" });
  await alice.page.route("**/bell.wav", (r) => r.fulfill({ contentType: "audio/wav", body: wav(0.3) }));
  await alice.page.evaluate(async (c) => {
    const { mount } = await import(/** @type {any} */ ("/view/index.js"));
    const element = document.createElement("div");
    element.style.cssText = "position:fixed;inset:0";
    document.body.append(element);
    const view = mount(element, c);
    view.setCallingBell("/bell.wav");
    const bells = /** @type {HTMLAudioElement[]} */ ([]);
    globalThis.Audio = new Proxy(Audio, { construct: (make, args) => bells[bells.push(Reflect.construct(make, args)) - 1] });
    Object.assign(globalThis, { view, bells });
    await view.ready;
  }, credentials);
  const bells = () => alice.page.evaluate("bells.map((b) => ({ path: new URL(b.src).pathname, plays: !b.paused && b.currentTime > 0, loop: b.loop }))");
  await bob.do("call", { to: ["alice"] });
  const [rings, ...more] = await until(async () => { const now = await bells(); return now[0]?.plays && now; }, "the bell");
  assert.deepEqual([rings, more], [{ path: "/bell.wav", plays: true, loop: true }, []]);
  await bob.do("hangup");
  await until(async () => (await bells()).every((/** @type {any} */ b) => !b.plays), "the bell to be still");
  await alice.page.evaluate("view.enableMuteMode(true)");
  await bob.do("call", { to: ["alice"] });
  await alice.page.getByRole("alertdialog").waitFor();
  assert.equal((await bells()).length, 1, "it rings without sound");
  await alice.page.evaluate("view.unmount()");
});

/** A file with silence. @param {number} seconds */
function wav(seconds) {
  const rate = 8000, n = Math.round(seconds * rate);
  const b = Buffer.alloc(44 + 2 * n);
  b.write("RIFF", 0);
  b.writeUInt32LE(36 + 2 * n, 4);
  b.write("WAVEfmt ", 8);
  [16, 0x10001, rate, 2 * rate, 0x100002].forEach((v, i) => b.writeUInt32LE(v, 16 + 4 * i));
  b.write("data", 36);
  b.writeUInt32LE(2 * n, 40);
  return b;
}
