// What a client tells: listeners, views, and what is handed to them.

/**
 * @typedef {object} CallInfo
 * @property {string} callID
 * @property {string} groupID the host's group; may be empty
 * @property {number} media see MediaType
 * @property {string} inviter the user who started the call; empty in a game's world
 */

/** @typedef {import("./net/messages.js").UserInfo} UserInfo */

/**
 * @typedef {object} Invitation
 * @property {string} callID
 * @property {string} sponsor the user who invites
 * @property {string} inviter the user who started the call
 * @property {string[]} userIDs the others invited at the same time
 * @property {boolean} isFromGroup whether it is a group call
 * @property {string} groupID the host's group; may be empty
 * @property {number|string|undefined} roomID
 * @property {number} media see MediaType
 * @property {number} timeoutMS how long it rings
 * @property {string} userData what the sponsor gave along; hostile input
 * @property {UserInfo} sponsorInfo how the sponsor wants to be shown; hostile input
 */

/** @typedef {{userID: string, volume: number, voice: boolean}} UserVolume volume is 1 to 100; voice: it is speech */

/** @typedef {{userID: string, quality: number}} UserQuality see Quality */

/** @typedef {{kind: "microphone"|"camera"|"screen"|"speaker", problem: string}} DeviceState */

/**
 * A call as a view has to show it.
 * @typedef {object} ViewState
 * @property {string} callID
 * @property {string} groupID
 * @property {number} media see MediaType
 * @property {string} inviter the user who started the call
 * @property {boolean} isGroup whether it is a group call, even one without a group ID
 * @property {boolean} ringing the user is invited and has not answered; otherwise they are in the call
 * @property {string} sponsor who invited the user; empty for a call that they dialled or joined
 * @property {UserInfo} sponsorInfo how the sponsor wants to be shown; hostile input
 * @property {string[]} invited whom this user called, and of whom nothing was heard yet
 * @property {boolean} begun talking has begun
 * @property {number} begunAt when this device heard of it, in Unix milliseconds; 0 before
 * @property {string[]} users the others in the call, sorted
 * @property {string[]} audio those of them whose microphone is on
 * @property {string[]} video those of them whose camera is on
 * @property {boolean} micMuted this user's own microphone is muted
 * @property {boolean} cameraOn this user's own camera is on
 */

/**
 * A listener is any object with some of these functions. They are called one at
 * a time, in the order in which things happened, and never inside the function
 * of the client that caused them. Each may call any function of the client. One
 * that throws is logged, and the rest go on. What is handed over belongs to the
 * listener.
 * @typedef {object} Listener
 * @property {(code: number, message: string) => void} [onError] something failed; see Code
 * @property {(code: number, message: string) => void} [onWarning] something is not as it should be, and goes on
 * @property {(invitation: Invitation) => void} [onInvited] this user is invited to a call
 * @property {(call: CallInfo) => void} [onCallReceived] comes with onInvited, in the words of the newer API
 * @property {(userIDs: string[]) => void} [onGroupCallInviteeListUpdate] more users were invited: all who have not answered
 * @property {(userID: string) => void} [onAccept] an invited user accepted
 * @property {(userID: string) => void} [onReject] an invited user rejected
 * @property {(userID: string) => void} [onLineBusy] an invited user is on another call
 * @property {(userID: string) => void} [onNoResp] an invited user did not answer in time
 * @property {() => void} [onCallingCancel] the call that one was invited to was taken back
 * @property {(userIDs: string[]) => void} [onCallingTimeout] invitations timed out; one's own gives an empty list
 * @property {(result: number) => void} [onEnterRoom] in the call's room (above 0: milliseconds since asking), or not (below 0: a Code)
 * @property {(userID: string) => void} [onUserEnter] another user came into the call
 * @property {(userID: string, reason: number) => void} [onUserLeave] another user left it; see LeaveReason
 * @property {(call: CallInfo) => void} [onCallBegin] the call is answered and talking begins
 * @property {(call: CallInfo, reason: number, durationMS: number) => void} [onCallEnd] the call is over for this
 *   client; see EndReason. The duration is 0 if it was never answered
 * @property {(userID: string, available: boolean) => void} [onUserAudioAvailable] another's microphone was turned on or off
 * @property {(userID: string, available: boolean) => void} [onUserVideoAvailable] another's camera was turned on or off
 * @property {(userID: string, width: number, height: number) => void} [onFirstVideoFrame] a user's first frame that is shown
 * @property {(from: number, to: number) => void} [onCallMediaTypeChanged] the call went from video to audio or back
 * @property {(volumes: UserVolume[], total: number) => void} [onUserVoiceVolume] how loud everybody is, the loudest
 *   first, only those above 0, this user under their own ID; total is that of the others together, 0 to 100
 * @property {(userID: string) => void} [onDominantSpeaker] who has the floor; empty: nobody
 * @property {(bps: number) => void} [onTargetBitrate] what this client's video may take, in bits per second
 * @property {(local: UserQuality, remote: UserQuality[]) => void} [onNetworkQuality] how good the connections are
 * @property {() => void} [onKickedOffline] the same user signed in elsewhere; this client is done
 * @property {() => void} [onUserSigExpired] the UserSig is no longer valid
 * @property {(state: "connected"|"reconnecting"|"closed", reason: string) => void} [onConnectionState] the connection to the server
 * @property {(device: DeviceState) => void} [onDevice] a device cannot be used ("denied", "missing", "busy", "ended",
 *   "failed", "muted"), or works again ("")
 * @property {() => void} [onAutoplayBlocked] the browser plays no sound before a click: call resumeSound in one
 * @property {() => void} [onScreenShareEnded] the person ended sharing the screen by the browser's own means
 */

/**
 * A view shows calls to a person, one at a time, from present to dismiss. It is
 * a listener: between the two it is told of every callback, after the
 * listeners. The view that a client was configured with is also told what
 * happens between calls, such as onKickedOffline.
 * @typedef {Listener & {
 *   present: (call: ViewState) => void,
 *   dismiss: (callID: string) => void,
 * }} View
 */

/**
 * Decides which view a call goes to: standard is the one of the configuration,
 * or null. It may return that, another one, or null for none. It is asked once
 * for each call. Without it, or should it throw, the call goes to the standard
 * view, and a game's world (its inviter is empty) to none.
 * @typedef {(call: ViewState, standard: View | null) => View | null} ViewRoute
 */

/** The names of a listener's functions. @typedef {Exclude<keyof Listener, never>} Callback */

/** Listeners in the order in which they came. One that is added twice is there once. */
export class ListenerSet {
  /** @type {Set<Listener>} */
  #all = new Set();

  /** @param {Listener} l */
  add(l) {
    this.#all.add(l);
  }

  /** @param {Listener} l */
  remove(l) {
    this.#all.delete(l);
  }

  /**
   * Gives each to f, but for those that another has removed meanwhile.
   * @param {(l: Listener) => void} f
   */
  each(f) {
    for (const l of [...this.#all]) if (this.#all.has(l)) f(l);
  }
}
