// What two pages with probes measured, and what processes take.
import { readFileSync, readdirSync } from "node:fs";

/** @typedef {{said: number[], heard: number[], shown: [number, number][], encoded: [number, number][], drawn: [number, number][], outputLatency: number}} Probe */

/** Takes what a probe has, and empties it. @param {import("./people.js").Person} p @returns {Promise<Probe>} */
export function take(p) {
  return p.page.evaluate(() => {
    const { probe } = /** @type {any} */ (globalThis);
    const got = structuredClone(probe);
    for (const list of Object.values(probe)) if (Array.isArray(list)) list.length = 0;
    return got;
  });
}

/** From the onset in one's captured stream to that at the other's loudspeaker. @param {Probe} from @param {Probe} to */
export function voiceDelays(from, to) {
  return to.heard.flatMap((t) => {
    const said = from.said.filter((s) => s < t).at(-1);
    return said !== undefined && t - said < 380 ? [t - said] : [];
  });
}

/** From "shown" or "encoded" on one page to "drawn" on the other. @param {Probe} from @param {Probe} to @param {"shown" | "encoded"} [since] */
export function pictureDelays(from, to, since = "shown") {
  const at = new Map(from[since]);
  return to.drawn.flatMap(([n, t]) => {
    const d = t - (at.get(n) ?? NaN);
    return d > -5 && d < 2000 ? [d] : [];
  });
}

/** @param {number[]} list @param {number} q */
export function quantile(list, q) {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted.length === 0 ? NaN : sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}

/** CPU seconds that a process and all below it have used. @param {number} root */
export function cpuSeconds(root) {
  /** @type {Map<number, {parent: number, ticks: number}>} */
  const all = new Map();
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const f = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      all.set(Number(pid), { parent: Number(f[1]), ticks: Number(f[11]) + Number(f[12]) + Number(f[13]) + Number(f[14]) });
    } catch { /* it has ended */ }
  }
  const below = (/** @type {number} */ pid) => {
    for (let p = pid; p > 1; p = all.get(p)?.parent ?? 0) if (p === root) return true;
    return false;
  };
  let ticks = 0;
  for (const [pid, { ticks: t }] of all) if (below(pid)) ticks += t;
  return ticks / 100;
}
