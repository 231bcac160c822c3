// A device's place in its call, as a pure function of what the server says.

import { EndReason } from "./codes.js";

/** @typedef {import("./listener.js").CallInfo} CallInfo */
/** @typedef {import("./net/messages.js").Checked} Checked */
/** @typedef {import("./callbacks.js").Tell} Tell */

/**
 * @typedef {object} Seat
 * @property {"none"|"ringing"|"in"} phase
 * @property {CallInfo} info
 * @property {boolean} isGroup
 * @property {boolean} begun talking has begun
 * @property {string[]} users the others who are in, sorted
 */

/** @returns {Seat} the seat of a device without a call */
export const emptySeat = () => ({
  phase: "none",
  info: { callID: "", groupID: "", media: 0, inviter: "" },
  isGroup: false,
  begun: false,
  users: [],
});

/** @param {Extract<Checked, {type: "invited"|"entered"}>["body"]} b @returns {CallInfo} */
const infoOf = (b) => ({ callID: b.callID, groupID: b.groupID, media: b.media, inviter: b.inviter });

/**
 * Carries out what the server says of a call. What is about a call that the
 * device is not in does nothing: it was on its way when the device left.
 * @param {Seat} seat it is left as it is
 * @param {Checked} event
 * @param {number} tookMS how long ago the client asked to enter
 * @returns {{seat: Seat, tell: Tell[]} | null} null: nothing
 */
export function applyEvent(seat, { type, body: b }, tookMS) {
  switch (type) {
    case "invited": {
      if (seat.phase !== "none") return null;
      const now = { ...emptySeat(), phase: /** @type {const} */ ("ringing"), info: infoOf(b), isGroup: b.isFromGroup };
      const info = b.sponsorInfo;
      const invitation = {
        callID: b.callID,
        sponsor: b.sponsor,
        inviter: b.inviter,
        userIDs: b.userIDs,
        isFromGroup: b.isFromGroup,
        groupID: b.groupID,
        roomID: b.roomID,
        media: b.media,
        timeoutMS: b.timeoutMS,
        userData: b.userData,
        sponsorInfo: { userID: b.sponsor, nick: info?.nick ?? "", avatar: info?.avatar ?? "" },
      };
      return { seat: now, tell: [["onInvited", invitation], ["onCallReceived", now.info]] };
    }
    case "entered": {
      if (seat.phase === "in" || (seat.phase === "ringing" && seat.info.callID !== b.callID)) return null;
      const users = [...new Set(b.userIDs)].sort();
      return {
        seat: { phase: "in", info: infoOf(b), isGroup: b.isFromGroup, begun: false, users },
        tell: [["onEnterRoom", tookMS], ...users.map((u) => /** @type {Tell} */ (["onUserEnter", u]))],
      };
    }
  }
  if (seat.phase === "none" || !("callID" in b) || b.callID !== seat.info.callID) return null;
  switch (type) {
    case "invitees":
      return { seat, tell: [["onGroupCallInviteeListUpdate", b.userIDs]] };
    case "accepted":
      return { seat, tell: [["onAccept", b.userID]] };
    case "rejected":
      return { seat, tell: [["onReject", b.userID]] };
    case "lineBusy":
      return { seat, tell: [["onLineBusy", b.userID]] };
    case "noResponse":
      return { seat, tell: [["onNoResp", b.userID]] };
    case "cancelled":
      return { seat: emptySeat(), tell: [["onCallingCancel"]] };
    case "timedOut":
      return { seat: seat.phase === "ringing" ? emptySeat() : seat, tell: [["onCallingTimeout", b.userIDs]] };
    case "userEnter":
      if (seat.users.includes(b.userID)) return null;
      return { seat: { ...seat, users: [...seat.users, b.userID].sort() }, tell: [["onUserEnter", b.userID]] };
    case "userLeave":
      if (!seat.users.includes(b.userID)) return null;
      return {
        seat: { ...seat, users: seat.users.filter((u) => u !== b.userID) },
        tell: [["onUserLeave", b.userID, b.reason]],
      };
    case "callBegin":
      return { seat: { ...seat, begun: true }, tell: [["onCallBegin", seat.info]] };
    case "mediaChanged":
      return {
        seat: { ...seat, info: { ...seat.info, media: b.media } },
        tell: [["onCallMediaTypeChanged", b.from, b.media]],
      };
    case "callEnd": {
      // The device that declined an invitation did so itself.
      const own = seat.phase !== "in" && (b.reason === EndReason.Reject || b.reason === EndReason.LineBusy);
      return { seat: emptySeat(), tell: own ? [] : [["onCallEnd", seat.info, b.reason, b.durationMS]] };
    }
  }
  return null;
}
