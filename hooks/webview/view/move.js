// Small windows that a person moves, with a pointer or with the arrow keys.

const step = 24;

/**
 * movable makes el movable inside of what bounds says, and returns a function that
 * brings it back into them.
 * @param {HTMLElement} el
 * @param {() => DOMRect} bounds
 * @param {() => boolean} [on] whether it can be moved now
 */
export function movable(el, bounds, on = () => true) {
  let x = 0, y = 0;
  const move = (/** @type {number} */ dx, /** @type {number} */ dy) => {
    const box = el.getBoundingClientRect(), limit = bounds();
    dx = Math.max(limit.left - box.left, Math.min(limit.right - box.right, dx));
    dy = Math.max(limit.top - box.top, Math.min(limit.bottom - box.bottom, dy));
    x += dx;
    y += dy;
    el.style.translate = `${x}px ${y}px`;
  };
  const reset = () => {
    x = y = 0;
    el.style.translate = "";
  };
  /** @type {{id: number, x: number, y: number}|null} */
  let drag = null;
  el.addEventListener("pointerdown", (e) => {
    if (!on() || e.button !== 0 || /** @type {Element} */ (e.target).closest("button")) return;
    drag = { id: e.pointerId, x: e.clientX, y: e.clientY };
    el.setPointerCapture(e.pointerId);
  });
  el.addEventListener("pointermove", (e) => {
    if (!drag || e.pointerId !== drag.id) return;
    move(e.clientX - drag.x, e.clientY - drag.y);
    drag.x = e.clientX;
    drag.y = e.clientY;
  });
  const end = () => { drag = null; };
  el.addEventListener("pointerup", end);
  el.addEventListener("pointercancel", end);
  el.addEventListener("keydown", (e) => {
    const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[e.key];
    if (!by || !on() || e.target !== el) return;
    move(by[0], by[1]);
    e.preventDefault();
  });
  return { reset, settle: () => { if (on() && (x || y)) move(0, 0); else if (!on()) reset(); } };
}
