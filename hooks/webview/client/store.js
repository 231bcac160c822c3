// What a page that is loaded again needs to go on with its call, in the tab's
// sessionStorage.

import { isCount } from "./check.js";
import { checkMessage } from "./net/messages.js";

/** @typedef {import("./net/messages.js").Track} Track */
/** @typedef {import("./listener.js").ViewState} ViewState */

/**
 * @typedef {object} Stored
 * @property {1} version
 * @property {string} userID
 * @property {number} sdkAppID
 * @property {string} lock the name of the lock that the page holds: two tabs may have the same storage
 * @property {string} token
 * @property {number} windowMS
 * @property {number} last the last event that was carried out
 * @property {import("./seat.js").Seat} seat
 * @property {ViewState | null} state
 * @property {boolean} byHost
 * @property {Track[]} tracks the others' tracks
 * @property {number[]} shown those of them that were asked for with startRemoteView
 * @property {number[]} own the client's own tracks
 * @property {boolean} micMuted
 * @property {boolean} camera the camera was on
 */

/** What is used of sessionStorage. @typedef {Pick<Storage, "getItem"|"setItem"|"removeItem">} Area */

/** What a page says of itself: the store adds the rest. @typedef {Omit<Stored, "version"|"lock"|"userID"|"sdkAppID">} Kept */

const lockWait = 3000;

export class Store {
  #area;
  #locks;
  #key;
  #user;
  #log;
  #lock = "";
  /** Gives the lock back. @type {(() => void) | null} */
  #release = null;

  /**
   * @param {Area | null} area null keeps nothing
   * @param {LockManager | undefined} locks
   * @param {{storageKey: string, userID: string, sdkAppID: number}} config storageKey "" keeps nothing
   * @param {(text: string) => void} log
   */
  constructor(area, locks, { storageKey, userID, sdkAppID }, log) {
    this.#area = storageKey ? area : null;
    this.#locks = storageKey ? locks : undefined;
    this.#key = storageKey;
    this.#user = { userID, sdkAppID };
    this.#log = log;
  }

  /**
   * What this tab has kept for the user, unless another tab lives on it.
   * @returns {Promise<Stored | null>}
   */
  async open() {
    if (!this.#area) return null;
    const saved = this.#load();
    if (saved) this.#release = await takeLock(this.#locks, saved.lock, lockWait);
    if (saved && this.#release) {
      this.#lock = saved.lock;
      return saved;
    }
    this.#lock = crypto.randomUUID();
    this.#release = await takeLock(this.#locks, this.#lock, lockWait);
    return null;
  }

  /** The client has ended: another of this page may go on with what is kept. */
  close() {
    this.#release?.();
  }

  /** What is another's, or malformed, is thrown away. @returns {Stored | null} */
  #load() {
    const { userID, sdkAppID } = this.#user;
    try {
      const text = this.#area?.getItem(this.#key);
      if (!text) return null;
      const s = JSON.parse(text);
      if (isStored(s) && s.userID === userID && s.sdkAppID === sdkAppID) return s;
    } catch {
      // It is malformed.
    }
    this.clear();
    return null;
  }

  /** @param {Kept} kept */
  save(kept) {
    if (!this.#area) return;
    try {
      this.#area.setItem(this.#key, JSON.stringify({ version: 1, ...this.#user, lock: this.#lock, ...kept }));
    } catch (err) {
      this.#log(`the call cannot be kept for a reload: ${err}`);
      this.clear(); // what is there is not true any more
    }
  }

  clear() {
    try {
      this.#area?.removeItem(this.#key);
    } catch {
      // It cannot be read either.
    }
  }
}

/** @param {any} s @returns {s is Stored} */
function isStored(s) {
  return s?.version === 1 && typeof s.userID === "string" && isCount(s.sdkAppID) &&
    typeof s.lock === "string" && s.lock.length <= 100 && s.lock !== "" &&
    typeof s.token === "string" && /^[0-9a-f]{1,64}$/i.test(s.token) &&
    isCount(s.windowMS) && s.windowMS <= 3_600_000 && isCount(s.last) &&
    isCall(s.seat, s.state) && typeof s.byHost === "boolean" &&
    Array.isArray(s.tracks) && s.tracks.every((/** @type {unknown} */ t) => typeof checkMessage({ type: "trackAdded", body: t }) !== "string") &&
    isList(s.shown, isCount) && isList(s.own, isCount) &&
    typeof s.micMuted === "boolean" && typeof s.camera === "boolean";
}

/** @param {any} v @param {(x: unknown) => boolean} is */
const isList = (v, is) => Array.isArray(v) && v.length <= 2000 && v.every(is);

/** @param {unknown} v */
const isText = (v) => typeof v === "string" && v.length <= 8192;

/** @param {any} seat @param {any} state */
function isCall(seat, state) {
  const infoOK = (/** @type {any} */ i) => isText(i?.callID) && isText(i.groupID) && isText(i.inviter) && isCount(i.media);
  if (!infoOK(seat?.info) || typeof seat.isGroup !== "boolean" || typeof seat.begun !== "boolean" || !isList(seat.users, isText)) return false;
  if (seat.phase === "none") return state === null;
  return (seat.phase === "ringing" || seat.phase === "in") && infoOK(state) && seat.info.callID === state.callID && state.callID !== "" &&
    typeof state.isGroup === "boolean" && typeof state.ringing === "boolean" && typeof state.begun === "boolean" &&
    isText(state.sponsor) && isText(state.sponsorInfo?.userID) && isText(state.sponsorInfo.nick) && isText(state.sponsorInfo.avatar) &&
    isCount(state.begunAt) && ["invited", "users", "audio", "video"].every((k) => isList(state[k], isText)) &&
    typeof state.micMuted === "boolean" && typeof state.cameraOn === "boolean";
}

/**
 * Takes a lock, to tell a page that is loaded again from a second tab with the
 * same storage.
 * @param {LockManager | undefined} locks of the browser; without them it is taken to be free
 * @param {string} name
 * @param {number} waitMS for how long the page before may still hold it
 * @returns {Promise<(() => void) | null>} gives it back; null: another page has it
 */
function takeLock(locks, name, waitMS) {
  if (!locks) return Promise.resolve(() => {});
  return new Promise((resolve) => {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), waitMS);
    locks.request(`earshot:${name}`, { signal: late.signal }, () => {
      clearTimeout(timer);
      return new Promise((release) => resolve(() => release(undefined)));
    }).catch(() => resolve(null));
  });
}
