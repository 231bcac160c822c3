import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";
import { clock, pick, tables, Words } from "../i18n/index.js";

const here = (/** @type {string} */ path) => readFileSync(new URL(path, import.meta.url), "utf8");

test("both languages have the same keys, with the same values in them", () => {
  assert.deepEqual(Object.keys(tables.zh).sort(), Object.keys(tables.en).sort());
  const values = (/** @type {string} */ s) => (s.match(/\{\w+\}/g) ?? []).sort();
  for (const [key, words] of Object.entries(tables.en)) {
    assert.ok(words.trim() && tables.zh[key].trim(), key);
    assert.deepEqual(values(tables.zh[key]), values(words), key);
  }
});

test("every code, end reason and quality of hooks has words", () => {
  const codes = [...here("../../../code.go").matchAll(/^\tCode\w+\s+Code = (-?\d+)/gm)].map((m) => m[1]);
  assert.ok(codes.length >= 20, `${codes.length} codes read`);
  for (const code of codes) assert.ok(`code.${code}` in tables.en, `code ${code}`);
  const listener = here("../../../listener.go");
  for (const [, n] of listener.matchAll(/^\tEnd\w+\s+EndReason = (\d+)/gm)) assert.ok(`end.${n}` in tables.en, `end ${n}`);
  for (const [, n] of listener.matchAll(/^\tQuality\w+\s+Quality = (\d+)/gm)) assert.ok(`quality.${n}` in tables.en, `quality ${n}`);
});

test("every device's every problem has words", () => {
  for (const kind of ["microphone", "camera", "screen", "speaker"]) {
    for (const problem of ["", "denied", "missing", "busy", "ended", "failed", "muted"]) assert.ok(`device.${kind}.${problem}` in tables.en, kind + " " + problem);
  }
});

test("every key that the view writes out is there", () => {
  for (const file of readdirSync(new URL("..", import.meta.url)).filter((f) => f.endsWith(".js"))) {
    for (const [, key] of here("../" + file).matchAll(/"((?:app|idle|ring|call|end|invite|settings|notice|line|sound)\.\w+)"/g)) assert.ok(key in tables.en, `${file}: ${key}`);
  }
});

test("no word stands for nothing", () => {
  const all = readdirSync(new URL("..", import.meta.url)).filter((f) => f.endsWith(".js")).map((f) => here("../" + f)).join("\n");
  const idle = [];
  for (const key of Object.keys(tables.en)) {
    if (/^(code|quality|device|end)\b/.test(key) || /^(ring\.(voice|video|group\w+)|idle\.(missed|incoming|outgoing))$/.test(key)) continue;
    if (!all.includes(`"${key}"`)) idle.push(key);
  }
  assert.deepEqual(idle, []);
});

test("languages, values, codes and durations", () => {
  assert.equal(pick(["fr", "zh-Hant-TW", "en"]), "zh");
  assert.equal(pick(["fr"]), "en");
  const en = new Words("en");
  assert.equal(en.t("call.left", { name: "{name}<b>$&" }), "{name}<b>$& left.");
  assert.equal(en.code(-10), "You are in a call already.");
  assert.match(en.code(12345), /12345/);
  assert.deepEqual([0, 61500, 3599999, 3600000, -5].map(clock), ["0:00", "1:01", "59:59", "1:00:00", "0:00"]);
});
