// What arguments and messages have to look like: the one place that says so.

import { CallError, Code, MediaType } from "./codes.js";

const userIDForm = /^[A-Za-z0-9_-]{1,32}$/;
const utf8 = new TextEncoder();

/** Bytes of a string in UTF-8. @param {string} s */
export const byteLength = (s) => utf8.encode(s).length;

/** @param {unknown} v @returns {v is string} */
export const isUserID = (v) => typeof v === "string" && userIDForm.test(v);

/** @param {unknown} v @returns {v is string} */
export const isCallID = (v) => typeof v === "string" && v !== "" && v.length <= 64 && byteLength(v) <= 64;

/** @param {unknown} v @returns {v is number} */
export const isCount = (v) => Number.isSafeInteger(v) && /** @type {number} */ (v) >= 0;

/** @param {unknown} v @returns {v is 1|2} */
export const isMedia = (v) => v === MediaType.Audio || v === MediaType.Video;

/**
 * A value as an error shows it, cut short.
 * @param {unknown} v
 */
export function shown(v) {
  let s;
  try {
    s = typeof v === "string" ? JSON.stringify(v) : String(v);
  } catch {
    s = typeof v;
  }
  return s.length > 40 ? s.slice(0, 40) + "…" : s;
}

/** @param {string} message @param {number} [code] @returns {never} */
export function bad(message, code = Code.BadParam) {
  throw new CallError(code, message);
}

/** @param {unknown} v @returns {string} */
export function checkUserID(v) {
  if (isUserID(v)) return v;
  return bad(`user ID ${shown(v)} is not 1 to 32 characters of A-Z a-z 0-9 _ -`, Code.UserID);
}

/** @param {unknown} v @returns {string[]} */
export function checkUserIDs(v) {
  if (!Array.isArray(v)) return bad("the users are not an array of user IDs");
  if (v.length > 1000) return bad(`${v.length} users, more than 1000`);
  return v.map(checkUserID);
}

/** @param {unknown} v @returns {1|2} */
export function checkMedia(v) {
  if (isMedia(v)) return v;
  return bad(`media ${shown(v)} is neither 1 (audio) nor 2 (video)`);
}

/** @param {unknown} v @returns {""|"forward"|"mix"} */
export function checkMode(v) {
  if (v === undefined || v === "") return "";
  if (v === "forward" || v === "mix") return v;
  return bad(`mode ${shown(v)} is neither "forward" nor "mix"`);
}

/** @param {unknown} v @param {string} name @returns {boolean} */
export function checkBool(v, name) {
  if (typeof v === "boolean") return v;
  return bad(`${name} is ${shown(v)}, not true or false`);
}

/**
 * A string of at most max bytes; undefined is "".
 * @param {unknown} v @param {string} name @param {number} max @returns {string}
 */
export function checkText(v, name, max) {
  if (v === undefined) return "";
  if (typeof v !== "string") return bad(`${name} is not a string`);
  if (byteLength(v) > max) return bad(`${name} is longer than ${max} bytes`);
  return v;
}

/**
 * @param {unknown} v @param {string} name @param {number} min @param {number} max
 * @returns {number}
 */
export function checkInteger(v, name, min, max) {
  if (Number.isInteger(v) && /** @type {number} */ (v) >= min && /** @type {number} */ (v) <= max) {
    return /** @type {number} */ (v);
  }
  return bad(`${name} ${shown(v)} is not a whole number from ${min} to ${max}`);
}

/**
 * A room's ID: a number of 1 to 4294967294 or a string of 1 to 64 bytes, or
 * undefined for none.
 * @param {unknown} v @returns {number|string|undefined}
 */
export function checkRoomID(v) {
  if (v === undefined) return undefined;
  if (typeof v === "string" && v !== "" && byteLength(v) <= 64) return v;
  if (Number.isInteger(v) && /** @type {number} */ (v) >= 1 && /** @type {number} */ (v) <= 4294967294) {
    return /** @type {number} */ (v);
  }
  return bad(`room ID ${shown(v)} is neither a number of 1 to 4294967294 nor a string of 1 to 64 bytes`, Code.RoomID);
}

/** @param {unknown} v @param {string} name @returns {[number, number, number]} */
function checkVector(v, name) {
  if (Array.isArray(v) && v.length === 3 && v.every((x) => Number.isFinite(x))) {
    return /** @type {[number, number, number]} */ ([v[0], v[1], v[2]]);
  }
  return bad(`${name} is not three numbers`);
}

/**
 * @typedef {object} Pose where a user stands, in metres, and how they look, in unit vectors
 * @property {[number, number, number]} position
 * @property {[number, number, number]} forward
 * @property {[number, number, number]} right
 * @property {[number, number, number]} up
 */

/** @param {unknown} v @returns {Pose} */
export function checkPose(v) {
  if (typeof v !== "object" || v === null) return bad("the pose is neither an object nor null");
  const p = /** @type {Record<string, unknown>} */ (v);
  return {
    position: checkVector(p.position, "position"),
    forward: checkVector(p.forward, "forward"),
    right: checkVector(p.right, "right"),
    up: checkVector(p.up, "up"),
  };
}

/** @param {unknown} v @returns {HTMLElement} */
export function checkElement(v) {
  if (typeof HTMLElement === "undefined" ? typeof v === "object" && v !== null : v instanceof HTMLElement) {
    return /** @type {HTMLElement} */ (v);
  }
  return bad("the element is not an HTMLElement");
}

/**
 * Strings without repetitions, and without one of them.
 * @param {string[]} list @param {string} but
 */
export const distinct = (list, but) => [...new Set(list)].filter((u) => u !== but);
