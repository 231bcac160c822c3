// The bodies of a server's messages, checked at the border: behind it, they are
// what the types say. Fields that are not known are left behind.

import { checkRoomID, isCallID, isCount, isMedia, isUserID } from "../check.js";
import { Code } from "../codes.js";

/**
 * @typedef {object} Track
 * @property {number} trackID
 * @property {string} callID
 * @property {string} userID empty of a mix
 * @property {"audio"|"video"} kind
 * @property {boolean} muted
 * @property {number} flow
 * @property {number} ssrc
 * @property {number} payloadType
 * @property {number} levelExtension 0 is none
 * @property {number} spaceExtension of a track of a world; 0 is none
 * @property {number[]} layerSSRCs of a video's sizes, the smallest first; empty where there is one
 * @property {boolean} mix it is everybody else, mixed
 */

/** @typedef {{userID: string, nick: string, avatar: string}} UserInfo what a user says of themselves; hostile input */

/**
 * @typedef {object} CallRecord what became of a call for this user
 * @property {string} callID
 * @property {string} inviter
 * @property {string[]} userIDs the others who were called or came
 * @property {boolean} isGroup
 * @property {string} groupID
 * @property {number} media see MediaType
 * @property {number} result 1 missed, 2 incoming, 3 outgoing
 * @property {number} reason see EndReason
 * @property {number} beganMS Unix time, in milliseconds
 * @property {number} durationMS
 */

/**
 * @typedef {object} Result of a request
 * @property {number} re
 * @property {number} code
 * @property {string} message
 * @property {string} [callID]
 * @property {Track} [track]
 * @property {UserInfo} [info]
 * @property {CallRecord[]} [records]
 * @property {string} [next]
 */

/** @typedef {{version: number, token: string, windowMS: number, received: number, resumed: boolean, bundles: boolean}} Welcome */

/** The latest time that a Date takes. */
const maxTime = 8.64e15;

/** A body is not what its type wants. */
class MalformedError extends Error {}

/** @param {boolean} ok @param {string} what @returns {asserts ok} */
function want(ok, what) {
  if (!ok) throw new MalformedError(what);
}

/** @param {unknown} v @returns {Record<string, unknown>} */
function fields(v) {
  if (v === undefined || v === null) return {};
  want(typeof v === "object" && !Array.isArray(v), "it is no object");
  return /** @type {Record<string, unknown>} */ (v);
}

/** @param {unknown} v @param {string} name @param {number} [max] characters */
function text(v, name, max = 8192) {
  if (v === undefined || v === null) return "";
  want(typeof v === "string" && v.length <= max, `${name} is no string of at most ${max} characters`);
  return v;
}

/** @param {unknown} v @param {string} name @param {number} [max] */
function count(v, name, max = Number.MAX_SAFE_INTEGER) {
  if (v === undefined || v === null) return 0;
  want(isCount(v) && v <= max, `${name} is no whole number of 0 to ${max}`);
  return v;
}

/** @param {unknown} v @param {string} name */
function flag(v, name) {
  if (v === undefined || v === null) return false;
  want(typeof v === "boolean", `${name} is neither true nor false`);
  return v;
}

/** @param {unknown} v */
function callID(v) {
  want(isCallID(v), "callID is none");
  return v;
}

/** @param {unknown} v @param {string} [name] */
function userID(v, name = "userID") {
  want(isUserID(v), `${name} is none`);
  return v;
}

/** @param {unknown} v */
function users(v) {
  if (v === undefined || v === null) return [];
  want(Array.isArray(v) && v.length <= 2000, "userIDs is no list");
  return v.map((u) => userID(u));
}

/** @param {unknown} v @param {string} [name] */
function media(v, name = "media") {
  want(isMedia(v), `${name} is neither 1 nor 2`);
  return v;
}

/** @param {unknown} v */
function trackID(v) {
  want(isCount(v), "trackID is none");
  return v;
}

/** @param {unknown} v */
function code(v) {
  if (v === undefined || v === null) return 0;
  want(Number.isSafeInteger(v), "code is no whole number");
  return /** @type {number} */ (v);
}

/** @param {unknown} v @returns {UserInfo} */
function info(v) {
  const b = fields(v);
  return { userID: b.userID === undefined ? "" : userID(b.userID), nick: text(b.nick, "nick", 500), avatar: text(b.avatar, "avatar", 500) };
}

/** @param {unknown} v @returns {Track} */
function track(v) {
  const b = fields(v);
  const mix = flag(b.mix, "mix");
  const kind = b.kind;
  want(kind === "audio" || kind === "video", "kind is neither audio nor video");
  want(!mix || kind === "audio", "a mix of video");
  const flow = count(b.flow, "flow");
  want(flow > 0, "flow is out of range");
  const ssrcs = b.layerSSRCs ?? [];
  want(Array.isArray(ssrcs) && ssrcs.length <= 3, "layerSSRCs is no list of at most 3");
  return {
    trackID: trackID(b.trackID),
    callID: callID(b.callID),
    userID: mix && (b.userID === undefined || b.userID === "") ? "" : userID(b.userID),
    kind,
    muted: flag(b.muted, "muted"),
    flow,
    ssrc: count(b.ssrc, "ssrc", 0xffffffff),
    payloadType: count(b.payloadType, "payloadType", 127),
    levelExtension: count(b.levelExtension, "levelExtension", 14),
    spaceExtension: count(b.spaceExtension, "spaceExtension", 14),
    layerSSRCs: ssrcs.map((s) => count(s, "a layer's SSRC", 0xffffffff)),
    mix,
  };
}

/** What a result says. @param {Record<string, unknown>} b */
function answer(b) {
  const { records = [] } = b;
  want(Array.isArray(records) && records.length <= 100, "records is no list");
  return {
    code: code(b.code),
    message: text(b.message, "message"),
    callID: b.callID === undefined || b.callID === "" ? undefined : callID(b.callID),
    track: b.track === undefined ? undefined : track(b.track),
    info: b.info === undefined ? undefined : info(b.info),
    records: b.records === undefined ? undefined : records.map(record),
    next: text(b.next, "next", 200),
  };
}

/** @param {unknown} v @returns {CallRecord} */
function record(v) {
  const b = fields(v);
  return {
    callID: callID(b.callID),
    inviter: userID(b.inviter, "inviter"),
    userIDs: users(b.userIDs),
    isGroup: flag(b.isGroup, "isGroup"),
    groupID: text(b.groupID, "groupID", 64),
    media: media(b.media),
    result: count(b.result, "result", 255),
    reason: count(b.reason, "reason", 255),
    beganMS: count(b.beganMS, "beganMS", maxTime),
    durationMS: count(b.durationMS, "durationMS"),
  };
}

const callRef = (/** @type {Record<string, unknown>} */ b) => ({ callID: callID(b.callID) });
const callUser = (/** @type {Record<string, unknown>} */ b) => ({ callID: callID(b.callID), userID: userID(b.userID) });
const callUsers = (/** @type {Record<string, unknown>} */ b) => ({ callID: callID(b.callID), userIDs: users(b.userIDs) });
const trackMute = (/** @type {Record<string, unknown>} */ b) => ({ trackID: trackID(b.trackID), muted: flag(b.muted, "muted") });
const goodbye = (/** @type {Record<string, unknown>} */ b) => ({ code: code(b.code), message: text(b.message, "message") });
/** @param {Record<string, unknown>} b @param {boolean} [world] it may be a world, into which nobody invites */
const callOf = (b, world = false) => ({
  callID: callID(b.callID),
  inviter: world && (b.inviter === undefined || b.inviter === "") ? "" : userID(b.inviter, "inviter"),
  userIDs: users(b.userIDs),
  isFromGroup: flag(b.isFromGroup, "isFromGroup"),
  groupID: text(b.groupID, "groupID", 64),
  media: media(b.media),
  customView: flag(b.customView, "customView"),
});

const readers = {
  /** @param {Record<string, unknown>} b @returns {Welcome} */
  welcome: (b) => {
    want(b.version === 1, "the server speaks another version of the protocol");
    want(typeof b.token === "string" && /^[0-9a-f]{1,64}$/i.test(b.token), "token is none");
    return {
      version: 1,
      token: b.token,
      windowMS: count(b.windowMS, "windowMS", 3_600_000),
      received: count(b.received, "received"),
      resumed: flag(b.resumed, "resumed"),
      bundles: flag(b.bundles, "bundles"),
    };
  },
  goodbye,
  kicked: goodbye,
  /** @param {Record<string, unknown>} b */
  pong: (b) => ({ t: typeof b.t === "number" ? b.t : 0 }),
  /** @param {Record<string, unknown>} b @returns {Result} */
  result: (b) => {
    const re = count(b.re, "re");
    try {
      return { re, ...answer(b) };
    } catch (err) { // who asked is not to wait for ever
      if (!(err instanceof MalformedError)) throw err;
      return { re, code: Code.Failed, message: `the server's answer is malformed: ${err.message}` };
    }
  },
  /** @param {Record<string, unknown>} b */
  quality: (b) => {
    const list = b.users ?? [];
    want(Array.isArray(list) && list.length <= 2000, "users is no list");
    return {
      callID: callID(b.callID),
      all: flag(b.all, "all"),
      users: list.map((v) => {
        const u = fields(v);
        return { userID: userID(u.userID), quality: count(u.quality, "quality", 6) };
      }),
    };
  },
  /** @param {Record<string, unknown>} b */
  shift: (b) => {
    const samples = count(b.samples, "samples", 2880);
    want(samples >= 1, "samples is 0");
    return { trackID: trackID(b.trackID), samples };
  },
  /** @param {Record<string, unknown>} b */
  invited: (b) => {
    let roomID;
    try {
      roomID = checkRoomID(b.roomID === null || b.roomID === 0 ? undefined : b.roomID);
    } catch {
      want(false, "roomID is none");
    }
    return {
      ...callOf(b),
      sponsor: userID(b.sponsor, "sponsor"),
      timeoutMS: count(b.timeoutMS, "timeoutMS"),
      userData: text(b.userData, "userData"),
      roomID,
      sponsorInfo: b.sponsorInfo === undefined || b.sponsorInfo === null ? undefined : info(b.sponsorInfo),
    };
  },
  /** @param {Record<string, unknown>} b */
  entered: (b) => callOf(b, true),
  invitees: callUsers,
  timedOut: callUsers,
  accepted: callUser,
  rejected: callUser,
  lineBusy: callUser,
  noResponse: callUser,
  userEnter: callUser,
  cancelled: callRef,
  callBegin: callRef,
  /** @param {Record<string, unknown>} b */
  userLeave: (b) => ({ ...callUser(b), reason: count(b.reason, "reason", 255) }),
  /** @param {Record<string, unknown>} b */
  mediaChanged: (b) => ({ ...callUser(b), from: media(b.from, "from"), media: media(b.media) }),
  /** @param {Record<string, unknown>} b */
  callEnd: (b) => ({ ...callRef(b), reason: count(b.reason, "reason", 255), durationMS: count(b.durationMS, "durationMS") }),
  trackAdded: track,
  /** @param {Record<string, unknown>} b */
  trackEnded: (b) => ({ trackID: trackID(b.trackID) }),
  trackMuted: trackMute,
  userSigExpired: () => ({}),
};

/** @typedef {typeof readers} Readers */
/** @typedef {keyof Readers} EventType */
/**
 * A message that was checked: its type says what its body is.
 * @typedef {{[K in EventType]: {type: K, body: ReturnType<Readers[K]>}}[EventType]} Checked
 */

/**
 * Checks a message's body.
 * @param {import("./framing.js").Message} m
 * @returns {Checked | string} a string says why it is to be ignored: its type is
 * not known, or its body is malformed
 */
export function checkMessage(m) {
  if (!Object.hasOwn(readers, m.type)) return `a message of an unknown type, ${JSON.stringify(m.type.slice(0, 40))}`;
  const type = /** @type {EventType} */ (m.type);
  try {
    return /** @type {Checked} */ ({ type, body: readers[type](fields(m.body)) });
  } catch (err) {
    if (err instanceof MalformedError) return `a malformed message, ${type}: ${err.message}`;
    throw err;
  }
}
