// A call that rings: who calls, and what to answer.
import { attr, h, put, text, trap } from "./dom.js";
import { icon } from "./icons.js";
import { video } from "./model.js";
import { face } from "./tile.js";

export class Ringing {
  /** @param {import("./view.js").View} app */
  constructor(app) {
    this.app = app;
    this.who = h("h2", { id: "es-ring-who" });
    this.what = h("p", { id: "es-ring-what" });
    this.withWhom = h("p", { class: "es-faint" });
    this.face = h("div", { class: "es-pulse" });
    const answer = (/** @type {string} */ kind, /** @type {string} */ picture, /** @type {() => any} */ run) => {
      const words = h("span", {});
      const el = h("button", { class: "es-answer es-" + kind, type: "button", onclick: run }, h("span", { class: "es-dot" }, icon(picture)), words);
      return { el, words };
    };
    this.decline = answer("decline", "hangup", () => app.actions.run(() => app.client.reject()));
    this.ignore = answer("ignore", "close", () => app.actions.run(() => app.client.ignore()));
    this.voice = answer("voice", "phone", () => app.actions.accept(false));
    this.accept = answer("accept", "phone", () => app.actions.accept(true));
    this.silence = h("button", { class: "es-button es-small es-quiet", type: "button", onclick: () => { app.bell.stop(); this.silence.hidden = true; this.el.focus(); } }, icon("bellOff"), h("span", {}));
    this.buttons = h("div", { class: "es-answers" });
    this.el = h("div", { class: "es-ringing", role: "alertdialog", "aria-modal": "true", "aria-labelledby": "es-ring-who", "aria-describedby": "es-ring-what", tabIndex: -1,
      onkeydown: (/** @type {KeyboardEvent} */ e) => trap(this.el, e) },
      h("div", { class: "es-caller" }, this.face, this.who, this.what, this.withWhom, this.silence), this.buttons);
  }

  /** @param {import("./model.js").Call} call */
  update(call) {
    const { t } = this.app;
    const who = call.sponsor || call.groupID;
    const name = call.nick || this.app.contacts.name(who);
    const withPicture = call.media === video;
    if (!this.face.firstChild || this.face.dataset.user !== who) {
      this.face.dataset.user = who;
      put(this.face, [face(who, name)]);
    }
    text(this.who, name);
    text(this.what, t("ring." + (call.isGroup ? (withPicture ? "groupVideo" : "groupVoice") : withPicture ? "video" : "voice")));
    const others = call.others.map((p) => p.userID).filter((u) => u !== who);
    this.withWhom.hidden = others.length === 0;
    text(this.withWhom, t("ring.with", { names: this.app.contacts.names(others) }));
    text(this.decline.words, t("ring.decline"));
    text(this.ignore.words, t("ring.ignore"));
    text(this.voice.words, t("ring.acceptVoice"));
    text(this.accept.words, t("ring.accept"));
    text(/** @type {Element} */ (this.silence.lastChild), t("ring.silence"));
    this.silence.hidden ||= this.app.bell.silent;
    put(/** @type {Element} */ (this.accept.el.firstChild), [this.icon(withPicture ? "camera" : "phone")]);
    put(this.buttons, [this.decline.el, this.ignore.el, withPicture && this.voice.el, this.accept.el]);
    attr(this.buttons, "data-n", withPicture ? "4" : "3");
  }

  /** @param {string} name */
  icon(name) {
    const dot = /** @type {Element} */ (this.accept.el.firstChild);
    if (dot.getAttribute("data-icon") === name && dot.firstChild) return dot.firstChild;
    dot.setAttribute("data-icon", name);
    return icon(name);
  }
}
