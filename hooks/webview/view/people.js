// The page between calls: whom one can call, and the calls of late.
import { attr, h, put, text } from "./dom.js";
import { icon } from "./icons.js";
import { clock } from "./i18n/index.js";
import { audio, video } from "./model.js";
import { settings } from "./sheet.js";
import { face } from "./tile.js";

export class People {
  /** @param {import("./view.js").View} app */
  constructor(app) {
    this.app = app;
    /** @type {Set<string>} */
    this.chosen = new Set();
    /** @type {Map<string, {li: HTMLElement, key: string}>} */
    this.rows = new Map();
    /** @type {any[]} */
    this.records = [];
    this.next = "";
    const { t } = app;
    this.search = h("input", { class: "es-input", type: "search", placeholder: t("idle.search"), "aria-label": t("idle.search"), autocomplete: "off", spellcheck: false, maxLength: 64, oninput: () => this.draw() });
    this.list = h("ul", { class: "es-list" });
    this.recent = h("ul", { class: "es-list" });
    this.status = h("span", { class: "es-status" });
    this.count = h("span", {});
    this.group = h("div", { class: "es-group", role: "group" }, this.count,
      h("button", { class: "es-round es-plain", type: "button", "aria-label": t("idle.clear"), title: t("idle.clear"), onclick: () => { this.chosen.clear(); this.draw(true); this.search.focus(); } }, icon("close")),
      h("button", { class: "es-button es-small es-primary", type: "button", onclick: () => this.callGroup(audio) }, icon("phone"), t("idle.voice")),
      h("button", { class: "es-button es-small es-primary", type: "button", onclick: () => this.callGroup(video) }, icon("camera"), t("idle.video")));
    this.more = h("button", { class: "es-button", type: "button", onclick: () => this.load(true) }, t("idle.more"));
    const self = app.client.userID;
    this.el = h("main", { class: "es-home" },
      h("header", { class: "es-top" },
        h("div", { class: "es-brand" }, h("span", { class: "es-logo" }, icon("wave")), h("h1", {}, "Earshot")),
        this.status,
        h("div", { class: "es-me", title: t("app.signedInAs", { name: self }) }, face(self, app.contacts.name(self)), h("span", { class: "es-who" }, h("span", { class: "es-hidden" }, t("app.signedInAs", { name: "" })), app.contacts.name(self))),
        h("button", { class: "es-round es-plain", type: "button", "aria-label": t("settings.title"), title: t("settings.title"), onclick: () => settings(app) }, icon("settings"))),
      h("div", { class: "es-columns" },
        h("section", { class: "es-card", "aria-label": t("idle.people") },
          h("h2", {}, t("idle.people")),
          h("div", { class: "es-search" }, icon("search"), this.search),
          this.list, this.group),
        h("section", { class: "es-card", "aria-label": t("idle.recent") },
          h("h2", {}, t("idle.recent")), this.recent, this.more)));
    this.draw();
    this.drawRecent();
  }

  /** takeOver stands where another stood, with what it knew: in another language. @param {People} old */
  takeOver(old) {
    this.records = old.records;
    this.next = old.next;
    this.chosen = old.chosen;
    this.search.value = old.search.value;
    this.draw(true);
    this.drawRecent();
    old.el.replaceWith(this.el);
  }

  /** draw shows the people; @param {boolean} [anew] with rows made anew */
  draw(anew = false) {
    const { app } = this;
    const { t } = app;
    if (anew) this.rows.clear();
    const wish = this.search.value.trim();
    const found = app.contacts.matching(wish);
    found.sort((a, b) => Number(b.online) - Number(a.online) || app.contacts.name(a.userID).localeCompare(app.contacts.name(b.userID), app.words.tag));
    for (const u of this.chosen) if (!app.contacts.get(u)?.online) this.chosen.delete(u);
    /** @type {HTMLElement[]} */
    const items = found.map((c) => this.row(c.userID, c.online, true));
    if (app.contacts.callable(wish) && !app.contacts.get(wish)) items.push(this.row(wish, true, false));
    if (items.length === 0) items.push(h("li", { class: "es-empty" }, icon("people"), t(wish ? "idle.noMatch" : "idle.nobody")));
    put(this.list, items);
    this.group.hidden = this.chosen.size < 2;
    text(this.count, t("idle.chosen", { n: this.chosen.size }));
    attr(this.group, "aria-label", t("idle.chosen", { n: this.chosen.size }));
    const up = app.line === "connected";
    text(this.status, up ? "" : t("line.reconnecting"));
  }

  /**
   * @param {string} user
   * @param {boolean} online
   * @param {boolean} known
   */
  row(user, online, known) {
    const { app } = this;
    const { t } = app;
    const name = app.contacts.name(user);
    const key = [name, online, known].join("\n");
    const have = this.rows.get(user);
    if (have?.key === key) return have.li;
    const box = h("input", { type: "checkbox", class: "es-check", "aria-label": t("idle.choose", { name }), title: t("idle.choose", { name }), checked: this.chosen.has(user), onchange: () => {
      if (box.checked) this.chosen.add(user); else this.chosen.delete(user);
      this.draw();
    } });
    const button = (/** @type {number} */ media, /** @type {string} */ picture, /** @type {string} */ words) =>
      h("button", { class: "es-round", type: "button", "aria-label": t(words, { name }), title: t(words, { name }), onclick: () => app.actions.dial([user], media) }, icon(picture));
    const li = h("li", { class: online ? "es-person" : "es-person es-offline" },
      known && online ? box : h("span", { class: "es-check" }),
      h("span", { class: "es-presence", "data-online": online && known }, face(user, name)),
      h("span", { class: "es-who" }, h("strong", {}, known ? name : t("idle.callID", { name })), h("small", {}, known ? t(online ? "idle.online" : "idle.offline") : user)),
      button(audio, "phone", "idle.voiceTo"), button(video, "camera", "idle.videoTo"));
    this.rows.set(user, { li, key });
    return li;
  }

  /** @param {number} media */
  callGroup(media) {
    const users = [...this.chosen];
    this.app.actions.dial(users, media, "", true).then((ok) => {
      if (!ok) return;
      this.chosen.clear();
      this.draw(true);
    });
  }

  /** load asks for the calls of late; @param {boolean} [further] for older ones */
  async load(further = false) {
    this.more.disabled = true; // lest a page comes twice
    const got = await this.app.actions.quietly(() => this.app.client.recentCalls(further ? { limit: 20, after: this.next } : { limit: 20 }));
    this.more.disabled = false;
    if (!got || this.app.people !== this) return;
    const records = got.records ?? [];
    this.records = further ? [...this.records, ...records] : records;
    this.next = got.next ?? "";
    this.drawRecent();
    const self = this.app.client.userID;
    for (const r of this.records) for (const u of [r.inviter, ...(r.userIDs ?? [])]) if (u !== self) this.app.contacts.learn(u);
  }

  drawRecent() {
    const { app } = this;
    const { t, words } = app;
    const self = app.client.userID;
    this.more.hidden = !this.next;
    if (this.records.length === 0) {
      put(this.recent, [h("li", { class: "es-empty" }, icon("clock"), t("idle.noRecent"))]);
      return;
    }
    put(this.recent, this.records.map((r) => {
      /** @type {string[]} */
      const users = [...new Set([r.inviter, ...(r.userIDs ?? [])])].filter((u) => u && u !== self);
      const names = app.contacts.names(users);
      const kind = r.result === 1 ? "missed" : r.result === 2 ? "incoming" : "outgoing";
      const what = r.result === 3 && !r.durationMS ? t("idle.unanswered") : t("idle." + kind);
      const media = t(r.media === video ? "idle.video" : "idle.voice");
      return h("li", { class: "es-person es-record es-" + kind },
        h("span", { class: "es-kind" }, icon(kind)),
        h("span", { class: "es-who" }, h("strong", {}, names),
          h("small", {}, [what, media, words.when(r.beganMS), r.durationMS ? clock(r.durationMS) : ""].filter(Boolean).join(" · "))),
        users.length > 0 && h("button", { class: "es-round", type: "button", "aria-label": t("idle.callBackTo", { name: names }), title: t("idle.callBackTo", { name: names }),
          onclick: () => app.actions.dial(users, r.media, r.groupID ?? "", r.isGroup) }, icon(r.media === video ? "camera" : "phone")));
    }));
  }
}
