// One browser for all tests, and one whose tabs can be hidden.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

export const flags = [
  "--no-sandbox",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  "--autoplay-policy=no-user-gesture-required",
  "--disable-gpu",
  "--enable-precise-memory-info",
  // What Playwright leaves out, as this takes the place of its own list; and pages of
  // Chromium's that are never shown, and cost as much as a page in a call.
  `--disable-features=${[
    "AimEnabled", "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades", "LensOverlay", "MediaRouter",
    "NetworkTimeServiceQuerying", "OptimizationHints", "PaintHolding", "PreconnectToSearch", "ThirdPartyStoragePartitioning", "Translate",
    "PreloadTopChromeWebUI", "WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "SpareRendererForSitePerProcess",
  ]}`,
  // Chromium looks up its vendor's hosts otherwise.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
];

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** @param {string[]} [more] flags */
export function launch(more = []) {
  return chromium.launch({ executablePath, headless: true, args: [...flags, ...more] });
}

/**
 * A browser of its own with one window, in which a tab that is not in front is hidden
 * and slowed down as it is for people: Playwright shows every page of its own browsers.
 * newContext gives the one that there is.
 */
export async function launchTabs() {
  const home = mkdtempSync(join(tmpdir(), "earshot-tabs-"));
  const program = spawn(executablePath, ["--headless", "--remote-debugging-port=0", `--user-data-dir=${home}`, "--no-first-run", ...flags, "about:blank"], { stdio: ["ignore", "ignore", "pipe"] });
  const close = async () => {
    if (program.exitCode === null && program.signalCode === null && program.kill()) await once(program, "exit");
    try { // its helpers may outlive it, and write
      rmSync(home, { recursive: true, force: true, maxRetries: 10 });
    } catch (e) {
      console.error(`${home} is left: ${e}`);
    }
  };
  try {
    const address = await new Promise((resolve, reject) => {
      program.on("error", reject);
      program.on("exit", () => reject(new Error("the browser ended")));
      createInterface({ input: /** @type {any} */ (program.stderr) }).on("line", (line) => {
        const found = /DevTools listening on (ws:\S+)/.exec(line);
        if (found) resolve(found[1]);
      });
    });
    const browser = await chromium.connectOverCDP(address, { noDefaults: true });
    browser.newContext = async () => browser.contexts()[0];
    return { browser, close };
  } catch (e) {
    await close();
    throw e;
  }
}
