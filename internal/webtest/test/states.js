// Every state of the default view, on a desktop in light and on a phone in the dark: a
// screenshot of each, and axe-core's judgement. EARSHOT_SHOTS is where the
// pictures go.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { browser, stage } from "../lib/scene.js";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const shapes = /** @type {const} */ ([["desktop", 1280, 800, "light"], ["phone", 390, 844, "dark"]]);

test("every state: screenshots, and no serious fault of accessibility", { timeout: 600_000 }, async () => {
  const shots = process.env.EARSHOT_SHOTS || mkdtempSync(join(tmpdir(), "earshot-view-"));
  mkdirSync(shots, { recursive: true });
  /** @type {string[]} */
  const wrong = [];
  /** @type {string[]} */
  let states = [];
  let next = 0;
  // Two at a time, each on a page of its own, which shows one state after another.
  const work = async () => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce", locale: "en", bypassCSP: true });
    const page = await context.newPage();
    let state = "";
    page.on("pageerror", (e) => wrong.push(`${state}: ${e}`));
    page.on("console", (m) => { if (m.type() === "error" && !m.location().url.endsWith("favicon.ico")) wrong.push(`${state}: ${m.text()} ${m.location().url}`); });
    await page.goto(`${stage.page}test-view/gallery.html`);
    await page.locator("body[data-ready]").waitFor();
    await page.addScriptTag({ path: axe });
    states = await page.evaluate("states");
    while (next < states.length) {
      state = states[next++];
      for (const [shape, width, height, colorScheme] of shapes) {
        await page.setViewportSize({ width, height });
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        if (shape === "desktop") await page.evaluate((s) => /** @type {any} */ (globalThis).show(s), state);
        await page.evaluate(async () => { // colours glide
          await new Promise(requestAnimationFrame);
          for (const a of document.getAnimations()) if (a.effect?.getComputedTiming().endTime !== Infinity) a.finish();
        });
        await page.screenshot({ animations: "disabled", path: join(shots, `${state}-${shape}-${colorScheme}.png`) });
        wrong.push(...(await faults(page)).map((f) => `${state}, ${shape}, ${colorScheme}: ${f}`));
      }
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (overflow > 0) wrong.push(`${state}: ${overflow} pixels wider than a phone`);
    }
    await context.close();
  };
  await Promise.all([work(), work()]);
  assert.ok(states.length > 20, `${states.length} states`);
  console.log(`${states.length} states, ${states.length * shapes.length} screenshots in ${shots}`);
  assert.deepEqual(wrong, []);
});

/**
 * What axe-core finds that is serious or critical.
 * @param {import("playwright-core").Page} page
 * @returns {Promise<string[]>}
 */
function faults(page) {
  return page.evaluate(async () => {
    const { violations } = await /** @type {any} */ (globalThis).axe.run(document, { resultTypes: ["violations"] });
    return violations.filter((/** @type {any} */ v) => v.impact === "serious" || v.impact === "critical")
      .map((/** @type {any} */ v) => `${v.id}: ${v.nodes.map((/** @type {any} */ n) => n.target.join(" ")).join(", ")}`);
  });
}
