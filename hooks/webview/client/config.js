// What a client is configured with.

import { bad, checkBool, checkInteger, checkMode, checkText, checkUserID, shown } from "./check.js";
import { Code } from "./codes.js";

/**
 * Where a server is.
 * @typedef {object} Place
 * @property {string} url such as https://localhost:4433/earshot
 * @property {(ArrayBuffer|ArrayBufferView|string)[]} [certificateHashes] SHA-256 hashes of the certificates to trust, as
 *   bytes or base64. Default: the browser's own trust.
 * @property {string} [userSig] of a refresh: a new UserSig. Default the old one.
 */

/**
 * @typedef {object} OwnConfig
 * @property {number} sdkAppID
 * @property {string} userID
 * @property {string} userSig
 * @property {() => Promise<Place>} [refresh] asked before each reconnect: a restarted server may have another
 *   certificate, or address. Default: nothing changes.
 * @property {import("./listener.js").Listener} [listener] Default none; see setCallingListener.
 * @property {import("./listener.js").View|null} [view] shows calls to the person. Default none.
 * @property {import("./listener.js").ViewRoute} [viewRoute] decides which view shows a call. Default: view shows all.
 * @property {""|"forward"|"mix"} [receive] how the others' voices reach this client. Default: as the room has it.
 * @property {string} [agent] names the program, for the server's log. Default "earshot-js".
 * @property {string} [storageKey] the key in sessionStorage under which a call is kept over a reload. Default: none is.
 * @property {string|URL} [workerURL] where worker.js is. Default: beside this file.
 * @property {string} [language] "en" or "zh". Default the browser's.
 * @property {boolean} [autoMicrophone] open the microphone when a call is entered. Default true; otherwise it is muted,
 *   and opened by the first setMicMute(false).
 * @property {boolean} [autoCamera] open the camera when a video call is entered. Default true.
 */

/** @typedef {Omit<Place, "userSig"> & OwnConfig} Config */

/**
 * @typedef {object} CheckedConfig
 * @property {string} url
 * @property {ArrayBuffer[]} certificateHashes
 * @property {number} sdkAppID
 * @property {string} userID
 * @property {string} userSig
 * @property {(() => Promise<import("./net/session.js").Fresh>) | null} refresh
 * @property {import("./listener.js").Listener | null} listener
 * @property {import("./listener.js").View | null} view
 * @property {import("./listener.js").ViewRoute | null} viewRoute
 * @property {""|"forward"|"mix"} receive
 * @property {string} agent
 * @property {string} storageKey
 * @property {string|URL|undefined} workerURL
 * @property {string} language
 * @property {boolean} autoMicrophone
 * @property {boolean} autoCamera
 */

/** @param {unknown} v */
function checkURL(v) {
  let url;
  try {
    url = new URL(String(v));
  } catch {
    return bad(`url ${shown(v)} is none`);
  }
  if (url.protocol !== "https:") return bad(`url ${shown(v)} does not begin with https://`);
  if (url.hash) return bad("url has a fragment");
  return url.href;
}

/** @param {unknown} v @returns {ArrayBuffer[]} */
function checkHashes(v) {
  if (v === undefined || v === null) return [];
  if (!Array.isArray(v)) return bad("certificateHashes is not an array");
  return v.map((h) => {
    let bytes;
    if (typeof h === "string") {
      try {
        bytes = Uint8Array.from(atob(h.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
      } catch {
        return bad("a certificate hash is not base64");
      }
    } else if (h instanceof ArrayBuffer) {
      bytes = new Uint8Array(h.slice(0));
    } else if (ArrayBuffer.isView(h)) {
      bytes = new Uint8Array(new Uint8Array(h.buffer, h.byteOffset, h.byteLength));
    } else {
      return bad("a certificate hash is neither bytes nor base64");
    }
    if (bytes.length !== 32) return bad(`a certificate hash of ${bytes.length} bytes, not 32`);
    return bytes.buffer;
  });
}

/**
 * A function of the configuration's, or null.
 * @template {Function} F
 * @param {F | null | undefined} f @param {string} name
 */
function checkFunction(f, name) {
  if (f === undefined || f === null) return null;
  return typeof f === "function" ? f : bad(`${name} is not a function`);
}

/** @param {unknown} v @param {string} name */
function checkObject(v, name) {
  if (v !== undefined && v !== null && typeof v !== "object") bad(`${name} is not an object`);
}

/**
 * Checks a configuration. Throws a CallError that says what is wrong.
 * @param {Config} c
 * @returns {CheckedConfig}
 */
export function checkConfig(c) {
  if (typeof c !== "object" || c === null) bad("the configuration is not an object");
  checkObject(c.listener, "listener");
  checkObject(c.view, "view");
  if (c.view && (typeof c.view.present !== "function" || typeof c.view.dismiss !== "function")) bad("view has no present and dismiss");
  if (typeof c.userSig !== "string" || c.userSig === "") bad("userSig is empty", Code.UserSig);
  const refresh = checkFunction(c.refresh, "refresh");
  return {
    url: checkURL(c.url),
    certificateHashes: checkHashes(c.certificateHashes),
    sdkAppID: checkInteger(c.sdkAppID, "sdkAppID", 0, 0xffffffff),
    userID: checkUserID(c.userID),
    userSig: checkText(c.userSig, "userSig", 8192),
    refresh: refresh && (async () => {
      const fresh = await refresh();
      return { url: checkURL(fresh?.url), certificateHashes: checkHashes(fresh.certificateHashes), userSig: checkText(fresh.userSig, "userSig", 8192) };
    }),
    listener: c.listener ?? null,
    view: c.view ?? null,
    viewRoute: checkFunction(c.viewRoute, "viewRoute"),
    receive: checkMode(c.receive),
    agent: checkText(c.agent, "agent", 128) || "earshot-js",
    storageKey: checkText(c.storageKey, "storageKey", 200),
    workerURL: c.workerURL,
    language: checkText(c.language, "language", 35) || globalThis.navigator?.language || "en",
    autoMicrophone: c.autoMicrophone === undefined ? true : checkBool(c.autoMicrophone, "autoMicrophone"),
    autoCamera: c.autoCamera === undefined ? true : checkBool(c.autoCamera, "autoCamera"),
  };
}
