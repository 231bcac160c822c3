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

/** What is wrong now, by what it is about. @type {Map<string, string>} */
const wrong = new Map();

/** @param {string} about @param {string} words "" when it is not wrong any more */
function say(about, words) {
  wrong.delete(about);
  if (words) wrong.set(about, words);
  const well = voice && player ? `You are ${player.name}.` : player ? "One moment…" : "Bots walk about and talk. Walk in, and hear those near you.";
  at("status").textContent = [...wrong.values()].join(" ") || well;
  at("status").classList.toggle("wrong", wrong.size > 0);
}

const pause = (/** @type {number} */ ms) => new Promise((r) => setTimeout(r, ms));

/** Asks the game. @param {string} path @param {object} [body] @param {AbortSignal} [signal] */
async function ask(path, body, signal) {
  const headers = { Authorization: `Bearer ${player?.ticket}`, ...(body && { "Content-Type": "application/json" }) };
  const answer = await fetch(path, { method: body ? "POST" : "GET", headers, signal, body: body && JSON.stringify(body) }).catch(() => null);
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
    enter();
  } catch (err) {
    say("door", /** @type {Error} */ (err).message);
  }
};

function enter() {
  if (!player) return;
  at("door").hidden = true;
  at("inside").hidden = false;
  map.me = player.name;
  say("door", "");
  watch();
  listen(player);
  map.canvas.focus();
}

/** @param {string} words */
function leave(words) {
  voice?.destroy();
  voice = player = null;
  sessionStorage.removeItem("player");
  map.place([]);
  talks(false);
  down.clear();
  at("door").hidden = false;
  at("inside").hidden = true;
  wrong.clear();
  say("door", words);
}

/** Follows the world, for as long as the player is in it: a line of JSON at a time. */
async function watch() {
  while (player) {
    const stop = new AbortController();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const alive = () => { // the game is heard many times a second
      clearTimeout(timer);
      timer = setTimeout(() => stop.abort(), 3000);
    };
    try {
      alive();
      const { body } = await ask("/world", undefined, stop.signal);
      say("game", "");
      const reader = /** @type {ReadableStream<BufferSource>} */ (body).pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = "", got = await reader.read(); !got.done; got = await reader.read()) {
        alive();
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
    } finally {
      clearTimeout(timer);
    }
    say("game", "The game does not answer; trying again…");
    await pause(1000);
  }
}

/** Signs in for voice, which goes on by itself from then on. @param {{name: string, ticket: string}} who */
async function listen(who) {
  const here = (/** @type {string} */ about, /** @type {string} */ words) => { if (player === who) say(about, words); };
  for (; player === who; await pause(1000)) {
    try {
      const client = await join(who.name, who.ticket, here, heard);
      if (player !== who) return void client.destroy(); // the game has ended meanwhile
      voice = client;
      Object.assign(globalThis, { voice, map }); // for the console: await voice.stats()
      return say("voice", "");
    } catch (err) {
      here("voice", `There are no voices: ${/** @type {Error} */ (err).message}`);
    }
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
  if (!player || e.target === name || (pressed && (e.ctrlKey || e.metaKey || e.altKey))) return;
  if (ways[e.code]) e.preventDefault();
  if (ways[e.code] || e.code === "KeyT") press(e.code, pressed);
}
/** @param {string} code @param {boolean} pressed */
function press(code, pressed) {
  if (pressed === down.has(code)) return;
  if (pressed) down.add(code);
  else down.delete(code);
  if (code === "KeyT") speak(pressed);
  else want({ way: [...down].reduce(([x, y], k) => (ways[k] ? [x + ways[k][0], y + ways[k][1]] : [x, y]), [0, 0]) });
}
addEventListener("keydown", (e) => key(e, true));
addEventListener("keyup", (e) => key(e, false));
addEventListener("blur", () => down.forEach((code) => press(code, false)));
for (const type of /** @type {const} */ (["pointerdown", "pointermove"])) {
  map.canvas.addEventListener(type, (e) => {
    if (e.buttons && player) want({ to: map.under(e) });
  });
}

// Talking and listening.

const talking = () => talk.getAttribute("aria-pressed") === "true";
/** @param {boolean} on */
function talks(on) {
  talk.setAttribute("aria-pressed", String(on));
  talk.textContent = on ? "Stop talking" : "Talk";
}
/** @param {boolean} on */
async function speak(on) {
  if (!voice || on === talking()) return;
  talks(on);
  await voice.setMicMute(!on).catch(() => talks(false)); // and voice.js said why
}
talk.onclick = () => speak(!talking());

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
  say("door", "");
}
