import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { isCallingData, parseCallMessage } from "../callmessage.js";
import { callMessageText } from "../calltext.js";
import { Code } from "../codes.js";

/** @type {any[]} */
const vectors = JSON.parse(readFileSync(new URL("./callmessage.json", import.meta.url), "utf8"));
const kinds = { "line busy": "lineBusy", "switch accepted": "switchAccept", "switch rejected": "switchReject" };

test("messages are read and worded as in Go", () => {
  assert.ok(vectors.length > 50);
  for (const v of vectors) {
    let kind = "";
    try {
      kind = parseCallMessage(v.data).kind;
    } catch (err) {
      assert.ok(err.code === Code.BadParam || err.code === Code.Unsupported, String(err));
    }
    const viewer = { userID: v.viewer, sender: v.sender };
    assert.deepEqual(
      [v.name, isCallingData(v.data), kind, callMessageText(v.data, { ...viewer, language: "en" }), callMessageText(v.data, { ...viewer, language: "zh" })],
      [v.name, v.isCalling, kinds[v.kind] ?? v.kind, v.en, v.zh],
    );
  }
});

test("what is no string, or too large, is no message", () => {
  for (const v of [undefined, null, 1, {}, []]) assert.equal(isCallingData(v), false);
  assert.throws(() => parseCallMessage(`{"businessID":1,"x":"${"x".repeat(70_000)}"}`), { code: Code.BadParam });
  assert.equal(isCallingData("[".repeat(200_000)), false);
});

test("a parsed message is whole", () => {
  const m = parseCallMessage(vectors[0].data);
  assert.deepEqual([m.callID, m.inviter, m.invitees, m.media, m.roomID, m.timeout, m.version], ["c1", "alice", ["bob"], 2, 7, 30, 4]);
});
