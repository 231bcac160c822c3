// The messages with which a chat shows a call: the same rule as the Go package
// engine/callmessage.

import { byteLength } from "./check.js";
import { CallError, Code, MediaType } from "./codes.js";

/** @typedef {"unknown"|"dial"|"cancel"|"accept"|"reject"|"lineBusy"|"timeout"|"hangup"|"switch"|"switchAccept"|"switchReject"|"sync"} Kind */

/**
 * One step of a call.
 * @typedef {object} CallMessage
 * @property {Kind} kind
 * @property {string} callID empty where the message does not say
 * @property {string} inviteID
 * @property {boolean} group
 * @property {string} groupID
 * @property {string} caller the user who started the call; empty where the message does not say
 * @property {string} inviter who sent the invitation
 * @property {string[]} invitees who were invited; for an answer, who answers
 * @property {number} media see MediaType
 * @property {number} to what a switch goes over to; 0 for all else
 * @property {number|string} roomID 0 is none
 * @property {number} timeout seconds
 * @property {number} duration seconds
 * @property {boolean} excludeFromHistory
 * @property {{kind: Kind, userID: string} | null} sync what another did, for the kind "sync"
 * @property {number} version
 */

const maxSize = 64 << 10;
const maxDepth = 32;
const maxSeconds = 0x7fffffff;

/** The data is no message of a call. */
const notCall = (/** @type {string} */ why) => new CallError(Code.Unsupported, `not a message of a call: ${why}`);
/** It is one, but broken or too large. */
const malformed = (/** @type {string} */ why) => new CallError(Code.BadParam, `malformed: ${why}`);

/** @param {unknown} v @returns {v is Record<string, unknown>} */
const isObject = (v) => typeof v === "object" && v !== null && !Array.isArray(v);

/**
 * Whether data is the envelope of an invitation: a JSON object whose businessID
 * is the number 1. It may hold the invitation to something that is no call;
 * parseCallMessage tells.
 * @param {string} data
 */
export function isCallingData(data) {
  if (typeof data !== "string") return false;
  try {
    const v = JSON.parse(data);
    return isObject(v) && Object.hasOwn(v, "businessID") && v.businessID === 1;
  } catch {
    return false;
  }
}

/** @param {string} json */
function tooDeep(json) {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < json.length; i++) {
    const c = json[i];
    if (inString && c === "\\") i++;
    else if (c === '"') inString = !inString;
    else if (inString) continue;
    else if (c === "{" || c === "[") {
      if (++depth > maxDepth) return true;
    } else if (c === "}" || c === "]") depth--;
  }
  return false;
}

/** Reads the fields of a JSON object; null is as good as absent. */
class Fields {
  #path;
  #fields;

  /** @param {string} path for errors @param {Record<string, unknown>} fields */
  constructor(path, fields) {
    this.#path = path;
    this.#fields = fields;
  }

  /** @param {string} path @param {string} json */
  static parse(path, json) {
    if (tooDeep(json)) throw malformed(`${path} nests more than ${maxDepth} deep`);
    let v;
    try {
      v = JSON.parse(json);
    } catch {
      throw malformed(`${path} is not JSON`);
    }
    if (!isObject(v)) throw malformed(`${path} is not an object`);
    return new Fields(path, v);
  }

  /** @param {string} key @returns {unknown} */
  get(key) {
    return Object.hasOwn(this.#fields, key) && this.#fields[key] !== null ? this.#fields[key] : undefined;
  }

  /** @param {string} key */
  has(key) {
    return this.get(key) !== undefined;
  }

  /** @param {string} key @param {string} want @returns {never} */
  fail(key, want) {
    throw malformed(`${this.#path}.${key} is not ${want}`);
  }

  /** @param {string} key @returns {string} */
  string(key) {
    const v = this.get(key);
    if (v === undefined) return "";
    return typeof v === "string" ? v : this.fail(key, "a string");
  }

  /** @param {string} key @returns {string[]} */
  strings(key) {
    const v = this.get(key);
    if (v === undefined) return [];
    return Array.isArray(v) && v.every((s) => typeof s === "string") ? v : this.fail(key, "a list of strings");
  }

  /** @param {string} key @param {number} max @returns {number} */
  integer(key, max) {
    const v = this.get(key);
    if (v === undefined) return 0;
    if (typeof v === "number" && Number.isInteger(v) && v >= 0 && v <= max) return v;
    return this.fail(key, `a whole number from 0 to ${max}`);
  }

  /** Seconds, also in a string. @param {string} key */
  seconds(key) {
    const v = this.get(key);
    if (typeof v !== "string") return this.integer(key, maxSeconds);
    const n = /^[+-]?\d+$/.test(v) ? Number(v) : 0; // it is free text in all but one command
    return n >= 0 && n <= maxSeconds ? n : 0;
  }

  /** @param {string} key */
  flag(key) {
    const v = this.get(key);
    if (v === true || v === 1) return true;
    if (v === undefined || v === false || v === 0) return false;
    return this.fail(key, "true or false");
  }

  /** A room's number or string: 123 and "123" are two rooms. @param {string} key @returns {number|string} */
  room(key) {
    const v = this.get(key);
    return typeof v === "string" && v !== "" ? v : v === "" ? 0 : this.integer(key, 0xfffffffe);
  }
}

/** @type {Record<number, Kind>} */
const syncActions = { 2: "cancel", 3: "reject", 4: "timeout", 7: "accept" };

/**
 * What a message means. The legacy form is told by which keys are there,
 * version 4 by its command.
 * @param {Fields} env @param {Fields} inner @param {Fields} cmd @param {boolean} hasCmd
 * @returns {Kind}
 */
function kindOf(env, inner, cmd, hasCmd) {
  const name = cmd.string("cmd");
  const toAudio = inner.string("switch_to_audio_call") !== "";
  const switching = name === "switchToAudio" || name === "switchToVideo" || (!hasCmd && toAudio);
  const busy = cmd.string("message") === "lineBusy" || inner.has("line_busy");
  inner.string("line_busy"); // any string will do, and nothing else
  switch (env.integer("actionType", 5)) {
    case 1:
      if (switching) return "switch";
      if (!hasCmd) return inner.has("call_end") ? "hangup" : "dial";
      if (name === "audioCall" || name === "videoCall") return "dial";
      if (name === "hangup") return "hangup";
      return name === "sync_info" ? "sync" : "unknown";
    case 2:
      return "cancel";
    case 3:
      return switching ? "switchAccept" : "accept";
    case 4:
      if (busy) return "lineBusy";
      return switching ? "switchReject" : "reject";
    case 5:
      return "timeout";
  }
  return env.fail("actionType", "from 1 to 5");
}

/**
 * Reads a message of any version. Throws a CallError: Unsupported for what is no
 * message of a call, BadParam for one that is broken or larger than 64 KiB.
 * @param {string} data
 * @returns {CallMessage}
 */
export function parseCallMessage(data) {
  if (typeof data !== "string") throw malformed("the data is not a string");
  if (data.length > maxSize || byteLength(data) > maxSize) throw malformed(`more than ${maxSize} bytes`);
  const env = Fields.parse("envelope", data);
  if (env.get("businessID") !== 1) throw notCall("businessID is not 1");
  const text = env.string("data");
  if (text === "") throw notCall("its data is empty");
  const inner = Fields.parse("data", text);
  const business = inner.get("businessID");
  if (business !== "av_call" && business !== "rtc_call" && !inner.has("call_type")) {
    throw notCall("its data has neither the businessID of one nor a call_type");
  }
  const command = inner.get("data");
  const hasCmd = command !== undefined;
  if (hasCmd && !isObject(command)) throw malformed("data.data is not an object");
  const cmd = new Fields("data.data", hasCmd ? command : {}); // empty in the legacy form

  const groupID = env.string("groupID");
  const isGroup = inner.flag("is_group");
  const invitees = env.strings("inviteeList");
  const users = cmd.strings("userIDs");
  const name = cmd.string("cmd");
  const callType = inner.integer("call_type", 255);
  const media = name === "audioCall" ? MediaType.Audio : name === "videoCall" ? MediaType.Video : callType > 2 ? MediaType.Unknown : callType;
  const kind = kindOf(env, inner, cmd, hasCmd);
  const switches = kind === "switch" || kind === "switchAccept" || kind === "switchReject";
  /** @type {CallMessage} */
  const m = {
    kind,
    callID: cmd.string("initialCallId") || inner.string("callid"),
    inviteID: env.string("inviteID"),
    group: groupID !== "" || isGroup,
    groupID,
    caller: cmd.string("inviter"),
    inviter: env.string("inviter"),
    invitees: invitees.length > 0 ? invitees : users,
    media,
    to: !switches ? 0 : name === "switchToVideo" ? MediaType.Video : MediaType.Audio,
    roomID: inner.room("room_id") || cmd.room("room_id"),
    timeout: env.integer("timeout", maxSeconds),
    duration: 0,
    excludeFromHistory: cmd.flag("excludeFromHistoryMessage"),
    sync: null,
    version: inner.integer("version", 1 << 16),
  };
  if (kind === "hangup") m.duration = inner.has("call_end") ? inner.integer("call_end", maxSeconds) : cmd.seconds("cmdInfo");
  if (kind === "sync") m.sync = { kind: syncActions[inner.integer("call_action", 1 << 16)] ?? "unknown", userID: inner.string("user") };
  return m;
}
