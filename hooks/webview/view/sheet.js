// Dialogs over the page: settings, and whom to invite.
import { h, put, trap } from "./dom.js";
import { icon } from "./icons.js";
import { languageNames } from "./i18n/index.js";
import { face } from "./tile.js";

/** A Sheet is a dialog; one is open at a time. */
export class Sheet {
  /**
   * @param {import("./view.js").View} app
   * @param {string} title
   * @param {(Node|false)[]} body
   * @param {Node[]} foot
   */
  constructor(app, title, body, foot) {
    this.app = app;
    this.from = /** @type {HTMLElement|null} */ (document.activeElement);
    const heading = h("h2", { id: "es-sheet-title" }, title);
    this.panel = h("div", { class: "es-panel", role: "dialog", "aria-modal": "true", "aria-labelledby": "es-sheet-title", tabIndex: -1 },
      h("header", {}, heading, h("button", { class: "es-round es-plain", type: "button", "aria-label": app.t("end.close"), title: app.t("end.close"), onclick: () => this.close() }, icon("close"))),
      h("div", { class: "es-body" }, ...body), h("footer", {}, ...foot));
    this.el = h("div", { class: "es-veil", onkeydown: (/** @type {KeyboardEvent} */ e) => {
      if (e.key === "Escape") this.close();
      else trap(this.panel, e);
      e.stopPropagation();
    }, onpointerdown: (/** @type {Event} */ e) => { if (e.target === this.el) this.close(); } }, this.panel);
    app.root.append(this.el);
    app.sheet = this;
    app.cover();
    this.panel.focus();
  }

  close() {
    if (this.app.sheet !== this) return;
    this.el.remove();
    this.app.sheet = null;
    this.app.cover();
    if (this.from?.isConnected) this.from.focus();
  }
}

/**
 * field is a choice with its name.
 * @param {string} label
 * @param {[string, string][]} options value and words
 * @param {string} value
 * @param {(value: string) => void} changed
 */
function field(label, options, value, changed) {
  const select = h("select", { class: "es-select", onchange: () => changed(select.value) }, ...options.map(([v, words]) => h("option", { value: v, selected: v === value }, words)));
  return h("label", { class: "es-field" }, h("span", {}, label), select);
}

/**
 * settings opens the settings.
 * @param {import("./view.js").View} app
 */
export async function settings(app) {
  const { t } = app;
  const devices = h("div", { class: "es-fields" });
  const silent = h("input", { type: "checkbox", checked: app.bell.silent, onchange: () => app.enableMuteMode(silent.checked) });
  const again = () => { app.sheet?.close(); settings(app); };
  const body = [devices, h("div", { class: "es-fields" },
    field(t("settings.language"), Object.entries(languageNames), app.words.language, (v) => { app.setLanguage(/** @type {any} */ (v)); again(); }),
    field(t("settings.theme"), [["", t("settings.themeAuto")], ["light", t("settings.themeLight")], ["dark", t("settings.themeDark")]], app.theme, (v) => app.setTheme(v)),
    h("label", { class: "es-switch" }, h("span", {}, t("settings.silent")), silent))];
  const sheet = new Sheet(app, t("settings.title"), body, [h("button", { class: "es-button es-primary", type: "button", onclick: () => app.sheet?.close() }, t("settings.done"))]);
  const list = await app.actions.quietly(() => app.client?.devices());
  if (!list || app.sheet !== sheet) return;
  /** @type {[string, string, MediaDeviceInfo[], (id: string) => any][]} */
  const kinds = [
    ["microphone", "settings.microphone", list.microphones, (id) => app.client.setMicrophone({ deviceId: id })],
    ["camera", "settings.camera", list.cameras, (id) => app.client.setCamera({ deviceId: id })],
    ["speaker", "settings.speaker", list.speakers, (id) => app.client.setSpeaker(id)],
  ];
  put(devices, kinds.filter(([, , found]) => found?.length).map(([kind, label, found, choose]) => {
    /** @type {[string, string][]} */
    const options = found.map((d, i) => [d.deviceId, d.label || t("settings.unnamed", { n: i + 1 })]);
    if (!found.some((d) => d.deviceId === "default" || d.deviceId === "")) options.unshift(["", t("settings.default")]);
    return field(t(label), options, app.chosen[kind] ?? options[0][0], (id) => app.actions.run(async () => {
      await choose(id);
      app.chosen[kind] = id;
    }));
  }));
}

/**
 * invite opens the choice of whom to bring into the call.
 * @param {import("./view.js").View} app
 */
export async function invite(app) {
  const { t } = app;
  /** @type {Set<string>} */
  const chosen = new Set();
  const send = h("button", { class: "es-button es-primary", type: "button", disabled: true }, t("invite.send"));
  const typed = h("input", { class: "es-input", type: "search", placeholder: t("idle.search"), "aria-label": t("idle.search"), oninput: () => draw() });
  const list = h("ul", { class: "es-list" });
  const draw = () => {
    const wish = typed.value.trim();
    const people = app.contacts.matching(wish).filter((c) => c.online && !app.call?.people.has(c.userID)).map((c) => c.userID);
    for (const u of chosen) if (!people.includes(u)) people.push(u);
    if (app.contacts.callable(wish) && !people.includes(wish) && !app.call?.people.has(wish)) people.push(wish);
    put(list, people.map((u) => {
      const box = h("input", { type: "checkbox", checked: chosen.has(u), onchange: () => { if (box.checked) chosen.add(u); else chosen.delete(u); ready(); } });
      return h("li", {}, h("label", { class: "es-person" }, face(u, app.contacts.name(u)), h("span", { class: "es-who" }, h("strong", {}, app.contacts.name(u)), h("small", {}, u)), box));
    }));
    if (people.length === 0) put(list, [h("li", { class: "es-empty" }, t("invite.nobody"))]);
  };
  const ready = () => {
    send.disabled = chosen.size === 0;
    send.textContent = chosen.size ? t("invite.sendN", { n: chosen.size }) : t("invite.send");
  };
  send.onclick = () => {
    app.sheet?.close();
    app.actions.run(() => app.client.inviteUser([...chosen]));
  };
  draw();
  new Sheet(app, t("invite.title"), [typed, list], [send]);
  await app.contacts.load();
  draw();
}
