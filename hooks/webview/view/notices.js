// What a person should know now: words that stand until they are dismissed, or
// until what they say is over, and words for those who listen to the page.
import { h, text } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {"info"|"warning"|"error"} Weight */

export class Notices {
  /** @param {import("./view.js").View} app */
  constructor(app) {
    this.app = app;
    this.el = h("div", { class: "es-notices", role: "region", "aria-label": app.t("notice.title") });
    this.polite = h("div", { class: "es-hidden", role: "status", "aria-live": "polite" });
    this.urgent = h("div", { class: "es-hidden", role: "alert", "aria-live": "assertive" });
    /** @type {Map<string, {el: HTMLElement, timer: any}>} by what they are about */
    this.shown = new Map();
  }

  /**
   * show shows words about a thing, in the place of what is shown about it.
   * @param {string} about
   * @param {string} words
   * @param {{weight?: Weight, seconds?: number, button?: string, action?: () => void}} [options] seconds: 0 is until dismissed. Default 6
   */
  show(about, words, { weight = "info", seconds = 6, button = "", action } = {}) {
    this.hide(about);
    const { t } = this.app;
    const el = h("div", { class: "es-notice es-" + weight },
      icon(weight === "info" ? "info" : "warning"),
      h("p", {}, words),
      button && h("button", { class: "es-button es-small", type: "button", onclick: () => { this.hide(about); action?.(); } }, button),
      h("button", { class: "es-round es-plain", type: "button", "aria-label": t("notice.dismiss"), title: t("notice.dismiss"), onclick: () => this.hide(about) }, icon("close")),
    );
    this.el.append(el);
    this.shown.set(about, { el, timer: seconds ? setTimeout(() => this.hide(about), seconds * 1000) : 0 });
    while (this.shown.size > 3) this.hide([...this.shown.keys()][0]);
    this.say(words, weight === "error");
  }

  /** error tells of a code of hooks/code.go. @param {number} code @param {string} [about] */
  error(code, about = "error") {
    this.show(about, this.app.words.code(code), { weight: "error", seconds: 12 });
  }

  /** @param {string} about */
  hide(about) {
    const notice = this.shown.get(about);
    if (!notice) return;
    clearTimeout(notice.timer);
    notice.el.remove();
    this.shown.delete(about);
  }

  clear() {
    for (const about of [...this.shown.keys()]) this.hide(about);
  }

  /**
   * say tells those who listen.
   * @param {string} words
   * @param {boolean} [urgent]
   */
  say(words, urgent = false) {
    const region = urgent ? this.urgent : this.polite;
    if (region.textContent === words) text(region, ""); // said again
    text(region, words);
  }
}
