// The default view: its parts, and which of them is shown. A client tells it of
// calls through its listener; see hooks/view.go.
import { Actions } from "./actions.js";
import { Bell } from "./bell.js";
import { CallScreen } from "./callscreen.js";
import { Contacts } from "./contacts.js";
import { attr, h } from "./dom.js";
import { ended, howItEnded } from "./ended.js";
import { clock, pick, Words } from "./i18n/index.js";
import { Listener } from "./listener.js";
import { inWords, message } from "./message.js";
import { Call, video } from "./model.js";
import { Notices } from "./notices.js";
import { People } from "./people.js";
import { Ringing } from "./ringing.js";

/** @typedef {{contacts?: () => Promise<import("./contacts.js").Contact[]>, language?: import("./i18n/index.js").Language, theme?: ""|"light"|"dark"}} Options */

const contactsEvery = 5; // seconds

export class View {
  /** @type {any} the Client */
  client = null;
  /** @type {Call|null} */
  call = null;
  /** @type {"connected"|"reconnecting"|"closed"} the connection */
  line = "connected";
  kicked = false;
  mini = false;
  /** Whether the call can be made a small window. */
  floating = true;
  /** @type {(() => void)|undefined} signs in again */
  restart = undefined;
  /** @type {Record<string, string>} devices, by their kinds */
  chosen = {};

  // What is on the page; of these, one covers the others.
  /** @type {People|null} */
  people = null;
  /** @type {{el: HTMLElement, of: import("./message.js").Message}|null} */
  message = null;
  /** @type {Ringing|null} */
  ringing = null;
  /** @type {CallScreen|null} */
  screen = null;
  /** @type {HTMLElement|null} */
  ended = null;
  /** @type {import("./sheet.js").Sheet|null} */
  sheet = null;

  /**
   * @param {HTMLElement} host
   * @param {Options} options
   */
  constructor(host, options) {
    this.words = new Words(options.language ?? pick(navigator.languages ?? [navigator.language]));
    /** @param {string} key @param {Record<string, string|number>} [values] */
    this.t = (key, values) => this.words.t(key, values);
    this.actions = new Actions(this);
    this.contacts = new Contacts(this, options.contacts);
    this.listener = new Listener(this);
    this.bell = new Bell();
    this.notices = new Notices(this);
    this.root = h("div", { class: "earshot" }, this.notices.el, this.notices.polite, this.notices.urgent);
    this.setTheme(options.theme ?? "");
    attr(this.root, "lang", this.words.tag);
    host.append(this.root);
    this.title = ""; // what the view has put in the place of the page's own
    this.own = "";
    this.ticks = 0;
    this.timer = setInterval(() => this.tick(), 1000);
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

  // What a page, or the person, may set.

  /** @param {import("./i18n/index.js").Language} language */
  setLanguage(language) {
    this.words.language = language;
    attr(this.root, "lang", this.words.tag);
    attr(this.notices.el, "aria-label", this.t("notice.title"));
    if (this.message) this.write(this.message.of);
    if (this.people) this.home();
    if (this.ended && this.call) this.end(this.call);
    this.draw();
  }

  /** @param {string} theme "light", "dark", or "" for the system's */
  setTheme(theme) {
    /** @type {""|"light"|"dark"} */
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

  /** @param {boolean} on */
  enableFloatingWindow(on) {
    this.floating = on;
    if (!on) this.mini = false;
    this.draw();
  }

  /** minimise makes the call a small window, or large again. @param {boolean} mini */
  minimise(mini) {
    this.mini = mini && this.floating;
    this.draw();
    if (this.mini) this.screen?.back.focus();
    else this.screen?.small.focus();
  }

  // Between calls.

  /** use shows the calls of a client that is signed in. @param {any} client */
  use(client) {
    this.client = client;
    this.line = "connected";
    this.chosen = {};
    this.message?.el.remove();
    this.message = null;
    this.home();
    this.contacts.load();
  }

  home() {
    const old = this.people;
    this.people = new People(this);
    if (old) {
      this.people.takeOver(old);
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
   * @param {string|(() => string)} words see Message
   * @param {string} [button] a key
   * @param {() => void} [action]
   */
  tell(picture, title, words, button = "", action) {
    this.drop();
    const m = { picture, title, words, button, action };
    this.write(m);
    this.notices.say(inWords(this, m), Boolean(title));
    this.cover();
  }

  /** @param {import("./message.js").Message} m */
  write(m) {
    this.message?.el.remove();
    this.message = { el: message(this, m), of: m };
    this.root.prepend(this.message.el);
  }

  /** cover puts what is covered out of reach. */
  cover() {
    const { sheet, ringing, ended, screen } = this;
    const top = sheet?.el ?? ringing?.el ?? ended ?? (this.mini ? null : screen?.el);
    for (const el of [this.people?.el, this.message?.el, screen?.el, ended, ringing?.el]) if (el) el.inert = Boolean(top) && el !== top;
  }

  // A call.

  /** present shows a call. @param {import("./model.js").ViewState} state */
  present(state) {
    this.over();
    const call = this.call = new Call(state, this.client.userID);
    for (const u of call.people.keys()) this.contacts.learn(u);
    this.show();
    const { t, contacts, notices } = this;
    if (call.ringing) {
      notices.say([call.nick || contacts.name(call.sponsor), t("ring." + (call.isGroup ? "groupVoice" : call.media === video ? "video" : "voice"))].join(" "), true);
    } else {
      notices.say(t(call.begun ? "call.begun" : call.outgoing ? "call.calling" : "call.entering", { names: contacts.names(call.others.map((p) => p.userID)) }));
    }
  }

  /** show shows the part that the call needs now. */
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

  /** dismiss ends the showing, and says how the call ended if it did. */
  dismiss() {
    const { call } = this;
    if (!call) return;
    if (call.end) this.end(call);
    else this.over();
    this.people?.load();
    this.contacts.load();
  }

  /** end shows how a call ended. @param {Call} call */
  end(call) {
    const { mini } = this;
    this.over();
    const { why, lasted } = howItEnded(this, call);
    const words = [why, lasted].filter(Boolean).join(" ");
    this.notices.say([this.t("end.title") + ".", words].join(" "));
    if (mini) return this.notices.show("ended", words); // one is busy elsewhere on the page
    this.call = call;
    this.ended = ended(this, call);
    this.root.insertBefore(this.ended, this.notices.el);
    this.cover();
    /** @type {HTMLElement} */ (this.ended.querySelector("h2")).focus();
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
    this.entitle("");
    this.cover();
  }

  /** close takes away how the call ended. */
  close() {
    this.over();
    this.people?.search.focus({ preventScroll: true });
  }

  // Time, and the tab.

  /** tick is called each second. */
  tick() {
    this.ticks++;
    const { call, t } = this;
    if (call && !this.ended) {
      if (this.screen) this.draw();
      const name = call.nick || this.contacts.name(call.sponsor);
      this.entitle(call.begun ? t("call.inTitle", { time: clock(Date.now() - call.begunAt) }) : call.ringing && this.ticks % 2 ? t("ring.title", { name }) : "");
    }
    if (this.client && !call && !document.hidden && this.ticks % contactsEvery === 0) this.contacts.load();
  }

  /** entitle gives the page a title, or with "" its own again, which it may have changed. @param {string} title */
  entitle(title) {
    if (!this.title || document.title !== this.title) this.own = document.title;
    if (document.title !== (title || this.own)) document.title = title || this.own;
    this.title = title && document.title; // which has less white space, it may be
  }

  /** seen: the tab was hidden, or is seen again. */
  seen() {
    if (document.hidden && this.call?.begun && !this.ended) this.notices.show("hidden", this.t("call.hidden"));
  }
}
