// How a call ended, and what one may do next.
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { clock } from "./i18n/index.js";
import { video } from "./model.js";
import { face } from "./tile.js";

/**
 * howItEnded is why, and how long it lasted if it was answered.
 * @param {import("./view.js").View} app
 * @param {import("./model.js").Call} call
 */
export function howItEnded({ t, words }, call) {
  return {
    why: t(call.endKey((key) => words.has(key))),
    lasted: call.begun && call.end ? t("end.lasted", { time: clock(call.end.durationMS) }) : "",
  };
}

/**
 * ended draws it.
 * @param {import("./view.js").View} app
 * @param {import("./model.js").Call} call
 */
export function ended(app, call) {
  const { t, contacts } = app;
  const { why, lasted } = howItEnded(app, call);
  const users = [...call.everybody];
  const who = call.sponsor || users[0] || "";
  const names = app.words.list(users.map((u) => (u === call.sponsor && call.nick) || contacts.name(u)));
  const again = () => { app.over(); app.actions.dial(users, call.media, call.groupID, call.isGroup); };
  return h("section", { class: "es-ended", "aria-label": t("end.title"), onkeydown: (/** @type {KeyboardEvent} */ e) => { if (e.key === "Escape") app.close(); } },
    h("div", { class: "es-caller" }, who && face(who, contacts.name(who)), h("h2", { tabIndex: -1 }, t("end.title")), h("p", {}, names),
      h("p", { class: "es-why" }, why), lasted && h("p", { class: "es-lasted" }, icon("clock"), lasted)),
    h("div", { class: "es-row" }, users.length > 0 && h("button", { class: "es-button", type: "button", onclick: again }, icon(call.media === video ? "camera" : "phone"), t("end.again")),
      h("button", { class: "es-button es-primary", type: "button", onclick: () => app.close() }, t("end.close"))));
}
