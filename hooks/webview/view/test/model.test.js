import assert from "node:assert/strict";
import test from "node:test";
import { Call, fullBars, gridShape, initials, plain } from "../model.js";

const has = (/** @type {string} */ key) => ["end.0", "end.2", "end.2.out", "end.8"].includes(key);

test("a call that rings, is answered and ends", () => {
  const call = new Call({ callID: "c", media: 2, inviter: "bob", sponsor: "bob", sponsorInfo: { nick: "Bob" }, ringing: true }, "alice");
  assert.equal(call.outgoing, false);
  assert.deepEqual(call.others.map((p) => p.userID), ["bob"]);
  call.begin(1000);
  call.begin(2000);
  assert.equal(call.begunAt, 1000);
  assert.equal(call.ringing, false);
  call.end = { reason: 2, durationMS: 0 };
  assert.equal(call.endKey(has), "end.2");
});

test("names that people chose are short, and turn nothing around", () => {
  const rlo = String.fromCodePoint(0x202e), isolate = String.fromCodePoint(0x2067);
  assert.equal(plain(`${rlo}ecila${isolate}\n<b>`), "ecila  <b>");
  assert.equal(plain(" \u2028\t "), "");
  assert.equal(plain("\u{1f984}".repeat(70)), "\u{1f984}".repeat(64));
  assert.equal(plain("\u{1f469}\u200d\u{1f680} עדי"), "\u{1f469}\u200d\u{1f680} עדי");
  assert.equal(new Call({ callID: "c", media: 1, sponsor: "bob", sponsorInfo: { nick: "  " }, ringing: true }, "alice").nick, "");
});

test("a call that was made", () => {
  const call = new Call({ callID: "c", media: 1, inviter: "alice", invited: ["bob"] }, "alice");
  assert.equal(call.outgoing, true);
  assert.equal(call.grid, false);
  assert.equal(call.person("bob").presence, "invited");
  call.end = { reason: 2, durationMS: 0 };
  assert.equal(call.endKey(has), "end.2.out");
  call.end = { reason: 77, durationMS: 0 };
  assert.equal(call.endKey(has), "end.0");
});

test("who comes and goes in a group", () => {
  const call = new Call({ callID: "c", media: 1, isGroup: true, users: ["bob"], audio: ["bob"], invited: ["carol"], begun: true }, "alice");
  call.invitees(["alice", "bob", "dave"]);
  assert.equal(call.people.has("alice"), false);
  assert.equal(call.person("bob").presence, "in");
  call.answered("carol", "busy");
  call.answered("bob", "busy"); // is in it
  call.answered("nobody", "busy");
  assert.equal(call.person("carol").presence, "busy");
  assert.equal(call.person("bob").presence, "in");
  assert.equal(call.people.has("nobody"), false);
  call.enter("dave");
  call.floor = "dave";
  call.forget("dave"); // only of those who are not in it
  call.forget("carol");
  assert.deepEqual(call.present.map((p) => p.userID), ["bob", "dave"]);
  call.leave("dave");
  assert.equal(call.floor, "");
  assert.deepEqual([...call.everybody].sort(), ["bob", "carol", "dave"]);
});

test("volumes are those of the last time alone", () => {
  const call = new Call({ callID: "c", media: 1, users: ["bob", "carol"], begun: true }, "alice");
  call.volumes([{ userID: "bob", volume: 50, voice: true }, { userID: "alice", volume: 9 }, { userID: "stranger", volume: 3 }]);
  assert.deepEqual([call.person("bob").volume, call.person("bob").voice, call.myVolume, call.people.size], [50, true, 9, 2]);
  call.volumes([]);
  assert.deepEqual([call.person("bob").volume, call.person("bob").voice, call.myVolume], [0, false, 0]);
});

test("the grid's shape", () => {
  assert.deepEqual(gridShape(9, 1250, 620), { columns: 3, rows: 3 });
  assert.deepEqual(gridShape(2, 1250, 620), { columns: 2, rows: 1 });
  assert.deepEqual(gridShape(6, 374, 660), { columns: 2, rows: 3 });
  assert.deepEqual(gridShape(1, 374, 660), { columns: 1, rows: 1 });
  for (let n = 1; n < 40; n++) {
    const { columns, rows } = gridShape(n, 800, 600);
    assert.ok(columns * rows >= n && columns * (rows - 1) < n, `${n}: ${columns} by ${rows}`);
  }
});

test("bars and initials", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, 6, 99].map(fullBars), [0, 4, 3, 2, 1, 1, 0, 0]);
  assert.deepEqual(["Bob Harris", "bob", "王伟", "", "a_b-c", "😀 x"].map(initials), ["BH", "B", "王", "?", "AC", "😀X"]);
});
