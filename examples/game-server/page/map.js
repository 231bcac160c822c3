// The world from above, on a canvas.

/** @typedef {{name: string, x: number, y: number}} Spot metres, north is 0 */

const SIZE = 0.75; // of somebody, metres, but
const MOST = 12; // pixels at most

export class WorldMap {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.side = 60; // metres
    this.hearing = 0;
    this.me = "";
    /** Who is shown, on the way to where they are. @type {Map<string, Spot & {toX: number, toY: number, ring: number, volume: number}>} */
    this.shown = new Map();
    this.scale = 1; // pixels a metre
    this.left = this.top = 0;
    this.at = 0;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    this.colours = this.read();
    dark.addEventListener("change", () => { this.colours = this.read(); });
    const draw = (/** @type {number} */ now) => {
      this.draw(Math.min(0.1, (now - this.at) / 1000));
      this.at = now;
      requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
  }

  /** The colours that the style sheet has now. */
  read() {
    const style = getComputedStyle(document.documentElement);
    return Object.fromEntries(["line", "reach", "you", "other", "talks", "ink"].map((c) => [c, style.getPropertyValue(`--${c}`)]));
  }

  /** Where everybody is now. @param {Spot[]} spots */
  place(spots) {
    const here = new Set(spots.map((s) => s.name));
    for (const name of this.shown.keys()) if (!here.has(name)) this.shown.delete(name);
    for (const { name, x, y } of spots) {
      const s = this.shown.get(name);
      if (s) Object.assign(s, { toX: x, toY: y });
      else this.shown.set(name, { name, x, y, toX: x, toY: y, ring: 0, volume: 0 });
    }
  }

  /** How loud everybody is, 0 to 100. @param {{userID: string, volume: number}[]} volumes */
  hear(volumes) {
    for (const s of this.shown.values()) s.volume = volumes.find((v) => v.userID === s.name)?.volume ?? 0;
  }

  /** The place under a point of the page. @param {{offsetX: number, offsetY: number}} p @returns {[number, number]} */
  under({ offsetX, offsetY }) {
    return [(offsetX - this.left) / this.scale, (offsetY - this.top) / this.scale];
  }

  /** @param {number} seconds since the last time */
  draw(seconds) {
    const { canvas, ctx, side, colours: c } = this;
    const { clientWidth: width, clientHeight: height } = canvas;
    const dense = devicePixelRatio;
    if (canvas.width !== Math.round(width * dense) || canvas.height !== Math.round(height * dense)) {
      canvas.width = Math.round(width * dense);
      canvas.height = Math.round(height * dense);
    }
    const near = 1 - Math.exp(-12 * seconds);
    this.scale = Math.min(width, height) / (side + 2);
    this.left = (width - side * this.scale) / 2;
    this.top = (height - side * this.scale) / 2;
    const size = Math.min(SIZE, MOST / this.scale);
    ctx.setTransform(dense, 0, 0, dense, 0, 0);
    ctx.clearRect(0, 0, width, height);
    ctx.translate(this.left, this.top);
    ctx.lineWidth = 1;
    ctx.strokeStyle = c.line;
    ctx.beginPath();
    for (let m = 0; m <= side; m += 5) {
      ctx.moveTo(m * this.scale, 0);
      ctx.lineTo(m * this.scale, side * this.scale);
      ctx.moveTo(0, m * this.scale);
      ctx.lineTo(side * this.scale, m * this.scale);
    }
    ctx.stroke();
    const me = this.shown.get(this.me);
    if (me) {
      ctx.globalAlpha = 0.1;
      this.disc(me, this.hearing, c.reach);
      ctx.globalAlpha = 0.7;
      ctx.setLineDash([6, 6]);
      this.circle(me, this.hearing, c.reach, 1.5);
      ctx.setLineDash([]);
      ctx.globalAlpha = 1;
    }
    for (const s of this.shown.values()) {
      s.x += (s.toX - s.x) * near;
      s.y += (s.toY - s.y) * near;
      s.ring += (s.volume / 100 - s.ring) * near;
      const mine = s === me;
      if (s.ring > 0.02) {
        ctx.globalAlpha = 0.25;
        this.disc(s, size * (1 + 2 * s.ring), c.talks);
        ctx.globalAlpha = 1;
        this.circle(s, size * (1 + 2 * s.ring), c.talks, 2);
      }
      this.disc(s, size, mine ? c.you : s.ring > 0.02 ? c.talks : c.other);
      if (mine) this.circle(s, 1.2 * size, c.ink, 2);
      if (this.scale < 8 && !mine && s.ring <= 0.02) continue; // no room for all the names
      ctx.font = `${mine || s.ring > 0.02 ? "600 " : ""}12px system-ui, sans-serif`;
      ctx.textAlign = "center";
      ctx.fillStyle = c.ink;
      ctx.fillText(mine ? "You" : s.name, s.x * this.scale, (s.y + size) * this.scale + 14);
    }
  }

  /** @param {Spot} s @param {number} radius @param {string} colour */
  disc(s, radius, colour) {
    this.path(s, radius);
    this.ctx.fillStyle = colour;
    this.ctx.fill();
  }

  /** @param {Spot} s @param {number} radius @param {string} colour @param {number} width */
  circle(s, radius, colour, width) {
    this.path(s, radius);
    this.ctx.strokeStyle = colour;
    this.ctx.lineWidth = width;
    this.ctx.stroke();
  }

  /** @param {Spot} s @param {number} radius */
  path(s, radius) {
    this.ctx.beginPath();
    this.ctx.arc(s.x * this.scale, s.y * this.scale, Math.max(0, radius * this.scale), 0, 2 * Math.PI);
  }
}
