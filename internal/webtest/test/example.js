// examples/custom-web-view, as a reader of the documentation runs it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { browser } from "../lib/scene.js";
import { Person, until } from "../lib/people.js";

test("a view of a page's own", { timeout: 180_000 }, async () => {
  const path = process.env.EARSHOT_EXAMPLE;
  assert.ok(path, "EARSHOT_EXAMPLE is not set: run `make test-web`");
  const program = spawn(path, { env: { ...process.env, ADDR: "127.0.0.1:0" }, stdio: ["ignore", "pipe", "inherit"] });
  try {
    let said = "";
    program.stdout.on("data", (b) => { said += b; });
    const page = await until(() => /http:\/\/[^/]+\//.exec(said)?.[0], "the example's page");
    const open = (/** @type {string} */ user) => Person.at(`${page}?user=${user}`, { browser, user, picture: "#mirror canvas" });
    const [alice, bob] = await Promise.all([open("alice"), open("bob")]);
    await alice.click("Call bob");
    await bob.reads("alice rings the tavern.");
    await bob.click("Pick up");
    await Promise.all([alice.hears("bob"), bob.hears("alice"), alice.sees("bob"), bob.sees("alice")]);
    await alice.click("Mute");
    await bob.hears();
    await bob.click("Put down");
    await alice.reads("Over, after ");
    await Promise.all([alice.close(), bob.close()]);
  } finally {
    program.kill();
  }
});
