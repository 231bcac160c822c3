// A page with the library alone: every callback is noted, every camera shown.
import * as earshot from "/client/index.js";

const bare = {
  earshot,
  /** @type {any} */
  client: null,
  /** @type {{name: string, args: any[]}[]} */
  events: [],
  /** @type {any} what came last of what comes often */
  last: {},
  /** @type {any[]} what a view was told */
  views: [],

  /** @param {any} config */
  async signIn(config) {
    const { view, auto = true, ...rest } = config;
    bare.auto = auto;
    bare.client = await earshot.dial({
      ...rest, listener, view: view ? standard : null,
      refresh: async () => (await fetch("/connection")).json(),
    });
  },
  auto: true,

  /** @param {string} name @param {any[]} args */
  async do(name, args) {
    try {
      const got = await bare.client[name](...args);
      return got === undefined ? null : got;
    } catch (e) {
      return { failed: String(/** @type {any} */ (e)?.message ?? e), code: /** @type {any} */ (e)?.code };
    }
  },

  /** @param {string} user */
  frame(user) {
    let e = document.querySelector(`[data-user="${user}"]`);
    if (!e) {
      e = document.createElement("div");
      e.setAttribute("data-user", user);
      /** @type {HTMLElement} */ (e).style.cssText = "width:320px;height:240px";
      document.body.append(e);
    }
    return e;
  },
};

const often = new Set(["onUserVoiceVolume", "onNetworkQuality", "onTargetBitrate", "onDominantSpeaker"]);
const listener = new Proxy({}, {
  get: (_, name) => (typeof name !== "string" || !name.startsWith("on") ? undefined : (/** @type {any[]} */ ...args) => note(name, args)),
  has: (_, name) => typeof name === "string" && name.startsWith("on"),
});

/** @param {string} name @param {any[]} args */
function note(name, args) {
  if (often.has(name)) {
    bare.last[name] = args;
    return;
  }
  // The same words as those of the users in Go.
  const plain = {
    onInvited: (/** @type {any} */ i) => [i.sponsor],
    onCallReceived: (/** @type {any} */ c) => [c.inviter],
    onCallBegin: () => [],
    onCallEnd: (/** @type {any} */ _, /** @type {number} */ reason) => [reason],
    onEnterRoom: (/** @type {number} */ r) => [Math.min(0, r)],
    onWarning: (/** @type {number} */ code) => [code],
    onDevice: (/** @type {any} */ d) => [d.kind, d.problem],
    onConnectionState: (/** @type {string} */ s) => [s],
  }[name];
  bare.events.push({ name, args: plain ? plain(...args) : args });
  if (name === "onUserVideoAvailable" && args[1] && bare.auto) bare.client.startRemoteView(args[0], bare.frame(args[0])).catch((/** @type {any} */ e) => bare.events.push({ name: "viewFailed", args: [e.message] }));
  if (name === "onUserVideoAvailable" && !args[1]) bare.frame(args[0]).remove();
}

const standard = {
  present: (/** @type {any} */ state) => { bare.views.push(["present", state.ringing ? "ringing" : state.begun ? "begun" : "dialling"]); },
  dismiss: () => { bare.views.push(["dismiss"]); },
};

Object.assign(globalThis, { bare });
