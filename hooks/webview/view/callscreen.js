// A call that was answered, or waits for an answer: the people in it and what one
// can do. Alone with one other, they are large and one's own picture is small; of
// more, each has a tile. Minimised, it is a small window over the page.
import { attr, h, put, text } from "./dom.js";
import { bars, icon } from "./icons.js";
import { clock } from "./i18n/index.js";
import { fullBars, gridShape, video } from "./model.js";
import { movable } from "./move.js";
import { invite, settings } from "./sheet.js";
import { Tile } from "./tile.js";

/** A Control is a button with a picture and words below it. */
class Control {
  /** @param {string} kind @param {() => any} run */
  constructor(kind, run) {
    this.picture = "";
    this.dot = h("span", { class: "es-dot" });
    this.words = h("span", { class: "es-words" });
    this.el = h("button", { class: "es-control es-" + kind, type: "button", onclick: run }, this.dot, this.words);
  }

  /** @param {string} picture @param {string} words @param {boolean} [off] shown as turned off */
  set(picture, words, off = false) {
    if (this.picture !== picture) put(this.dot, [icon(picture)]);
    this.picture = picture;
    text(this.words, words);
    this.el.title = words;
    this.el.classList.toggle("es-off", off);
  }
}

export class CallScreen {
  /** @param {import("./view.js").View} app */
  constructor(app) {
    this.app = app;
    /** @type {Map<string, Tile>} */
    this.tiles = new Map();
    /** @type {Set<string>} whose video the client draws */
    this.watched = new Set();
    this.previewing = false;
    this.self = new Tile(app);
    this.title = h("h2", { class: "es-title", tabIndex: -1 });
    this.time = h("span", { class: "es-time" });
    this.line = h("span", { class: "es-line" });
    this.sharing = h("p", { class: "es-sharing" }, icon("screen"), h("span", {}));
    const round = (/** @type {string} */ kind, /** @type {() => any} */ run) => h("button", { class: "es-round es-plain es-" + kind, type: "button", onclick: run });
    this.full = round("full", () => this.toggleFull());
    this.small = round("small-window", () => app.minimise(true));
    this.back = round("restore", () => app.minimise(false));
    put(this.full, [icon("full")]);
    put(this.small, [icon("minimise")]);
    put(this.back, [icon("restore")]);
    this.header = h("header", { class: "es-head" }, h("div", { class: "es-headline" }, this.title, h("div", { class: "es-sub" }, this.time, this.line)), this.full, this.small, this.back);
    this.stage = h("div", { class: "es-stage" });

    const { client } = app;
    const call = () => /** @type {import("./model.js").Call} */ (app.call);
    this.mic = new Control("mic", () => app.actions.setMuted(!call().micMuted));
    this.camera = new Control("camera", () => app.actions.setCamera(!call().cameraOn));
    this.sound = new Control("sound", () => app.actions.setSound(call().soundOff));
    this.share = new Control("share", () => app.actions.share(!call().sharing));
    this.invite = new Control("invite", () => invite(app));
    this.switch = new Control("switch", () => app.actions.run(() => client.switchMedia(call().media === video ? 1 : 2)));
    this.settings = new Control("settings", () => settings(app));
    this.more = new Control("more", () => this.open(this.more.el.getAttribute("aria-expanded") !== "true"));
    this.hangup = new Control("hangup", () => app.actions.run(() => client.hangup()));
    this.extra = h("div", { class: "es-extra", id: "es-extra" }, this.share.el, this.invite.el, this.switch.el, this.settings.el);
    this.controls = h("div", { class: "es-controls", role: "toolbar" }, this.mic.el, this.camera.el, this.sound.el, this.extra, this.more.el, this.hangup.el);
    attr(this.more.el, "aria-controls", "es-extra");
    this.el = h("section", { class: "es-call", onkeydown: (/** @type {KeyboardEvent} */ e) => {
      if (e.key === "Escape" && this.more.el.getAttribute("aria-expanded") === "true") { this.open(false); this.more.el.focus(); }
    } }, this.header, this.sharing, this.stage, this.controls);
    this.extra.addEventListener("click", () => this.open(false));
    this.open(false);

    this.window = movable(this.el, () => new DOMRect(8, 8, innerWidth - 16, innerHeight - 16), () => app.mini);
    this.picture = movable(this.self.el, () => this.stage.getBoundingClientRect(), () => this.self.el.classList.contains("es-pip"));
    this.sizes = new ResizeObserver(() => this.layout());
    this.sizes.observe(this.stage);
  }

  /** @param {boolean} open */
  open(open) {
    attr(this.more.el, "aria-expanded", String(open));
    this.extra.classList.toggle("es-open", open);
  }

  toggleFull() {
    if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
    else this.app.root.requestFullscreen().catch(() => {});
  }

  /** @param {import("./model.js").Call} call */
  update(call) {
    const { app } = this;
    const { t, words } = app;
    const others = call.others;
    const names = others.map((p) => (p.userID === call.sponsor && call.nick) || app.contacts.name(p.userID));
    const dialling = !call.begun;
    const label = others.length === 0 ? t("call.waiting") : call.grid && others.length > 2 ? t("call.groupTitle", { n: others.length + 1 }) : words.list(names);
    text(this.title, label);
    attr(this.el, "aria-label", app.mini ? t("call.floating") : t("call.title", { names: words.list(names) }));
    attr(this.el, "tabindex", app.mini ? "0" : null);
    this.el.classList.toggle("es-mini", app.mini);
    this.tick(call);

    const mine = call.myQuality;
    this.line.hidden = mine === 0 || dialling;
    if (this.line.dataset.quality !== mine + words.language) {
      this.line.dataset.quality = mine + words.language;
      put(this.line, [bars(fullBars(mine)), document.createTextNode(t("quality", { words: t("quality." + mine) }))]);
    }

    // The people.
    const grid = call.grid;
    const shown = others.map((p) => {
      let tile = this.tiles.get(p.userID);
      if (!tile) this.tiles.set(p.userID, tile = new Tile(app));
      const state = p.presence === "in" ? "" : { invited: t("call.ringing"), rejected: t("call.rejected"), busy: t("call.busy"), noAnswer: t("call.noAnswer") }[p.presence];
      tile.update({ name: (p.userID === call.sponsor && call.nick) || app.contacts.name(p.userID), userID: p.userID, muted: p.presence === "in" && call.begun && !p.audio, video: p.video, picture: p.picture,
        volume: p.volume, voice: p.voice, quality: call.begun && p.presence === "in" ? p.quality : 0, floor: call.floor === p.userID, state, aspect: p.aspect });
      return tile;
    });
    for (const [u, tile] of this.tiles) {
      if (call.people.has(u)) continue;
      this.unwatch(u);
      tile.el.remove();
      this.tiles.delete(u);
    }
    for (const p of others) if (p.video) this.watch(p.userID); else this.unwatch(p.userID);
    this.preview(call.cameraOn || call.sharing);
    this.self.update({ name: t("app.you"), userID: call.self, muted: call.micMuted, video: call.cameraOn || call.sharing, picture: true, volume: call.myVolume, voice: call.myVoice,
      quality: grid ? mine : 0, floor: call.floor === call.self && grid, state: "" });
    const alone = !grid;
    this.stage.classList.toggle("es-grid", !alone);
    const selfShown = !alone || call.cameraOn || call.sharing;
    this.self.el.classList.toggle("es-pip", alone);
    attr(this.self.el, "tabindex", alone ? "0" : null);
    if (alone) attr(this.self.el, "aria-label", t("call.selfView"));
    const main = others.findIndex((p) => p.userID === call.floor);
    shown.forEach((tile, i) => tile.el.classList.toggle("es-main", i === Math.max(0, main)));
    put(this.stage, [...shown.map((tile) => tile.el), selfShown && this.self.el]);
    this.layout();

    // What one can do.
    this.sharing.hidden = !call.sharing;
    text(/** @type {Element} */ (this.sharing.lastChild), t("call.sharing"));
    this.mic.set(call.micMuted ? "micOff" : "mic", t(call.micMuted ? "call.unmute" : "call.mute"), call.micMuted);
    this.camera.set(call.cameraOn ? "camera" : "cameraOff", t(call.cameraOn ? "call.cameraOff" : "call.cameraOn"), !call.cameraOn);
    this.camera.el.hidden = call.media !== video;
    this.sound.set(call.soundOff ? "speakerOff" : "speaker", t(call.soundOff ? "call.speakerOn" : "call.speakerOff"), call.soundOff);
    this.share.set("screen", t(call.sharing ? "call.stopShare" : "call.share"));
    this.share.el.hidden = call.media !== video || dialling || !navigator.mediaDevices?.getDisplayMedia;
    this.invite.set("invite", t("call.invite"));
    this.invite.el.hidden = !call.isGroup;
    this.switch.set(call.media === video ? "phone" : "camera", t(call.media === video ? "call.toVoice" : "call.toVideo"));
    this.switch.el.hidden = dialling;
    this.settings.set("settings", t("settings.title"));
    this.more.set("more", t("call.more"));
    this.hangup.set("hangup", t(dialling ? "call.cancel" : "call.hangup"));
    attr(this.controls, "aria-label", t("call.controls"));
    for (const [el, key] of /** @type {[HTMLElement, string][]} */ ([[this.full, document.fullscreenElement ? "call.notFull" : "call.full"], [this.small, "call.minimise"], [this.back, "call.restore"]])) {
      attr(el, "aria-label", t(key));
      el.title = t(key);
    }
    this.full.hidden = !document.fullscreenEnabled;
    this.small.hidden = !app.floating;
  }

  /** tick shows the time. @param {import("./model.js").Call} call */
  tick(call) {
    const { t } = this.app;
    text(this.time, call.begun ? clock(Date.now() - call.begunAt) : t(call.outgoing ? "call.calling" : "call.entering"));
  }

  /** layout finds the shape of the grid. */
  layout() {
    const n = this.stage.childElementCount;
    if (this.stage.classList.contains("es-grid") && n) {
      const { columns, rows } = gridShape(n, this.stage.clientWidth, this.stage.clientHeight);
      this.stage.style.setProperty("--es-columns", String(columns));
      const last = n - columns * (rows - 1); // in the last row, which stands in the middle
      [...this.stage.children].forEach((tile, i) => {
        /** @type {HTMLElement} */ (tile).style.gridColumn = i === n - last && last < columns ? `${columns - last + 1} / span 2` : "";
      });
    }
    this.picture.settle();
    this.window.settle();
  }

  /** @param {string} userID */
  watch(userID) {
    const tile = this.tiles.get(userID);
    if (!tile || this.watched.has(userID)) return;
    this.watched.add(userID);
    this.app.actions.quietly(() => this.app.client.startRemoteView(userID, tile.slot));
  }

  /** unwatch forgets who has no picture any more. @param {string} userID */
  unwatch(userID) {
    this.watched.delete(userID);
  }

  /** @param {boolean} on */
  preview(on) {
    if (this.previewing === on) return;
    this.previewing = on;
    this.app.actions.quietly(() => (on ? this.app.client.startLocalPreview(this.self.slot) : this.app.client.stopLocalPreview()));
  }

  /** close takes the call away; @param {boolean} over it has ended, and its pictures with it */
  close(over) {
    if (!over) for (const u of this.watched) this.app.actions.quietly(() => this.app.client.stopRemoteView(u));
    this.preview(false);
    this.sizes.disconnect();
    this.el.remove();
  }
}
