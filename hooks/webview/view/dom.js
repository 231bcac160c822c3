// Building the page. What is shown of others, names above all, goes in as text
// and never as HTML.

/**
 * h makes an element. Of props, class and data-… and aria-… are attributes, on…
 * functions are event listeners, and the rest are properties; what is null,
 * undefined or false is left out.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node|string|null|undefined|false)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props = {}, ...children) {
  const el = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) el.addEventListener(key.slice(2), value);
    else if (key === "class" || key === "role" || key === "for" || key.includes("-")) el.setAttribute(key, value === true ? "true" : String(value));
    else /** @type {any} */ (el)[key] = value;
  }
  el.append(...children.filter((c) => c !== null && c !== undefined && c !== false).map((c) => /** @type {Node|string} */ (c)));
  return el;
}

/**
 * put makes children the children of el, and leaves alone what stands there
 * already: what has the focus keeps it.
 * @param {Element} el
 * @param {(Node|null|undefined|false)[]} children
 */
export function put(el, children) {
  const want = /** @type {Node[]} */ (children.filter(Boolean));
  for (const old of [...el.childNodes]) if (!want.includes(old)) old.remove();
  want.forEach((node, i) => {
    if (el.childNodes[i] !== node) el.insertBefore(node, el.childNodes[i] ?? null);
  });
}

/**
 * text sets an element's text, if it is another.
 * @param {Element} el
 * @param {string} words
 */
export function text(el, words) {
  if (el.textContent !== words) el.textContent = words;
}

/**
 * attr sets an attribute, if it is another; null takes it away.
 * @param {Element} el
 * @param {string} name
 * @param {string|null} value
 */
export function attr(el, name, value) {
  if (value === null) el.removeAttribute(name);
  else if (el.getAttribute(name) !== value) el.setAttribute(name, value);
}

const focusable = "button:not([disabled]), input:not([disabled]), select:not([disabled]), [tabindex='0']";

/**
 * trap keeps the focus inside of a dialog, for its keydown event.
 * @param {HTMLElement} dialog
 * @param {KeyboardEvent} event
 */
export function trap(dialog, event) {
  if (event.key !== "Tab") return;
  const all = [...dialog.querySelectorAll(focusable)].filter((el) => /** @type {HTMLElement} */ (el).offsetParent !== null);
  const first = /** @type {HTMLElement} */ (all[0]), last = /** @type {HTMLElement} */ (all[all.length - 1]);
  if (!first) return event.preventDefault();
  const at = document.activeElement;
  if (event.shiftKey && (at === first || at === dialog)) last.focus();
  else if (!event.shiftKey && at === last) first.focus();
  else return;
  event.preventDefault();
}
