// A scene is a test with people in it, who leave at its end. All scenes of a file share a
// browser and a stage.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "./browser.js";
import { GoPerson, Person, until } from "./people.js";
import { Stage } from "./stage.js";

/** @type {import("playwright-core").Browser} */
export let browser;
/** @type {Stage} */
export let stage;

before(async () => {
  stage = await Stage.start({ relay: true });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await stage?.stop();
});

/** @typedef {Omit<import("./people.js").PersonOptions, "stage" | "browser" | "user"> & {browser?: import("playwright-core").Browser}} Options browser: default that of all */

export class Scene {
  /** @type {(Person | GoPerson)[]} */
  people = [];

  /** A page with the library alone. @param {string} user @param {Options} [options] */
  async page(user, options) {
    return this.#add(await Person.open({ stage, browser, user, ...options }));
  }

  /** The default view. @param {string} user @param {Options} [options] */
  async view(user, options) {
    return this.#add(await Person.open({ stage, browser, user, view: true, ...options }));
  }

  /** A user in Go. @param {string} user @param {Record<string, any>} [options] */
  async go(user, options) {
    return this.#add(await GoPerson.open(stage, user, options));
  }

  /**
   * @template {Person | GoPerson} P
   * @param {P} p
   */
  #add(p) {
    this.people.push(p);
    return p;
  }

  async end() {
    const results = await Promise.allSettled(this.people.map((p) => p.close()));
    await stage.ask("network"); // as good as ever
    for (const r of results) if (r.status === "rejected") throw r.reason;
  }
}

/**
 * @param {string} name
 * @param {(s: Scene) => Promise<void>} play
 * @param {number} [timeout]
 */
export function scene(name, play, timeout = 300_000) {
  test(name, { timeout }, async () => {
    const s = new Scene();
    try {
      await play(s);
    } catch (e) {
      await s.end().catch((other) => console.error(other));
      throw e;
    }
    await s.end();
  });
}

/** What has no place in the order: devices and the connection. */
const beside = /^(onDevice|onConnectionState|onWarning|onUserAudioAvailable|onUserVideoAvailable|onFirstVideoFrame) /;

/**
 * The callbacks of the call itself came in this order, no more and no fewer.
 * @param {Person | GoPerson} p
 * @param {string[]} want
 */
export async function inOrder(p, want) {
  assert.deepEqual((await p.told()).filter((e) => !beside.test(e)), want, `what ${p.user} was told`);
}

/**
 * One comes before another: waits for all of them.
 * @param {Person | GoPerson} p
 * @param {...string} want
 */
export async function oneAfterAnother(p, ...want) {
  /** @type {string[]} */
  let told = [];
  await until(async () => {
    told = await p.told();
    let at = -1;
    return want.every((w) => (at = told.indexOf(w, at + 1)) >= 0);
  }, () => `${p.user} to be told ${want.join("; ")}, one after another, had ${told.join("; ")}`);
}
