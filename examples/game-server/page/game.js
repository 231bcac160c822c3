// The game in the page: it says what its player wants to do, and shows what the
// server says became of it.
import { WorldMap } from "./map.js";
import { join } from "./voice.js";

const at = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const map = new WorldMap(/** @type {HTMLCanvasElement} */ (at("map")));
const talk = at("talk");
const name = /** @type {HTMLInputElement} */ (at("name"));

/** Who plays, and with what ticket; a page that is loaded again goes on. @type {{name: string, ticket: string} | null} */
let player = JSON.parse(sessionStorage.getItem("player") ?? "null");
/** @type {import("./voice.js").Client | null} */
let voice = null;

/** @param {string} words @param {boolean} [wrong] */
function say(words, wrong = false) {
  at("status").textContent = words || (player ? `You are ${player.name}.` : "");
  at("status").classList.toggle("wrong", wrong);
}

/** Asks the game. @param {string} path @param {object} [body] */
async function ask(path, body) {
  const headers = { Authorization: `Bearer ${player?.ticket}`, ...(body && { "Content-Type": "application/json" }) };
  const answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) }).catch(() => null);
  if (answer?.ok) return answer;
  const { message } = (await answer?.json().catch(() => null)) ?? { message: "The game does not answer." };
  throw Object.assign(new Error(message), { status: answer?.status });
}

// Walking in.

at("door").onsubmit = async (e) => {
  e.preventDefault();
  try {
    player = await (await ask("/login", { name: name.value })).json();
    sessionStorage.setItem("player", JSON.stringify(player));
    await enter();
  } catch (err) {
    say(/** @type {Error} */ (err).message, true);
  }
};

async function enter() {
  if (!player) return;
  at("door").hidden = true;
  at("inside").hidden = false;
  map.me = player.name;
  say("One moment…");
  watch();
  map.canvas.focus();
  try {
    const client = await join(player.name, player.ticket, say, heard);
    if (!player) return void client.destroy(); // the game has ended meanwhile
    voice = client;
    Object.assign(globalThis, { voice, map }); // for the console: await voice.stats()
    say("");
  } catch (err) {
    if (player) say(`There are no voices: ${/** @type {Error} */ (err).message}`, true);
  }
}

/** @param {string} words */
function leave(words) {
  voice?.destroy();
  voice = player = null;
  sessionStorage.removeItem("player");
  map.place([]);
  at("door").hidden = false;
  at("inside").hidden = true;
  say(words, true);
}

/** Follows the world, for as long as the player is in it: a line of JSON at a time. */
async function watch() {
  for (let lost = false; player; lost = true) {
    try {
      const { body } = await ask("/world");
      if (lost) say("");
      const reader = /** @type {ReadableStream<BufferSource>} */ (body).pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = "", got = await reader.read(); !got.done; got = await reader.read()) {
        const lines = (rest + got.value).split("\n");
        rest = /** @type {string} */ (lines.pop());
        for (const line of lines) {
          const news = JSON.parse(line);
          if (Array.isArray(news)) map.place(news);
          else Object.assign(map, news); // how large the world is, and how far one hears
        }
      }
    } catch (err) {
      if (/** @type {any} */ (err).status === 401) return leave("You are not in the game any more. Walk in again.");
    }
    say("The game does not answer; trying again…", true);
    await new Promise((r) => setTimeout(r, 1000));
  }
}

// Walking: one input at a time, the newest.

/** @type {object | null} */
let next = null;
let asking = false;
/** @param {object} input */
async function want(input) {
  next = input;
  if (asking) return;
  asking = true;
  while (next) {
    const body = next;
    next = null;
    await ask("/input", body).catch(() => {}); // watch tells of it
  }
  asking = false;
}

/** @type {Record<string, [number, number]>} */
const ways = {
  ArrowUp: [0, -1], KeyW: [0, -1], ArrowDown: [0, 1], KeyS: [0, 1],
  ArrowLeft: [-1, 0], KeyA: [-1, 0], ArrowRight: [1, 0], KeyD: [1, 0],
};
/** @type {Set<string>} */
const down = new Set();

/** @param {KeyboardEvent} e @param {boolean} pressed */
function key(e, pressed) {
  if (!player || e.ctrlKey || e.metaKey || e.altKey || e.target === name) return;
  if (e.code === "KeyT" && !e.repeat) speak(pressed);
  if (!ways[e.code]) return;
  e.preventDefault();
  if (pressed === down.has(e.code)) return;
  if (pressed) down.add(e.code);
  else down.delete(e.code);
  walk();
}
function walk() {
  const way = [...down].reduce((sum, k) => [sum[0] + ways[k][0], sum[1] + ways[k][1]], [0, 0]);
  want({ way });
}
addEventListener("keydown", (e) => key(e, true));
addEventListener("keyup", (e) => key(e, false));
addEventListener("blur", () => {
  if (down.size > 0) {
    down.clear();
    walk();
  }
});
for (const type of /** @type {const} */ (["pointerdown", "pointermove"])) {
  map.canvas.addEventListener(type, (e) => {
    if (e.buttons && player) want({ to: map.under(e) });
  });
}

// Talking and listening.

/** @param {boolean} on */
async function speak(on) {
  if (!voice || on === (talk.getAttribute("aria-pressed") === "true")) return;
  talk.setAttribute("aria-pressed", String(on));
  try {
    await voice.setMicMute(!on);
  } catch {
    talk.setAttribute("aria-pressed", "false"); // and voice.js said why
  }
  talk.textContent = talk.getAttribute("aria-pressed") === "true" ? "Stop talking" : "Talk";
}
talk.onclick = () => speak(talk.getAttribute("aria-pressed") !== "true");

/** When somebody was last heard. @type {Map<string, number>} */
const lately = new Map();

/** @param {{userID: string, volume: number}[]} volumes */
function heard(volumes) {
  map.hear(volumes);
  for (const v of volumes) if (v.userID !== map.me) lately.set(v.userID, performance.now());
}

/** Who is heard, how far off and where: each a line. */
function lines() {
  const me = map.shown.get(map.me);
  for (const [who, t] of lately) if (performance.now() - t > 1500 || !map.shown.has(who)) lately.delete(who);
  return [...lately.keys()].sort().map((who) => {
    const { toX = 0, toY = 0 } = map.shown.get(who) ?? {};
    const [x, y] = me ? [toX - me.toX, toY - me.toY] : [0, 0];
    const side = Math.abs(x) < Math.abs(y) / 2 ? (y < 0 ? "ahead" : "behind") : x < 0 ? "left" : "right";
    const [li, span] = ["li", "span"].map((tag) => document.createElement(tag));
    span.textContent = `${Math.hypot(x, y).toFixed(0)} m, ${side}`;
    li.append(`${who} `, span);
    return li;
  });
}

/** Bytes of voice so far, by whom. @type {Map<string, number>} */
let before = new Map();
setInterval(async () => {
  at("heard").replaceChildren(...lines());
  const { media } = (await voice?.stats().catch(() => null)) ?? {};
  if (!media) return;
  const now = new Map(media.audio.map((/** @type {{userID: string, bytes: number}} */ a) => [a.userID, a.bytes]));
  let sum = 0;
  for (const [who, bytes] of now) sum += bytes - (before.get(who) ?? 0);
  before = now;
  at("rate").textContent = `${((8 * Math.max(0, sum)) / 1000).toFixed(0)} kbit/s of voice comes to you.`;
}, 1000);

if (player) enter();
else {
  at("door").hidden = false;
  name.value = `guest${Math.floor(1000 * Math.random())}`;
  say("Bots walk about and talk. Walk in, and hear those near you.");
}
