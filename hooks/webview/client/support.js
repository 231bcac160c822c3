// Whether this browser has what a call needs.

const words = {
  en: {
    secure: "Calls work on pages from https or localhost only: open this page with https.",
    /** @param {string[]} names */
    missing: (names) => `This browser cannot make calls here, for it lacks ${names.join(", ")}: a current Chrome, Edge or other browser made of Chromium can, and Firefox too.`,
  },
  zh: {
    secure: "只有来自 https 或 localhost 的页面才能通话，请用 https 打开。",
    /** @param {string[]} names */
    missing: (names) => `此浏览器缺少 ${names.join("、")}，无法在这里通话，请使用新版的 Chrome、Edge 等 Chromium 浏览器，或 Firefox。`,
  },
};

const needed = ["WebTransport", "Worker", "AudioEncoder", "AudioDecoder", "VideoEncoder", "VideoDecoder", "AudioWorkletNode"];

/**
 * Why calls cannot be made here, and where they can, in one sentence; "" if they
 * can be made here.
 * @param {string} [language] "en" or "zh". Default the browser's.
 */
export function whyUnsupported(language) {
  const lang = language ?? globalThis.navigator?.language ?? "en";
  const w = lang.startsWith("zh") ? words.zh : words.en;
  if (globalThis.isSecureContext === false) return w.secure;
  const missing = needed.filter((name) => !(name in globalThis));
  return missing.length === 0 ? "" : w.missing(missing);
}

/** Whether calls can be made here. */
export const isSupported = () => whyUnsupported("en") === "";
