// People on pages: what they do, hear, see and are told.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const fake = readFileSync(new URL("./fake.js", import.meta.url), "utf8");
const probe = readFileSync(new URL("./probe.js", import.meta.url), "utf8");

/** What everybody sounds and looks like. @type {Record<string, {tone: number, colour: number[]}>} */
export const looks = {
  alice: { tone: 440, colour: [190, 40, 40] },
  bob: { tone: 620, colour: [40, 60, 190] },
  carol: { tone: 830, colour: [30, 140, 50] },
  dave: { tone: 1130, colour: [170, 140, 20] },
  erin: { tone: 1370, colour: [20, 140, 150] },
};
export const screenColour = [130, 40, 160];

const names = Object.keys(looks);
const tones = names.map((n) => looks[n].tone);

/**
 * Waits until test returns something true, and returns that.
 * @template T
 * @param {() => Promise<T | false | null | undefined> | T | false | null | undefined} test
 * @param {string | (() => unknown)} what is waited for, or what there is instead
 * @param {number} [ms]
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(test, what, ms = 25_000) {
  const end = Date.now() + ms;
  for (;;) {
    const got = await test();
    if (got) return /** @type {NonNullable<T>} */ (got);
    if (Date.now() > end) throw new Error(`waited ${ms / 1000} s for ${typeof what === "function" ? JSON.stringify(what()) : what}`);
    await new Promise((r) => setTimeout(r, 60));
  }
}

export const sleep = (/** @type {number} */ ms) => new Promise((r) => setTimeout(r, ms));

/** Who is among those heard: in at are amplitudes at tones. @param {{rms: number, at: number[]}} h */
const whom = (h) => names.filter((_, i) => h.at[i] > 0.03);

/**
 * @typedef {object} PersonOptions
 * @property {import("./stage.js").Stage} [stage]
 * @property {import("playwright-core").Browser} browser
 * @property {string} user
 * @property {boolean} [view] the default view, as its user opens it. Default: a bare page, with the library alone.
 * @property {RegExp[]} [errors] errors of the console that are part of the test. Default none.
 * @property {string[]} [deny] "microphone", "camera", "screen"
 * @property {Record<string, any>} [context] options of the browser's context
 * @property {Record<string, any>} [config] what dial is given beside the sign-in, on a bare page
 * @property {string} [script] runs before the page's
 * @property {boolean} [signIn] Default true.
 * @property {string} [path] of the page
 * @property {boolean} [probe] devices with which delays are measured: see probe.js. Default false.
 * @property {string} [picture] where a page of another kind shows the other, a selector
 */

/** Somebody on a page. Whatever goes wrong on it fails close. */
export class Person {
  /**
   * @param {PersonOptions} options
   * @param {import("playwright-core").BrowserContext} context
   * @param {import("playwright-core").Page} page
   */
  constructor(options, context, page) {
    this.options = options;
    this.user = options.user;
    this.context = context;
    this.page = page;
    /** @type {string[]} */
    this.wrong = [];
    page.on("console", (m) => {
      if (m.type() !== "error" && m.type() !== "warning") return;
      this.#note(`console ${m.type()}: ${m.text()} ${m.location().url}`);
    });
    page.on("pageerror", (e) => this.#note(`error: ${e.stack || e}`));
    page.on("crash", () => this.#note("the page crashed"));
  }

  /** @param {string} text */
  #note(text) {
    if (!(this.options.errors ?? []).some((r) => r.test(text))) this.wrong.push(text);
  }

  /** On a page of another kind. @param {string} address @param {PersonOptions} options */
  static async at(address, options) {
    const p = await Person.#make(options);
    await p.page.goto(address);
    return p;
  }

  /** @param {PersonOptions} options */
  static async #make(options) {
    const context = await options.browser.newContext({ viewport: { width: 1000, height: 700 }, locale: "en", reducedMotion: "reduce", ...options.context });
    const look = looks[options.user] ?? looks.alice;
    await context.addInitScript(`globalThis.devices = ${JSON.stringify({ ...look, deny: options.deny ?? [] })};${options.script ?? ""}`);
    await context.addInitScript(fake);
    if (options.probe) await context.addInitScript(probe);
    const page = await context.newPage();
    return new Person(options, context, page);
  }

  /** @param {PersonOptions & {stage: import("./stage.js").Stage}} options */
  static async open(options) {
    const p = await Person.#make(options);
    if (options.view) {
      const { link } = await options.stage.ask("link", { user: p.user, text: options.path ?? "" });
      await p.page.goto(link);
      if (options.signIn !== false) await p.page.locator(".es-home").waitFor();
    } else {
      await p.page.goto(`${options.stage.page}pages/bare.html`);
      if (options.signIn !== false) await p.signIn({ ...(options.probe && { workerURL: "/pages/probe-worker.js" }), ...options.config });
    }
    return p;
  }

  /** @param {Record<string, any>} [config] */
  async signIn(config = {}) {
    const stage = /** @type {import("./stage.js").Stage} */ (this.options.stage);
    const { id, ...credentials } = await stage.ask("credentials", { user: this.user });
    await until(() => this.page.evaluate("Boolean(globalThis.bare)"), "the bare page");
    await this.page.evaluate((c) => globalThis.bare.signIn(c), { ...credentials, ...config });
  }

  /**
   * Calls a function of the client's, on a bare page.
   * @param {string} name
   * @param {...any} args
   */
  async do(name, ...args) {
    const failed = await this.page.evaluate(([n, a]) => globalThis.bare.do(n, a), [name, args]);
    if (failed && typeof failed === "object" && "failed" in failed) throw Object.assign(new Error(`${this.user}.${name}: ${failed.failed}`), { code: failed.code });
    return failed;
  }

  /** The callbacks so far, as "name arg arg". @returns {Promise<string[]>} */
  async told() {
    return (await this.page.evaluate("bare.events")).map(words);
  }

  /** Waits for a callback. @param {string} what @param {number} [ms] */
  async waitFor(what, ms) {
    /** @type {string[]} */
    let have = [];
    await until(async () => (have = await this.told()).includes(what), () => `${this.user}: ${what}, had ${have.join("; ")}`, ms);
  }

  /** Forgets the callbacks so far. */
  forget() {
    return this.page.evaluate("bare.events.length = 0");
  }

  /**
   * Hears these, each by their own tone, and nobody else.
   * @param {...string} who
   */
  async hears(...who) {
    try {
      await hearing(this.user, () => this.page.evaluate((hz) => globalThis.fake.heard(hz), tones), who);
    } catch (e) {
      const stats = await this.page.evaluate(() => globalThis.bare?.client?.stats()).catch(() => null);
      if (stats) /** @type {Error} */ (e).message += `; ${JSON.stringify(stats.media?.audio ?? stats)}`;
      throw e;
    }
  }

  /** Whether the bell, or the tone of a call that rings elsewhere, is heard. */
  async rings() {
    const h = await this.page.evaluate(() => globalThis.fake.heard([], false));
    return h.rms > 0.002;
  }

  /** @param {string} user */
  #picture(user) {
    if (this.options.picture) return this.options.picture;
    if (!this.options.view) return `[data-user="${user}"] .earshot-video`;
    return user === this.user ? '.es-tile[aria-label^="You"] video' : `.es-tile[aria-label^="${user}"] canvas`;
  }

  /**
   * Sees a user's picture move, in their colour.
   * @param {string} user
   * @param {number[]} [colour]
   */
  async sees(user, colour = looks[user].colour) {
    /** @type {any} */
    let last = null;
    const look = async () => {
      const s = (last = await this.page.evaluate((q) => globalThis.fake.seen(q), this.#picture(user)));
      if (!s || s.mark < 0 || s.colour.some((/** @type {number} */ c, /** @type {number} */ i) => Math.abs(c - colour[i]) > 45)) return null;
      return s;
    };
    const what = () => `${this.user} to see ${user} in ${colour}, there is ${JSON.stringify(last && { ...last, print: undefined })}`;
    const first = await until(look, what);
    let now = first;
    await until(async () => {
      const s = await look();
      if (s) now = s;
      return s && Math.abs(s.mark - first.mark) > 0.04;
    }, () => `the mark of ${user} to move, it stays at ${now.mark}`);
    return now;
  }

  /** Sees a picture that changes, whatever it is: that of a Go client's file. @param {string} user */
  async seesMotion(user) {
    const look = () => this.page.evaluate((q) => globalThis.fake.seen(q), this.#picture(user));
    const first = await until(async () => { const s = await look(); return s && s.width > 2 && s; }, `${this.user} to see ${user}`);
    await until(async () => (await look())?.print !== first.print, `the picture of ${user} to change`);
    return first;
  }

  /** Has no picture of a user. @param {string} user */
  async seesNothingOf(user) {
    await until(async () => !(await this.page.locator(this.#picture(user)).isVisible()), `${this.user} to see nothing of ${user}`);
  }

  /** Waits for words that stand for some seconds only, from before what brings them. @param {string} text @param {() => Promise<unknown>} act @param {number} [timeout] */
  async readsOn(text, act, timeout) {
    await Promise.all([this.reads(text, timeout), act()]);
  }

  /** Clicks a button by its words. @param {string | RegExp} name */
  async click(name) {
    await this.page.getByRole("button", { name, exact: typeof name === "string" }).click({ timeout: 25_000 });
  }

  /** Waits for words anywhere on the page. @param {string} text @param {number} [timeout] */
  async reads(text, timeout = 25_000) {
    await this.page.getByText(text).filter({ visible: true }).first().waitFor({ timeout });
  }

  /** Ends, and fails if anything went wrong on the page. */
  async close() {
    if (this.closed) return;
    this.closed = true;
    await this.page.evaluate(() => globalThis.bare?.client?.destroy()).catch(() => {});
    const violations = await this.page.evaluate("fake.violations").catch(() => []);
    await this.context.close();
    assert.deepEqual([...this.wrong, ...violations], [], `what went wrong on ${this.user}'s page`);
  }
}

/** A user in Go. */
export class GoPerson {
  /** @param {import("./stage.js").Stage} stage @param {string} user */
  constructor(stage, user) {
    this.stage = stage;
    this.user = user;
  }

  /** @param {import("./stage.js").Stage} stage @param {string} user @param {Record<string, any>} [options] */
  static async open(stage, user, options = {}) {
    await stage.ask("client", { user, tone: looks[user].tone, ...options });
    return new GoPerson(stage, user);
  }

  /** @param {string} what @param {Record<string, any>} [details] */
  do(what, details) {
    return this.stage.ask(what, { user: this.user, ...details });
  }

  /** @returns {Promise<string[]>} */
  async told() {
    return (await this.do("events")).events.map(words);
  }

  /** @param {string} what @param {number} [ms] */
  async waitFor(what, ms) {
    /** @type {string[]} */
    let have = [];
    await until(async () => (have = await this.told()).includes(what), () => `${this.user}: ${what}, had ${have.join("; ")}`, ms);
  }

  /** @param {...string} who */
  async hears(...who) {
    await hearing(this.user, () => this.do("heard", { ms: 170, hz: tones }), who);
  }

  /** Is shown n more pictures of a user, and had a key frame. @param {string} user */
  async sees(user, n = 8) {
    const look = async () => (await this.do("seen")).seen[user] ?? { frames: 0, keys: 0 };
    const before = (await look()).frames;
    return until(async () => { const s = await look(); return s.frames >= before + n && s.keys > 0 && s; }, `${this.user} to see ${user}`);
  }

  async close() {
    if (this.closed) return;
    this.closed = true;
    await this.do("leave");
  }
}

/** @param {{name: string, args: any[]}} e */
function words({ name, args }) {
  return [name, ...args.map((a) => (Array.isArray(a) ? a.join(",") : String(a)))].join(" ");
}

/**
 * @param {string} user
 * @param {() => Promise<{rms: number, at: number[]}>} ear
 * @param {string[]} who
 */
async function hearing(user, ear, who) {
  const want = names.filter((n) => who.includes(n)).join();
  /** @type {any} */
  let last;
  await until(async () => {
    last = await ear();
    const loud = who.length === 0 ? last.rms < 0.01 : last.rms > 0.05;
    return loud && whom(last).join() === want;
  }, () => `${user} to hear ${want || "nobody"}, the RMS is ${last.rms.toFixed(3)}, of ${names.map((n, i) => `${n} ${last.at[i].toFixed(3)}`).join(", ")}`);
}
