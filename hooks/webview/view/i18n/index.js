// The words of the view.
import en from "./en.js";
import zh from "./zh.js";

/** @typedef {"en"|"zh"} Language */

/** @type {Record<Language, Record<string, string>>} */
export const tables = { en, zh };

/** @type {Record<Language, string>} */
export const languageNames = { en: "English", zh: "简体中文" };

/**
 * pick is the language for a person whose browser has these languages.
 * @param {readonly string[]} wishes such as navigator.languages
 * @returns {Language}
 */
export function pick(wishes) {
  for (const w of wishes) {
    const code = w.toLowerCase().split("-")[0];
    if (code === "en" || code === "zh") return code;
  }
  return "en";
}

/** Words says things in one language. */
export class Words {
  /** @param {Language} language */
  constructor(language) {
    /** @type {Language} */
    this.language = language;
  }

  /** The language as HTML has it. */
  get tag() {
    return this.language === "zh" ? "zh-CN" : "en";
  }

  /**
   * t is the words for a key, with {names} in them filled in.
   * @param {string} key
   * @param {Record<string, string|number>} [values]
   */
  t(key, values = {}) {
    const words = tables[this.language][key] ?? en[key] ?? key;
    return words.replace(/\{(\w+)\}/g, (all, name) => (name in values ? String(values[name]) : all));
  }

  /** @param {string} key */
  has(key) {
    return key in en;
  }

  /**
   * code is an error or warning in words.
   * @param {number|undefined} code
   */
  code(code) {
    const key = "code." + code;
    return this.has(key) ? this.t(key) : this.t("code.unknown", { code: String(code ?? "?") });
  }

  /** @param {string[]} names */
  list(names) {
    return new Intl.ListFormat(this.tag, { type: "conjunction" }).format(names);
  }

  /**
   * when is a moment, shortly: the time today, the day before that.
   * @param {number} ms Unix time
   */
  when(ms) {
    const at = new Date(ms), now = new Date();
    const days = Math.round((new Date(now).setHours(0, 0, 0, 0) - new Date(at).setHours(0, 0, 0, 0)) / 86400000);
    const time = new Intl.DateTimeFormat(this.tag, { hour: "numeric", minute: "2-digit" }).format(at);
    if (days === 0) return time;
    if (days === 1) return new Intl.RelativeTimeFormat(this.tag, { numeric: "auto" }).format(-1, "day") + " " + time;
    return new Intl.DateTimeFormat(this.tag, { month: "short", day: "numeric" }).format(at) + " " + time;
  }
}

/**
 * clock is a duration as it is shown: M:SS, or H:MM:SS from an hour on.
 * @param {number} ms
 */
export function clock(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}
