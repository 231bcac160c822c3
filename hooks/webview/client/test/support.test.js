import assert from "node:assert/strict";
import { test } from "node:test";

import { isSupported, whyUnsupported } from "../support.js";

test("what a browser lacks, and which do not, in one sentence of either language", (t) => {
  /** @param {string} name @param {unknown} value */
  const set = (name, value) => {
    const was = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true });
    t.after(() => (was ? Object.defineProperty(globalThis, name, was) : delete globalThis[name]));
  };
  for (const name of ["Worker", "AudioEncoder", "VideoEncoder", "VideoDecoder", "AudioWorkletNode"]) set(name, class {});
  const lacks = ["WebTransport", "AudioDecoder"];
  for (const [language, form] of [["en", /^[^.]*\.$/], ["zh-TW", /^[^。]*[一-龥][^。]*。$/]]) {
    const why = whyUnsupported(language);
    assert.match(why, form);
    for (const word of [...lacks, "Chrome", "Edge", "Firefox"]) assert.ok(why.includes(word), why);
    assert.ok(!why.includes("VideoEncoder"), why);
  }
  assert.equal(isSupported(), false);
  for (const name of lacks) set(name, class {});
  assert.equal(whyUnsupported("en"), "");
  assert.equal(isSupported(), true);
  set("isSecureContext", false);
  for (const language of ["en", "zh"]) assert.match(whyUnsupported(language), /https/);
});
