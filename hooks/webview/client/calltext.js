// What a chat shows for a message of a call: the same words as the Go package
// engine/callmessage.

import { isCallingData, parseCallMessage } from "./callmessage.js";
import { CallError, Code, MediaType } from "./codes.js";

/** @typedef {import("./callmessage.js").Kind} Kind */
/** @typedef {import("./callmessage.js").CallMessage} CallMessage */

/**
 * Who looks at a message.
 * @typedef {object} Viewer
 * @property {string} [userID]
 * @property {string} [sender] who sent the chat message. Default whose step it is.
 * @property {(userID: string) => string} [name] a user's name to show. Default the ID without control characters.
 * @property {"en"|"zh"} [language] Default "zh", as in Go.
 */

/**
 * @typedef {object} Words of one language; in those of groups %s is a name or a list of them
 * @property {string} separator
 * @property {Partial<Record<Kind, string>>} caller one-to-one, on the caller's side
 * @property {Partial<Record<Kind, string>>} callee where it differs on the callee's
 * @property {Partial<Record<Kind, string>>} group
 * @property {string} duration
 * @property {Partial<Record<Kind, string>>} toVideo the switches, the other way
 * @property {Partial<Record<Kind, string>>} groupTo
 * @property {string} notCall
 */

/** @type {{zh: Words, en: Words}} */
const texts = {
  zh: {
    separator: "、",
    caller: {
      unknown: "未知通话", dial: "发起通话", cancel: "已取消", accept: "接听通话", reject: "对方已拒绝", lineBusy: "对方忙线中",
      timeout: "对方无应答", switch: "视频转语音", switchAccept: "确认转语音", switchReject: "对方已拒绝", sync: "未知通话",
    },
    callee: { cancel: "对方已取消", reject: "已拒绝", lineBusy: "对方已取消", timeout: "对方已取消", switchReject: "已拒绝" },
    group: {
      unknown: "未知通话", dial: "%s发起了群通话", cancel: "通话结束", accept: "%s接听", reject: "%s拒绝群通话", lineBusy: "%s未接听",
      timeout: "%s未接听", hangup: "通话结束", switch: "视频转语音", switchAccept: "同意视频转语音", switchReject: "%s拒绝群通话",
      sync: "未知通话",
    },
    duration: "通话时长：",
    toVideo: { switch: "语音转视频", switchAccept: "确认转视频" },
    groupTo: { switch: "语音转视频", switchAccept: "同意语音转视频" },
    notCall: "[自定义]",
  },
  en: {
    separator: ", ",
    caller: {
      unknown: "Unknown call", dial: "Started a call", cancel: "Cancelled", accept: "Answered the call",
      reject: "Declined by the other side", lineBusy: "Line busy", timeout: "No answer", switch: "Switched from video to voice",
      switchAccept: "Agreed to switch to voice", switchReject: "Declined by the other side", sync: "Unknown call",
    },
    callee: {
      cancel: "Cancelled by the caller", reject: "Declined", lineBusy: "Cancelled by the caller",
      timeout: "Cancelled by the caller", switchReject: "Declined",
    },
    group: {
      unknown: "Unknown call", dial: "%s started a group call", cancel: "Call ended", accept: "%s answered",
      reject: "%s declined the group call", lineBusy: "%s did not answer", timeout: "%s did not answer", hangup: "Call ended",
      switch: "Switched from video to voice", switchAccept: "Agreed to switch from video to voice",
      switchReject: "%s declined the group call", sync: "Unknown call",
    },
    duration: "Call duration: ",
    toVideo: { switch: "Switched from voice to video", switchAccept: "Agreed to switch to video" },
    groupTo: { switch: "Switched from voice to video", switchAccept: "Agreed to switch from voice to video" },
    notCall: "[Custom message]",
  },
};

/** MM:SS, and from an hour on H:MM:SS. @param {number} seconds */
function clock(seconds) {
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const s = Math.max(0, Math.trunc(seconds));
  const minutes = Math.trunc(s / 60);
  if (s >= 3600) return `${Math.trunc(s / 3600)}:${two(minutes % 60)}:${two(s % 60)}`;
  return `${two(minutes)}:${two(s % 60)}`;
}

/** Without what could turn a text around. @param {string} userID */
const plain = (userID) => userID.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, "");

/** Whom the step concerns. @param {CallMessage} m @param {Words} w @param {Viewer} v */
function names(m, w, v) {
  const name = v.name ?? plain;
  if (m.kind === "timeout" || m.kind === "lineBusy") return m.invitees.map((u) => name(u)).join(w.separator);
  const answers = ["accept", "reject", "lineBusy", "switchAccept", "switchReject"].includes(m.kind);
  return name(v.sender || (answers && m.invitees[0]) || m.inviter);
}

/** @param {CallMessage} m @param {Viewer} v */
function isCaller(m, v) {
  const caller = m.caller || (m.kind === "hangup" || m.kind === "switch" ? "" : m.inviter);
  return caller === "" || caller === (v.userID ?? "");
}

/**
 * What a message says to a viewer: that of an unknown call for what cannot be
 * read, and of a custom message for what is no call.
 * @param {string | CallMessage} message as it came, or parsed
 * @param {Viewer} [viewer]
 * @returns {string}
 */
export function callMessageText(message, viewer = {}) {
  const w = viewer.language === "en" ? texts.en : texts.zh;
  let m = message;
  if (typeof m !== "object" || m === null) {
    try {
      m = parseCallMessage(m);
    } catch (err) {
      const read = err instanceof CallError && err.code !== Code.Unsupported && isCallingData(/** @type {string} */ (message));
      return (read && w.caller.unknown) || w.notCall;
    }
  }
  if (m.group) {
    const form = (m.to === MediaType.Video && w.groupTo[m.kind]) || w.group[m.kind] || "";
    return form.replace("%s", () => names(m, w, viewer));
  }
  if (m.kind === "hangup") return w.duration + clock(m.duration);
  if (m.to === MediaType.Video && w.toVideo[m.kind]) return w.toVideo[m.kind] ?? "";
  if (w.callee[m.kind] && !isCaller(m, viewer)) return w.callee[m.kind] ?? "";
  return w.caller[m.kind] ?? "";
}
