// The library as an npm package: what is in it, and that it can be used.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, posix } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const client = fileURLToPath(new URL("../../../hooks/webview/client/", import.meta.url));
const bin = fileURLToPath(new URL("../node_modules/.bin", import.meta.url));
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");

/** What somebody writes who has the package. */
const program = `
import { dial, MediaType, type Client, type Config, type Listener } from "earshot-client";
const listener: Listener = { onUserEnter: (userID) => void userID.length };
const config: Config = { url: "https://localhost/earshot", sdkAppID: 1, userID: "alice", userSig: "x", listener };
const client: Client = await dial(config);
await client.call("bob", MediaType.Video, { timeoutMS: 1000 });
// @ts-expect-error a user ID is a string
await client.call(5, MediaType.Video);
// @ts-expect-error there is no such option
await dial({ ...config, turnServers: [] });
export const begun: number | undefined = client.callState()?.begunAt;
`;

test("npm pack: the files, their imports, and the types", async (t) => {
  const dir = await mkdtemp(join(tmpdir(), "earshot-pack-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  // A copy, in which the declarations are made.
  await cp(client, join(dir, "client"), { recursive: true, filter: (from) => !/[/\\](node_modules|types)$/.test(from) });
  const env = { ...process.env, PATH: bin + delimiter + process.env.PATH, npm_config_update_notifier: "false", npm_config_cache: join(dir, "cache") };
  const { stdout } = await run("npm", ["pack", "--offline", "--json"], { cwd: join(dir, "client"), env });
  const [{ filename, files }] = JSON.parse(stdout.slice(stdout.indexOf("[")));
  /** @type {Set<string>} */
  const packed = new Set(files.map((/** @type {{path: string}} */ f) => f.path));

  // All of the library and no more: tests and settings stay at home.
  const want = ["README.md", "package.json", "types/index.d.ts"];
  for (const folder of ["", "net/", "media/"]) {
    for (const name of await readdir(client + folder)) if (/\.js$|\.d\.ts$/.test(name)) want.push(folder + name);
  }
  assert.deepEqual([...packed].filter((p) => !p.startsWith("types/") || p === "types/index.d.ts").sort(), want.sort());

  // Whatever a file names is there.
  await run("tar", ["xzf", filename], { cwd: join(dir, "client") });
  const home = join(dir, "node_modules/earshot-client");
  await mkdir(dirname(home));
  await rename(join(dir, "client/package"), home);
  let n = 0;
  for (const path of packed) {
    if (!/\.js$|\.d\.ts$/.test(path)) continue;
    const text = await readFile(join(home, path), "utf8");
    for (const [, name] of text.matchAll(/(?:from |import\(|import |new URL\()"([^"]+)"/g)) {
      assert.ok(/^\.\.?\//.test(name), `${path} needs ${name}, which is not in the package`);
      const at = posix.join(posix.dirname(path), name);
      assert.ok(packed.has(at) || packed.has(at.replace(/\.js$/, ".d.ts")), `${path} names ${name}, which is not there`);
      n++;
    }
  }
  assert.ok(n > 100, `${n} imports`);

  // And it is used as any other package.
  await writeFile(join(dir, "package.json"), '{"type": "module"}');
  await writeFile(join(dir, "use.ts"), program);
  await writeFile(join(dir, "use.js"), 'import * as all from "earshot-client"; console.log(Object.keys(all).join(), all.isSupported());');
  await run(process.execPath, [tsc, "--noEmit", "--strict", "--target", "es2023", "--module", "nodenext", "--lib", "es2023,dom,dom.iterable", "--types", "", "use.ts"], { cwd: dir })
    .catch((e) => assert.fail(e.stdout || e));
  const used = await run(process.execPath, ["use.js"], { cwd: dir });
  for (const name of ["Client", "dial", "init", "MediaType", "parseCallMessage", "whyUnsupported"]) assert.match(used.stdout, new RegExp(`\\b${name}\\b`));
  assert.match(used.stdout, / false$/m);
});
