// One person in a call: their picture or their round, name, microphone, how good
// the connection is, and a ring that grows with their voice.
import { attr, h, put, text } from "./dom.js";
import { bars, icon } from "./icons.js";
import { fullBars, hue, initials } from "./model.js";

/** @typedef {{name: string, userID: string, muted: boolean, video: boolean, picture: boolean, mirrored?: boolean, volume: number,
 *   voice: boolean, quality: number, floor: boolean, state: string, aspect?: number}} Shown */

/**
 * face is a user's round with their initials.
 * @param {string} userID
 * @param {string} name
 */
export function face(userID, name) {
  return h("span", { class: "es-face", "data-hue": hue(userID), "aria-hidden": "true" }, initials(name));
}

export class Tile {
  /** @param {import("./view.js").View} app */
  constructor(app) {
    this.app = app;
    this.slot = h("div", { class: "es-slot" }); // the client's canvas goes here
    this.round = h("span", { class: "es-face", "aria-hidden": "true" });
    this.name = h("span", { class: "es-name" });
    this.muted = h("span", { class: "es-mark" }, icon("micOff"), h("span", { class: "es-hidden" }));
    this.speaks = h("span", { class: "es-mark es-speaks" }, icon("wave"), h("span", {}));
    this.state = h("span", { class: "es-state" });
    this.quality = h("span", { class: "es-quality" });
    this.label = h("div", { class: "es-label" });
    this.el = h("div", { class: "es-tile", role: "group" }, h("div", { class: "es-back" }, this.round, this.state), this.slot, this.label, this.quality);
    this.bars = -1;
  }

  /** @param {Shown} s */
  update(s) {
    const { t } = this.app;
    const { el } = this;
    attr(this.round, "data-hue", String(hue(s.userID)));
    text(this.round, initials(s.name));
    text(this.name, s.name);
    text(this.state, s.state);
    this.state.hidden = !s.state;
    text(/** @type {Element} */ (this.muted.lastChild), t("call.muted"));
    this.muted.title = t("call.muted");
    text(/** @type {Element} */ (this.speaks.lastChild), t("call.speaking"));
    put(this.label, [s.muted && this.muted, this.name, s.floor && this.speaks]);
    el.classList.toggle("es-has-picture", s.video && s.picture);
    el.classList.toggle("es-no-video", !s.video);
    el.classList.toggle("es-mirrored", Boolean(s.mirrored));
    el.classList.toggle("es-voice", s.voice);
    el.classList.toggle("es-floor", s.floor);
    el.classList.toggle("es-away", Boolean(s.state));
    el.style.setProperty("--es-volume", String(s.voice ? Math.round(s.volume) / 100 : 0));
    el.style.setProperty("--es-aspect", String(s.aspect || 4 / 3));
    const words = t("quality", { words: t("quality." + s.quality) });
    this.quality.hidden = s.quality === 0;
    if (this.bars !== s.quality) {
      this.bars = s.quality;
      put(this.quality, [bars(fullBars(s.quality)), h("span", {})]);
      attr(this.quality, "data-quality", String(s.quality));
    }
    text(/** @type {Element} */ (this.quality.lastChild), s.quality >= 3 ? t("quality." + s.quality) : "");
    this.quality.title = words;
    const parts = [s.name, s.state, s.muted && t("call.muted"), s.floor && t("call.speaking"), s.quality && words];
    attr(el, "aria-label", parts.filter(Boolean).join(", "));
  }
}
