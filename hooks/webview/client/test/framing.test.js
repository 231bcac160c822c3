import assert from "node:assert/strict";
import { test } from "node:test";

import { encodeFrame, FrameReader, FramingError, maxMessageSize } from "../net/framing.js";
import { checkMessage } from "../net/messages.js";

test("messages come out however the stream cuts them", () => {
  const all = [{ type: "a" }, { type: "结果", n: 2, body: { x: "é" } }, { type: "c", body: { big: "y".repeat(9000) } }];
  const wire = Buffer.concat(all.map(encodeFrame));
  for (const step of [1, 3, 4, 1000, wire.length]) {
    const r = new FrameReader();
    const got = [];
    for (let i = 0; i < wire.length; i += step) got.push(...r.push(wire.subarray(i, i + step)));
    assert.deepEqual(got.map((m) => [m.type, m.body]), all.map((m) => [m.type, m.body]));
  }
});

test("what is no message is an error", () => {
  const frame = (text) => Buffer.concat([Buffer.from([0, 0, 0, Buffer.byteLength(text)]), Buffer.from(text)]);
  for (const bad of [
    Buffer.from([0, 0, 0, 0]), Buffer.from([0, 1, 0, 1]), Buffer.from([255, 255, 255, 255]),
    frame("x"), frame("null"), frame("[1]"), frame("{}"), frame('{"type":""}'), frame('{"type":1}'), frame('{"type":"a","n":-1}'),
    frame('{"type":"a","n":1.5}'), frame('{"type":"a","id":"1"}'), Buffer.from([0, 0, 0, 2, 0xff, 0xfe]),
  ]) assert.throws(() => new FrameReader().push(bad), FramingError, bad.toString("hex"));
  assert.doesNotThrow(() => new FrameReader().push(Buffer.from([0, 1, 0, 0]))); // the largest, announced
  assert.throws(() => encodeFrame({ type: "a", body: "x".repeat(maxMessageSize) }), RangeError);
});

test("bodies are checked, and what is not known is left behind", () => {
  const track = { trackID: 5, callID: "c", userID: "bob", kind: "audio", flow: 1, ssrc: 7, payloadType: 111 };
  const ok = checkMessage({ type: "trackAdded", body: { ...track, evil: 1 } });
  assert.deepEqual(ok.body, { ...track, muted: false, levelExtension: 0, spaceExtension: 0, layerSSRCs: [], mix: false });
  for (const [type, body] of [
    ["trackAdded", { ...track, flow: 0 }], ["trackAdded", { ...track, kind: "text" }], ["trackAdded", { ...track, userID: "<b>" }],
    ["trackAdded", { ...track, ssrc: 2 ** 32 }], ["trackAdded", { ...track, spaceExtension: 15 }], ["trackAdded", { ...track, mix: true, kind: "video" }], ["trackAdded", null],
    ["userEnter", { callID: "", userID: "bob" }], ["userEnter", { callID: "c".repeat(65), userID: "bob" }], ["userEnter", []],
    ["callEnd", { callID: "c", reason: "x" }], ["result", { re: -1 }],
    ["welcome", { version: 2, token: "a" }], ["welcome", { version: 1, token: "<script>" }], ["shift", { trackID: 1, samples: 0 }],
    ["invited", { callID: "c", sponsor: "bob", inviter: "bob", media: 3 }], ["toString", {}], ["__proto__", {}], ["dance", {}],
  ]) assert.equal(typeof checkMessage({ type, body }), "string", `${type} ${JSON.stringify(body)}`);
  // Who asked hears of it.
  const record = { callID: "c", inviter: "bob", media: 1, beganMS: 8.64e15 + 1 };
  for (const what of [{ records: 5 }, { track: {} }, { code: 0.5 }, { records: [record] }]) {
    assert.equal(checkMessage({ type: "result", body: { re: 1, ...what } }).body.code, -1, JSON.stringify(what));
  }
});
