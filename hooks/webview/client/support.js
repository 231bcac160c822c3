// Whether this browser has what a call needs.

const words = {
  en: {
    secure: "Calls work only on a page from https or localhost.",
    missing: "This browser cannot make calls: it lacks ",
  },
  zh: {
    secure: "只有来自 https 或 localhost 的页面才能通话。",
    missing: "此浏览器无法通话，缺少 ",
  },
};

const needed = ["WebTransport", "Worker", "AudioEncoder", "AudioDecoder", "VideoEncoder", "VideoDecoder", "AudioWorkletNode"];

/**
 * Why calls cannot be made here, in one sentence; "" if they can.
 * @param {string} [language] "en" or "zh". Default the browser's.
 */
export function whyUnsupported(language) {
  const lang = language ?? globalThis.navigator?.language ?? "en";
  const w = lang.startsWith("zh") ? words.zh : words.en;
  if (globalThis.isSecureContext === false) return w.secure;
  const missing = needed.filter((name) => !(name in globalThis));
  return missing.length === 0 ? "" : w.missing + missing.join(", ") + (lang.startsWith("zh") ? "。" : ".");
}

/** Whether calls can be made here. */
export const isSupported = () => whyUnsupported("en") === "";
