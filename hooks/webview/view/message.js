// Words in place of all else: connecting, and why it does not go on.
import { h } from "./dom.js";
import { icon } from "./icons.js";

/**
 * A Message is words, by their keys or as a function that gives them in the present
 * language.
 * @typedef {{picture: string, title: string, words: string|(() => string), button?: string, action?: () => void}} Message
 */

/**
 * inWords is what a message says.
 * @param {import("./view.js").View} app
 * @param {Message} message
 */
export const inWords = (app, { words }) => (typeof words === "string" ? app.t(words) : words());

/**
 * message draws one.
 * @param {import("./view.js").View} app
 * @param {Message} m
 */
export function message(app, m) {
  const words = inWords(app, m);
  return h("main", { class: "es-message" }, h("div", { class: m.picture === "wave" ? "es-badge es-working" : "es-badge" }, icon(m.picture)),
    h("h1", { tabIndex: -1 }, m.title ? app.t(m.title) : words), m.title && h("p", {}, words),
    m.button && h("button", { class: "es-button es-primary", type: "button", onclick: m.action }, app.t(m.button)));
}
