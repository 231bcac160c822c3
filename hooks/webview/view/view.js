// The default view: what a client shows its calls to (see hooks/view.go), and the
// page around them.
import { attr, h } from "./dom.js";
import { Bell } from "./bell.js";
import { CallScreen } from "./callscreen.js";
import { icon } from "./icons.js";
import { clock, pick, Words } from "./i18n/index.js";
import { Call, video } from "./model.js";
import { Notices } from "./notices.js";
import { People } from "./people.js";
import { Ringing } from "./ringing.js";
import { face } from "./tile.js";

/**
 * @typedef {{userID: string, nick?: string, online: boolean}} Contact
 * @typedef {{contacts?: () => Promise<Contact[]>, language?: import("./i18n/index.js").Language, theme?: ""|"light"|"dark"}} Options
 */

const contactsEvery = 5000;

export class View {
  /**
   * @param {HTMLElement} host
   * @param {Options} options
   */
  constructor(host, options) {
    this.options = options;
    this.words = new Words(options.language ?? pick(navigator.languages ?? [navigator.language]));
    /** @param {string} key @param {Record<string, string|number>} [values] */
    this.t = (key, values) => this.words.t(key, values);
    /** @type {""|"light"|"dark"} */
    this.theme = options.theme ?? "";
    /** @type {any} the Client */
    this.client = null;
    /** @type {Call|null} */
    this.call = null;
    /** @type {Contact[]} */
    this.contacts = [];
    /** @type {Map<string, string>} */
    this.nicks = new Map();
    /** @type {Set<string>} */
    this.asked = new Set();
    /** @type {Set<string>} devices that do not work */
    this.problems = new Set();
    /** @type {Record<string, string>} */
    this.chosen = {}; // devices
    this.line = "connected";
    this.mini = false;
    this.floating = true;
    this.bell = new Bell();
    /** @type {People|null} */
    this.people = null;
    /** @type {Ringing|null} */
    this.ringing = null;
    /** @type {CallScreen|null} */
    this.screen = null;
    /** @type {HTMLElement|null} */
    this.ended = null;
    /** @type {HTMLElement|null} */
    this.message = null;
    /** @type {(() => void)|null} draws the message again, in another language */
    this.redraw = null;
    /** @type {import("./sheet.js").Sheet|null} */
    this.sheet = null;
    this.notices = new Notices(this);
    this.root = h("div", { class: "earshot" }, this.notices.el, this.notices.polite, this.notices.urgent);
    this.setTheme(this.theme);
    attr(this.root, "lang", this.words.tag);
    host.append(this.root);
    this.title = document.title;
    this.timer = setInterval(() => this.tick(), 1000);
    this.ticks = 0;
    this.leaving = new AbortController();
    const on = { signal: this.leaving.signal };
    document.addEventListener("visibilitychange", () => this.seen(), on);
    document.addEventListener("fullscreenchange", () => this.draw(), on);
    addEventListener("resize", () => this.screen?.layout(), on);
  }

  /** remove takes the view out of the page. */
  remove() {
    clearInterval(this.timer);
    this.leaving.abort();
    this.notices.clear();
    this.drop();
    this.root.remove();
  }

  // What a page may set.

  /** @param {import("./i18n/index.js").Language} language */
  setLanguage(language) {
    this.words.language = language;
    attr(this.root, "lang", this.words.tag);
    attr(this.notices.el, "aria-label", this.t("notice.title"));
    if (this.message) this.redraw?.();
    if (this.people) this.home();
    if (this.ended && this.call) this.end(this.call);
    this.draw();
  }

  /** @param {string} theme "light", "dark", or "" for the system's */
  setTheme(theme) {
    this.theme = theme === "light" || theme === "dark" ? theme : "";
    attr(this.root, "data-theme", this.theme || null);
  }

  /** @param {boolean} silent */
  enableMuteMode(silent) {
    this.bell.silent = silent;
    if (this.bell.what === "ring") {
      this.bell.stop();
      this.bell.ring();
    }
  }

  // What the parts ask.

  /** name is how a user is shown. @param {string} userID */
  name(userID) {
    return this.contacts.find((c) => c.userID === userID)?.nick || this.nicks.get(userID) || userID;
  }

  /** learn asks how a user wants to be shown. @param {string} userID */
  async learn(userID) {
    if (!userID || this.asked.has(userID) || this.contacts.some((c) => c.userID === userID && c.nick)) return;
    this.asked.add(userID);
    const info = await this.quietly(() => this.client.userInfo(userID));
    if (!info?.nick) return;
    this.nicks.set(userID, String(info.nick).slice(0, 64));
    this.people?.draw();
    this.people?.drawRecent();
    this.draw();
  }

  /** @param {Contact} c @param {string} wish */
  matches(c, wish) {
    const w = wish.toLowerCase();
    return !w || c.userID.toLowerCase().includes(w) || (c.nick ?? "").toLowerCase().includes(w);
  }

  /** callable is whether words are a user ID of somebody else. @param {string} id */
  callable(id) {
    return /^[A-Za-z0-9_-]{1,32}$/.test(id) && id !== this.client?.userID;
  }

  /**
   * act does what a person asked for, and says what went wrong.
   * @param {() => any} run
   */
  async act(run) {
    try {
      await run();
      return true;
    } catch (error) {
      this.explain(error);
      return false;
    } finally {
      this.draw();
    }
  }

  /** quietly does what nobody asked for. @param {() => any} run */
  async quietly(run) {
    try {
      return await run();
    } catch (error) {
      console.debug("earshot:", error);
      return undefined;
    }
  }

  /** @param {any} error */
  explain(error) {
    this.notices.show("error", this.words.code(typeof error?.code === "number" ? error.code : -1), { weight: "error", seconds: 12 });
  }

  /**
   * @param {string[]} users
   * @param {number} media
   * @param {string} [groupID]
   * @param {boolean} [group]
   */
  dial(users, media, groupID = "", group = users.length > 1) {
    return this.act(() => (group ? this.client.groupCall(users, media, groupID) : this.client.call(users[0], media)));
  }

  /** accept answers, with the camera on or off. @param {boolean} camera */
  async accept(camera) {
    const { call } = this;
    if (camera) return this.client.accept();
    if (call) call.cameraOn = false;
    await this.client.accept({ camera: false });
  }

  /** @param {boolean} muted */
  setMuted(muted) {
    return this.act(async () => {
      await this.client.setMicMute(muted);
      if (this.call) this.call.micMuted = muted;
      this.notices.hide("microphone");
    });
  }

  /** @param {boolean} on */
  setCamera(on) {
    return this.act(async () => {
      await (on ? this.client.openCamera() : this.client.closeCamera());
      if (this.call) this.call.cameraOn = on;
      this.notices.hide("camera");
    });
  }

  /** @param {boolean} on */
  share(on) {
    return this.act(async () => {
      try {
        await (on ? this.client.startScreenShare() : this.client.stopScreenShare());
      } catch (error) {
        if (/** @type {any} */ (error)?.name === "NotAllowedError") return; // thought better of it
        throw error;
      }
      if (this.call) this.call.sharing = on;
    });
  }

  /** minimise makes the call a small window, or large again. @param {boolean} mini */
  minimise(mini) {
    this.mini = mini && this.floating;
    this.draw();
    if (this.mini) this.screen?.back.focus();
    else this.screen?.small.focus();
  }

  async loadContacts() {
    const { contacts } = this.options;
    if (!contacts) return;
    try {
      this.contacts = (await contacts()).filter((c) => c && typeof c.userID === "string");
      this.notices.hide("contacts");
      this.deaf = false;
    } catch (error) {
      console.debug("earshot:", error);
      if (!this.deaf) this.notices.show("contacts", this.t("idle.contactsFailed"), { weight: "warning" });
      this.deaf = true; // said once
    }
    this.people?.draw();
  }

  // The page.

  /** use shows the calls of a client that is signed in. @param {any} client */
  use(client) {
    this.client = client;
    this.line = "connected";
    this.message?.remove();
    this.message = null;
    this.home();
    this.loadContacts();
    this.cover();
  }

  home() {
    const old = this.people;
    this.people = new People(this);
    if (old) {
      this.people.records = old.records;
      this.people.next = old.next;
      this.people.chosen = old.chosen;
      this.people.draw(true);
      this.people.drawRecent();
      old.el.replaceWith(this.people.el);
    } else {
      this.root.prepend(this.people.el);
      this.people.load();
    }
    this.cover();
  }

  /** drop takes away all that belongs to a client. */
  drop() {
    this.over();
    this.people?.el.remove();
    this.people = null;
    this.client = null;
  }

  /**
   * tell shows words instead of all else.
   * @param {string} picture
   * @param {string} title a key, or "" for none
   * @param {string} words a key
   * @param {string} [button] a key
   * @param {() => void} [action]
   */
  tell(picture, title, words, button = "", action) {
    this.drop();
    this.redraw = () => {
      this.message?.remove();
      this.message = h("main", { class: "es-message" }, h("div", { class: picture === "wave" ? "es-badge es-working" : "es-badge" }, icon(picture)),
        h("h1", { tabIndex: -1 }, this.t(title || words)), title && h("p", {}, this.t(words)),
        button && h("button", { class: "es-button es-primary", type: "button", onclick: action }, this.t(button)));
      this.root.prepend(this.message);
    };
    this.redraw();
    this.notices.say(this.t(words), Boolean(title));
    this.cover();
  }

  /** cover puts what is covered out of reach. */
  cover() {
    const { sheet, ringing, ended, screen } = this;
    const top = sheet?.el ?? ringing?.el ?? ended ?? (this.mini ? null : screen?.el);
    for (const el of [this.people?.el, this.message, screen?.el, ended, ringing?.el]) if (el) el.inert = Boolean(top) && el !== top;
  }

  // The view of hooks/view.go.

  /** @param {import("./model.js").ViewState} state */
  present(state) {
    this.over();
    this.call = new Call(state, this.client.userID);
    for (const p of this.call.people.keys()) this.learn(p);
    this.sheet?.close();
    this.show();
    const { call } = this;
    if (call.ringing) {
      this.notices.say([call.nick || this.name(call.sponsor), this.t("ring." + (call.isGroup ? "groupVoice" : call.media === video ? "video" : "voice"))].join(" "), true);
    } else {
      this.notices.say(this.t(call.begun ? "call.begun" : call.outgoing ? "call.calling" : "call.entering", { names: this.words.list(call.others.map((p) => this.name(p.userID))) }));
    }
  }

  /** show shows the call as it is now. */
  show() {
    const { call } = this;
    if (!call) return;
    if (call.ringing) {
      this.ringing ??= new Ringing(this);
      this.root.append(this.ringing.el);
      this.draw();
      this.bell.ring();
      this.ringing.el.focus();
    } else {
      this.ringing?.el.remove();
      this.ringing = null;
      if (call.outgoing && !call.begun) this.bell.ringback();
      else this.bell.stop();
      if (!this.screen) {
        this.screen = new CallScreen(this);
        this.root.insertBefore(this.screen.el, this.notices.el);
        this.draw();
        this.screen.title.focus();
      }
    }
    this.draw();
    this.cover();
  }

  /** @param {string} _callID */
  dismiss(_callID) {
    const { call } = this;
    if (!call) return;
    if (call.end) this.end(call);
    else this.over();
    this.people?.load();
    this.loadContacts();
  }

  /** over takes the call away. */
  over() {
    this.bell.stop();
    this.sheet?.close();
    this.ringing?.el.remove();
    this.screen?.close(Boolean(this.call?.end));
    this.ended?.remove();
    for (const about of ["call", "hidden", "sound", "microphone", "camera", "screen"]) this.notices.hide(about);
    this.ringing = this.screen = this.ended = this.call = null;
    this.mini = false;
    document.title = this.title;
    this.cover();
  }

  /** end shows how a call ended. @param {Call} call */
  end(call) {
    const { t } = this;
    const mini = this.mini;
    this.over();
    const why = t(call.endKey((key) => this.words.has(key)));
    const lasted = call.begun && call.end ? t("end.lasted", { time: clock(call.end.durationMS) }) : "";
    const words = [why, lasted].filter(Boolean).join(" ");
    this.notices.say([t("end.title") + ".", words].join(" "));
    if (mini) return this.notices.show("ended", words); // one is busy elsewhere on the page
    this.call = call;
    const users = [...call.everybody];
    const who = call.sponsor || users[0] || "";
    const again = () => { this.over(); this.dial(users, call.media, call.groupID, call.isGroup); };
    this.ended = h("section", { class: "es-ended", "aria-label": t("end.title"), onkeydown: (/** @type {KeyboardEvent} */ e) => { if (e.key === "Escape") this.close(); } },
      h("div", { class: "es-caller" }, who && face(who, this.name(who)), h("h2", { tabIndex: -1 }, t("end.title")), h("p", {}, this.words.list(users.map((u) => (u === call.sponsor && call.nick) || this.name(u)))),
        h("p", { class: "es-why" }, why), lasted && h("p", { class: "es-lasted" }, icon("clock"), lasted)),
      h("div", { class: "es-row" }, users.length > 0 && h("button", { class: "es-button", type: "button", onclick: again }, icon(call.media === video ? "camera" : "phone"), t("end.again")),
        h("button", { class: "es-button es-primary", type: "button", onclick: () => this.close() }, t("end.close"))));
    this.root.insertBefore(this.ended, this.notices.el);
    this.cover();
    /** @type {HTMLElement} */ (this.ended.querySelector("h2")).focus();
  }

  close() {
    this.over();
    this.people?.search.focus({ preventScroll: true });
  }

  /** draw shows what has changed. */
  draw() {
    const { call } = this;
    if (!call || this.ended) return;
    const now = this.client?.callState?.(); // one's own devices open and close without a callback
    if (now?.callID === call.callID) {
      call.micMuted = now.micMuted;
      if (!call.sharing) call.cameraOn = now.cameraOn;
    }
    this.ringing?.update(call);
    this.screen?.update(call);
    this.cover();
  }

  /** tick is called each second. */
  tick() {
    this.ticks++;
    const { call } = this;
    if (call && !this.ended) {
      if (this.screen) this.draw();
      const name = call.nick || this.name(call.sponsor);
      const title = call.ringing ? (this.ticks % 2 ? this.t("ring.title", { name }) : this.title) : call.begun ? this.t("call.inTitle", { time: clock(Date.now() - call.begunAt) }) : this.title;
      if (document.title !== title) document.title = title;
    }
    if (this.client && !call && !document.hidden && this.ticks % (contactsEvery / 1000) === 0) this.loadContacts();
  }

  /** seen: the tab was hidden, or is seen again. */
  seen() {
    if (document.hidden && this.call?.begun && !this.ended) this.notices.show("hidden", this.t("call.hidden"));
  }

  /**
   * change changes the call, and shows and says it.
   * @param {(call: Call) => string|void} how it returns what to say
   */
  change(how) {
    if (!this.call || this.ended) return;
    const words = how(this.call);
    this.draw();
    if (words) this.notices.show("call", words, { seconds: 4 });
  }

  // The listener of hooks/listener.go.

  /** @param {number} code */
  onError(code) {
    if (code === -1301 || code === -1302) { // onDevice says it better
      const kind = code === -1301 ? "camera" : "microphone";
      if (!this.notices.shown.has(kind)) this.notices.show(kind, this.words.code(code), { weight: "error", seconds: 12 });
      return;
    }
    this.notices.show("error", this.words.code(code), { weight: "error", seconds: 12 });
  }

  /** @param {number} code */
  onWarning(code) {
    if (code === 6007) return this.onConnectionState("reconnecting");
    this.notices.show("warning" + code, this.words.code(code), { weight: "warning" });
  }

  /** @param {string[]} userIDs */
  onGroupCallInviteeListUpdate(userIDs) {
    this.change((call) => call.invitees(userIDs));
    for (const u of userIDs) this.learn(u);
  }

  /** @param {string} user */
  onAccept(user) {
    this.change((call) => (call.grid ? this.t("call.accepted", { name: this.name(user) }) : ""));
  }

  /** @param {string} user */
  onReject(user) {
    this.gone(user, "rejected", "call.userRejected");
  }

  /** @param {string} user */
  onLineBusy(user) {
    this.gone(user, "busy", "call.userBusy");
  }

  /** @param {string} user */
  onNoResp(user) {
    this.gone(user, "noAnswer", "call.userNoAnswer");
  }

  /**
   * gone is an invited user who does not come; their tile stays a moment.
   * @param {string} user
   * @param {import("./model.js").Presence} presence
   * @param {string} words
   */
  gone(user, presence, words) {
    this.change((call) => {
      call.answered(user, presence);
      if (!call.grid) return "";
      setTimeout(() => this.change((now) => { if (now === call && call.people.get(user)?.presence === presence) call.forget(user); }), 4000);
      return this.t(words, { name: this.name(user) });
    });
  }

  /** @param {number} result */
  onEnterRoom(result) {
    this.change((call) => {
      if (result < 0) {
        call.failed = result;
        return;
      }
      call.entered = true;
      call.ringing = false;
    });
    if (result < 0) this.notices.show("error", this.words.code(result), { weight: "error", seconds: 12 });
    else this.show();
  }

  /** @param {string} user */
  onUserEnter(user) {
    this.learn(user);
    this.change((call) => {
      call.enter(user);
      return call.begun && call.grid ? this.t("call.joined", { name: this.name(user) }) : "";
    });
  }

  /** @param {string} user @param {number} reason */
  onUserLeave(user, reason) {
    this.change((call) => {
      call.leave(user);
      const words = { 1: "call.lost", 2: "call.taken" }[reason] ?? (call.people.size > 0 ? "call.left" : "");
      return words && this.t(words, { name: this.name(user) });
    });
  }

  onCallBegin() {
    const { call } = this;
    if (!call || this.ended) return;
    call.begin(Date.now());
    this.show();
    this.notices.say(this.t("call.begun", { names: this.words.list(call.present.map((p) => this.name(p.userID))) }));
  }

  /** @param {any} _call @param {number} reason @param {number} durationMS */
  onCallEnd(_call, reason, durationMS) {
    if (this.call && !this.ended) this.call.end = { reason, durationMS };
    this.bell.stop();
  }

  onCallingCancel() {
    if (this.call && !this.ended) this.call.end ??= { reason: 6, durationMS: 0 };
  }

  /** @param {string[]} users */
  onCallingTimeout(users) {
    if (this.call && !this.ended && users.length === 0) this.call.end ??= { reason: 3, durationMS: 0 };
  }

  /** @param {string} user @param {boolean} on */
  onUserAudioAvailable(user, on) {
    this.change((call) => { call.person(user).audio = on; });
  }

  /** @param {string} user @param {boolean} on */
  onUserVideoAvailable(user, on) {
    this.change((call) => {
      const p = call.person(user);
      p.video = on;
      if (!on) p.picture = false;
    });
  }

  /** @param {string} user @param {number} width @param {number} height */
  onFirstVideoFrame(user, width, height) {
    this.change((call) => { Object.assign(call.person(user), { picture: true, aspect: width / height || 0 }); });
  }

  /** @param {number} _from @param {number} to */
  onCallMediaTypeChanged(_from, to) {
    this.change((call) => {
      call.media = to;
      call.sharing = false;
      call.cameraOn = to === video && (this.client.callState?.()?.cameraOn ?? true);
      return this.t(to === video ? "call.nowVideo" : "call.nowVoice");
    });
  }

  /** @param {{userID: string, volume: number, voice?: boolean}[]} volumes */
  onUserVoiceVolume(volumes) {
    this.change((call) => call.volumes(volumes));
  }

  /** @param {string} user */
  onDominantSpeaker(user) {
    this.change((call) => { call.floor = user; });
  }

  /** @param {any} local @param {any[]} remote */
  onNetworkQuality(local, remote) {
    this.change((call) => call.qualities(local, remote));
  }

  onKickedOffline() {
    this.stopped = "kicked";
    this.tell("lock", "app.kickedTitle", "app.kicked", this.restart && "app.here", this.restart);
  }

  onUserSigExpired() {
    this.notices.show("sig", this.t("app.sigExpiredTitle") + ". " + this.t("app.sigExpired"), { weight: "warning", seconds: 0 });
  }

  // Beyond the engine's: what only pages have.

  /** @param {"connected"|"reconnecting"|"closed"} state */
  onConnectionState(state) {
    const before = this.line;
    this.line = state;
    if (state === "reconnecting" && before !== state) this.notices.show("line", this.t("line.reconnecting"), { weight: "warning", seconds: 0 });
    if (state === "connected" && before === "reconnecting") this.notices.show("line", this.t("line.back"), { seconds: 4 });
    if (state === "closed" && !this.stopped) {
      this.notices.hide("line");
      this.tell("warning", "app.closedTitle", "line.closed", this.restart && "app.retry", this.restart);
    }
    this.people?.draw();
  }

  /** @param {{kind: string, problem: string}} d */
  onDevice({ kind, problem }) {
    const key = `device.${kind}.${problem}`;
    if (!this.words.has(key)) return;
    const { call } = this;
    const before = this.problems.has(kind);
    if (problem) this.problems.add(kind); else this.problems.delete(kind);
    this.draw();
    if (!problem && !before) return; // it was opened, as it should be
    if (call && problem && kind === "camera" && problem !== "muted") call.cameraOn = false;
    if (call && problem && kind === "screen" && problem !== "muted") call.sharing = false;
    this.notices.show(kind, this.t(key), problem ? { weight: "warning", seconds: 0 } : { seconds: 4 });
    this.draw();
  }

  onAutoplayBlocked() {
    this.notices.show("sound", this.t("sound.blocked"), { weight: "warning", seconds: 0, button: this.t("sound.play"), action: () => this.act(() => this.client.resumeSound()) });
  }

  onScreenShareEnded() {
    this.change((call) => { call.sharing = false; });
  }

  /** @type {(() => void)|undefined} signs in again */
  restart = undefined;
  /** Whether the contacts could not be loaded the last time. */
  deaf = false;
  /** @type {string} why it is over for good */
  stopped = "";
}
