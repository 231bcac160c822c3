// The client: its public functions.

import {
  bad, checkBool, checkElement, checkInteger, checkMedia, checkMode, checkPose, checkText, checkUserID, checkUserIDs, isCallID,
} from "./check.js";
import { asCallError, CallError, Code, noCall } from "./codes.js";

/** @typedef {import("./listener.js").Listener} Listener */
/** @typedef {import("./listener.js").View} View */

/**
 * @typedef {object} CallOptions
 * @property {number} [timeoutMS] how long it rings, up to 600000. Default the server's.
 * @property {string} [userData] goes to those invited, at most 4096 bytes. Default none.
 * @property {number|string} [roomID] names the call's room: a number of 1 to 4294967294 or a string of 1 to 64 bytes.
 *   Default: the server chooses a number.
 * @property {string} [privateMapKey] where the server wants one. Default that of setPrivateMapKey.
 * @property {boolean} [camera] open the camera, in a video call. Default as configured.
 */

/**
 * @typedef {object} RecentQuery
 * @property {number} [result] 1 missed, 2 incoming, 3 outgoing. Default all.
 * @property {string} [after] next of the page before. Default: from the newest on.
 * @property {number} [limit] 1 to 100. Default 20.
 */

/**
 * A signed-in user on this page. Functions that ask the server or a device
 * reject with a CallError; what can be told at once to be wrong they reject,
 * too. Each may be called in callbacks.
 */
export class Client {
  #core;

  /** Not for pages: use dial. @param {import("./core.js").Core} core */
  constructor(core) {
    this.#core = core;
  }

  /** The user that the client is signed in as. */
  get userID() {
    return this.#core.config.userID;
  }

  /** Settled with the reason, a CallError, when the client has ended. It never rejects. */
  get done() {
    return this.#core.done;
  }

  /** "connected", "reconnecting" or "closed"; see onConnectionState. */
  get connection() {
    return this.#core.connection;
  }

  /** The present call as a view has to show it, or null. */
  callState() {
    return structuredClone(this.#core.call.state);
  }

  /** Adds a listener. One that is added twice is told once. @param {Listener} listener */
  setCallingListener(listener) {
    if (typeof listener !== "object" || listener === null) bad("the listener is not an object");
    this.#core.callbacks.add(listener);
  }

  /** @param {Listener} listener */
  removeCallingListener(listener) {
    this.#core.callbacks.remove(listener);
  }

  /**
   * Turns the default view off, at once and for calls to come, or on again:
   * while it is off, the listeners alone are told. Throws a CallError if there
   * is no view.
   * @param {boolean} enable
   */
  enableCustomViewRoute(enable) {
    checkBool(enable, "enable");
    const { config, callbacks } = this.#core;
    if (!config.view && !config.viewRoute) bad("no view: set view or viewRoute", Code.Refused);
    this.#alive();
    callbacks.turn((r) => r.turn(enable));
  }

  /** Another default view, or null for none; in the middle of a call, too. @param {View | null} view */
  setView(view) {
    if (view !== null && (typeof view?.present !== "function" || typeof view.dismiss !== "function")) {
      bad("the view has no present and dismiss");
    }
    this.#alive();
    this.#core.config.view = view;
    this.#core.callbacks.turn((r) => r.setStandard(view));
  }

  /**
   * Rings a user. It settles when the server has taken the call; the listener is
   * told of the rest. Busy while this user is dialling, ringing or in a call.
   * @param {string} userID
   * @param {number} media see MediaType
   * @param {CallOptions} [options]
   */
  async call(userID, media, options) {
    const req = { userIDs: [checkUserID(userID)], media: checkMedia(media) };
    this.#alive();
    await this.#core.entering.dial(req, options);
  }

  /**
   * Rings several users. The caller, and users named twice, are passed over.
   * @param {string[]} userIDs
   * @param {number} media see MediaType
   * @param {string} [groupID] the host's group, which those called have to belong to. Default none.
   * @param {CallOptions} [options]
   */
  async groupCall(userIDs, media, groupID, options) {
    const users = checkUserIDs(userIDs);
    if (users.length === 0) bad("nobody to call: the list of users is empty");
    const req = { userIDs: users, isGroup: true, groupID: checkText(groupID, "groupID", 64) || undefined, media: checkMedia(media) };
    this.#alive();
    await this.#core.entering.dial(req, options);
  }

  /**
   * Answers the call that rings here. One that is refused goes on ringing.
   * @param {{camera?: boolean}} [options] camera: open it, in a video call. Default as configured.
   */
  async accept(options = {}) {
    await this.#core.entering.accept(this.#callIn("ringing"), options.camera);
  }

  /**
   * Enters a running group call without an invitation.
   * @param {string} callID
   * @param {{camera?: boolean}} [options] as for accept
   */
  async joinCall(callID, options = {}) {
    if (!isCallID(callID)) bad("the call ID is not a string of 1 to 64 bytes");
    this.#alive();
    await this.#core.entering.join(callID, options.camera);
  }

  /** Declines the call that rings here. */
  async reject() {
    await this.#core.requests.send("reject", { callID: this.#callIn("ringing") });
  }

  /** Declines the call that rings here as if the user were on the phone. */
  async ignore() {
    await this.#core.requests.send("ignore", { callID: this.#callIn("ringing") });
  }

  /** Leaves the call, takes back one's own that is not answered, or rejects the one that rings. */
  async hangup() {
    await this.#core.requests.send("hangup", { callID: this.#callIn() });
  }

  /**
   * Brings more users into the group call that the client is in.
   * @param {string[]} userIDs
   * @param {{timeoutMS?: number}} [options]
   */
  async inviteUser(userIDs, options = {}) {
    const users = checkUserIDs(userIDs);
    if (users.length === 0) bad("nobody to invite: the list of users is empty");
    const timeoutMS = options.timeoutMS === undefined ? undefined : checkInteger(options.timeoutMS, "timeoutMS", 0, 600_000);
    const callID = this.#callIn("in");
    const { call, callbacks, requests } = this.#core;
    const fresh = users.filter((u) => !call.state?.invited.includes(u));
    callbacks.enqueue(call.invite(fresh));
    try {
      await requests.send("invite", { callID, userIDs: users, timeoutMS });
    } catch (err) {
      callbacks.enqueue(call.uninvite(fresh));
      throw err;
    }
  }

  /** Makes a video call an audio call, or the other way round, for all who are in it. @param {number} media */
  async switchMedia(media) {
    const to = checkMedia(media);
    await this.#core.requests.send("switchMedia", { callID: this.#callIn("in"), media: to });
  }

  /** Mutes or unmutes the microphone, in this call and later ones. @param {boolean} muted */
  async setMicMute(muted) {
    checkBool(muted, "muted");
    this.#alive();
    await this.#core.publishing.setMicMute(muted);
  }

  /** Stops or resumes hearing one user in this call. @param {string} userID @param {boolean} muted */
  async muteRemoteAudio(userID, muted) {
    checkUserID(userID);
    checkBool(muted, "muted");
    this.#alive();
    await this.#core.tracks.hear(userID, !muted);
  }

  /**
   * How loud another user is heard here, for as long as the call lasts.
   * @param {string} userID
   * @param {number} volume 0 is not at all, 100 as they are, 150 the most
   */
  async setRemoteAudioVolume(userID, volume) {
    checkUserID(userID);
    checkInteger(volume, "volume", 0, 150);
    await this.#core.tracks.setVolume(this.#callIn("in"), userID, volume);
  }

  /**
   * How the others' voices reach this client, in this call and later ones.
   * @param {"forward"|"mix"|""} mode "" is as the room has it
   */
  async setReceiveMode(mode) {
    const m = checkMode(mode);
    this.#alive();
    await this.#core.entering.setReceiveMode(m);
  }

  /**
   * Shows another user's video in an element, from the next key frame on. A
   * camera that is opened again wants it again.
   * @param {string} userID
   * @param {HTMLElement} element
   */
  async startRemoteView(userID, element) {
    checkUserID(userID);
    checkElement(element);
    this.#alive();
    await this.#core.tracks.show(userID, element);
  }

  /** Ends startRemoteView: the video is not sent here any longer. @param {string} userID */
  async stopRemoteView(userID) {
    checkUserID(userID);
    this.#alive();
    await this.#core.tracks.hide(userID);
  }

  /** Shows the own camera, or the screen that is shared, in an element. @param {HTMLElement} element */
  async startLocalPreview(element) {
    checkElement(element);
    this.#alive();
    await this.#core.media.attachPreview(element);
  }

  async stopLocalPreview() {
    this.#alive();
    await this.#core.media.detachPreview();
  }

  /** Opens the camera in a video call. @param {object} [options] as for setCamera */
  async openCamera(options) {
    this.#alive();
    await this.#core.publishing.openCamera(options);
  }

  async closeCamera() {
    this.#alive();
    await this.#core.publishing.closeCamera();
  }

  /** Sends the screen in place of the camera, in a video call. @param {{track?: MediaStreamTrack, frameRate?: number}} [options] */
  async startScreenShare(options) {
    this.#alive();
    try {
      await this.#core.publishing.openScreen(options);
    } catch (err) {
      throw asCallError(err, Code.Refused); // by the person, most likely
    }
  }

  async stopScreenShare() {
    this.#alive();
    await this.#core.publishing.closeScreen();
  }

  /** How the user wants to be shown: at most 500 bytes each. @param {string} nick @param {string} avatar */
  async setSelfInfo(nick, avatar) {
    await this.#core.requests.send("setSelfInfo", { nick: checkText(nick, "nick", 500), avatar: checkText(avatar, "avatar", 500) });
  }

  /** How a user wants to be shown. @param {string} userID @returns {Promise<import("./listener.js").UserInfo>} */
  async userInfo(userID) {
    const { info } = await this.#core.requests.send("getUserInfo", { userID: checkUserID(userID) });
    return { userID, nick: info?.nick ?? "", avatar: info?.avatar ?? "" };
  }

  /**
   * A page of the user's call records, the newest first, and what to ask for
   * the next page with; it is "" after the last.
   * @param {RecentQuery} [query]
   */
  async recentCalls(query = {}) {
    const body = {
      result: query.result === undefined ? undefined : checkInteger(query.result, "result", 0, 3),
      after: checkText(query.after, "after", 200) || undefined,
      limit: query.limit === undefined ? undefined : checkInteger(query.limit, "limit", 1, 100),
    };
    const { records = [], next = "" } = await this.#core.requests.send("recentCalls", body);
    return { records, next };
  }

  /** How often onUserVoiceVolume comes in a call, at least 100 ms; 0 or less turns it off. @param {number} ms */
  enableAudioVolumeEvaluation(ms) {
    if (!Number.isFinite(ms)) bad("the interval is not a number of milliseconds");
    this.#alive();
    this.#core.media.setVolumeInterval(ms > 0 ? Math.max(100, ms) : 0);
  }

  /**
   * Where this user stands and looks, where the server mixes and lets clients
   * say so; null takes them out of the space.
   * @param {import("./check.js").Pose | null} pose
   */
  async updateSelf3DSpatialPosition(pose) {
    const zero = [0, 0, 0];
    const body = pose === null ? { forward: zero, right: zero, up: zero } : checkPose(pose);
    await this.#core.requests.send("pose", { callID: this.#callIn("in"), ...body });
  }

  /** The private-map key that call, accept and joinCall show from now on; "" is none. @param {string} key */
  setPrivateMapKey(key) {
    this.#core.entering.privateMapKey = checkText(key, "privateMapKey", 8192);
  }

  /** What there is: microphones, cameras, speakers. @returns {Promise<{microphones: MediaDeviceInfo[], cameras: MediaDeviceInfo[], speakers: MediaDeviceInfo[]}>} */
  async devices() {
    return /** @type {any} */ (await this.#core.media.devices());
  }

  /**
   * Chooses the microphone, now and for later.
   * @param {{deviceId?: string, track?: MediaStreamTrack, echoCancellation?: boolean, noiseSuppression?: boolean, autoGainControl?: boolean}} options
   */
  async setMicrophone(options) {
    this.#options(options);
    await this.#device(Code.MicStart, () => this.#core.media.setMicrophone(options));
    await this.#core.publishing.retryMicrophone();
  }

  /**
   * Chooses the camera, now and for later.
   * @param {{deviceId?: string, track?: MediaStreamTrack, width?: number, height?: number, frameRate?: number}} options
   */
  async setCamera(options) {
    this.#options(options);
    await this.#device(Code.CameraStart, () => this.#core.media.setCamera(options));
  }

  /** Chooses the loudspeaker, "" for the default one. @param {string} deviceId */
  async setSpeaker(deviceId) {
    if (typeof deviceId !== "string") bad("deviceId is not a string");
    await this.#device(Code.Failed, () => this.#core.media.setSpeaker(deviceId));
  }

  /** @param {boolean} muted */
  setSpeakerMute(muted) {
    checkBool(muted, "muted");
    this.#alive();
    this.#core.media.setSpeakerMute(muted);
  }

  /** Lets sound be heard after onAutoplayBlocked: call it in a click's handler. */
  async resumeSound() {
    await this.#device(Code.Failed, () => this.#core.media.resumeSound());
  }

  /** A snapshot of the connection and the media, for developers. */
  async stats() {
    this.#alive();
    return this.#core.stats();
  }

  /** Leaves the call, signs out and ends the client. It is idempotent. */
  async destroy() {
    const core = this.#core;
    if (!core.why && !core.leaving) {
      core.leaving = true;
      let timer;
      const late = new Promise((resolve) => {
        timer = setTimeout(resolve, 1000);
      });
      await Promise.race([core.requests.send("signOut").catch(() => {}), late]);
      clearTimeout(timer);
      core.end(new CallError(Code.OK, "closed"));
    }
    await core.done;
  }

  #alive() {
    if (this.#core.why) throw this.#core.why;
  }

  /** @param {unknown} options */
  #options(options) {
    if (typeof options !== "object" || options === null) bad("the options are not an object");
  }

  /** @param {number} code @param {() => unknown} f */
  async #device(code, f) {
    this.#alive();
    try {
      await f();
    } catch (err) {
      throw asCallError(err, code);
    }
  }

  /** The ID of the call that is in a phase here. @param {"ringing"|"in"} [phase] default any */
  #callIn(phase) {
    this.#alive();
    const { seat } = this.#core.call;
    if (seat.phase === "none" || (phase && seat.phase !== phase)) throw noCall();
    return seat.info.callID;
  }
}
