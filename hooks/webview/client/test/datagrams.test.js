import assert from "node:assert/strict";
import { test } from "node:test";

import { DatagramWriter } from "../net/datagrams.js";
import { settle } from "./fake.js";

test("the oldest video goes first when too much waits, and all is counted", async () => {
  const written = [];
  let open;
  const gate = new Promise((resolve) => (open = resolve));
  const w = new DatagramWriter(new WritableStream({ write: async (b) => { await gate; written.push(b); } }), () => 100, new Set([4]));
  const send = (flow, number) => w.send(new Uint8Array([flow, number]));
  for (let i = 0; i < 64; i++) send(2, i); // in the browser's hands
  for (let i = 0; i < 190; i++) send(4, i);
  send(2, 200);
  send(2, 201);
  assert.deepEqual([w.backlog, w.dropped], [256, 0]);
  send(2, 202);
  send(4, 203);
  assert.deepEqual([w.backlog, w.dropped], [256, 2]);
  w.send(new Uint8Array(101));
  assert.equal(w.tooLarge, 1);
  open();
  await settle(2000);
  assert.deepEqual([w.sent, w.backlog], [256, 0]);
  const video = written.filter((b) => b[0] === 4);
  assert.deepEqual([video.length, video[0][1], video.at(-1)[1]], [189, 2, 203]);
  w.close();
  send(2, 1);
  assert.equal(w.dropped, 3);
});
