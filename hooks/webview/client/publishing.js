// What this client sends into its call: microphone, camera, screen. The device
// is opened first, then its track is published.

import { asCallError, CallError, Code, noCall } from "./codes.js";

/** @typedef {import("./net/messages.js").Track} Track */

/**
 * What is used of the media's half on this thread.
 * @typedef {object} Devices
 * @property {() => unknown} openSpeaker
 * @property {() => unknown} openMicrophone with it
 * @property {() => unknown} closeMicrophone
 * @property {(muted: boolean) => unknown} setMicMute
 * @property {(options?: any) => unknown} openCamera
 * @property {() => unknown} closeCamera
 * @property {(options?: any) => unknown} openScreen
 * @property {() => unknown} closeScreen
 * @property {() => number} videoLayers
 */

export class Publishing {
  #autoMicrophone;
  #devices;
  #requests;
  #changed;
  #onError;
  #callID = "";
  /** Video may be sent: it is a video call. */
  #video = false;
  /** Counts up whenever what is being opened for video is not wanted any more. */
  #turn = 0;
  /** @type {Track | null} */
  #micTrack = null;
  /** @type {Track | null} */
  #videoTrack = null;
  #videoMuted = false;
  #micProblem = "";
  #cameraProblem = "";
  /** Steps that must not overlap. */
  #steps = { audio: Promise.resolve(), video: Promise.resolve() };

  micMuted = false;
  camera = false;
  screen = false;

  /**
   * @param {boolean} autoMicrophone it is opened even when muted
   * @param {Devices} devices
   * @param {import("./requests.js").Requests} requests
   * @param {() => void} changed is told when what is sent has changed
   * @param {(code: number, message: string) => void} onError is told of what nobody waits for
   */
  constructor(autoMicrophone, devices, requests, changed, onError) {
    this.#autoMicrophone = autoMicrophone;
    this.#devices = devices;
    this.#requests = requests;
    this.#changed = changed;
    this.#onError = onError;
  }

  /** The tracks that are published. */
  get trackIDs() {
    return [this.#micTrack, this.#videoTrack].flatMap((t) => (t ? [t.trackID] : []));
  }

  /**
   * The client is in a call's room.
   * @param {string} callID
   * @param {boolean} video it is a video call
   * @param {boolean} camera to be opened at once
   */
  enter(callID, video, camera) {
    this.#callID = callID;
    this.#video = video;
    this.#background("audio", async () => {
      if (this.#wantsMicrophone) await this.#startMicrophone(callID);
      else await this.#devices.openSpeaker();
    });
    if (camera) this.#background("video", () => this.#startCamera(this.#turn));
  }

  /** The call is over here, and its tracks with it. */
  leave() {
    this.#callID = "";
    this.#micTrack = null;
    this.#background("audio", async () => void (await this.#devices.closeMicrophone()));
    this.videoAllowed(false);
  }

  /** The call carries video from now on, or none: then its tracks are gone. @param {boolean} yes */
  videoAllowed(yes) {
    this.#video = yes;
    if (yes) return;
    this.#turn++;
    const { camera, screen } = this;
    this.camera = this.screen = false;
    this.#videoTrack = null;
    this.#changed();
    this.#background("video", async () => {
      if (screen) await this.#devices.closeScreen();
      if (camera) await this.#devices.closeCamera();
    });
  }

  /** @param {boolean} muted */
  async setMicMute(muted) {
    this.micMuted = muted;
    this.#devices.setMicMute(muted);
    this.#changed();
    const t = this.#micTrack;
    if (t) await this.#requests.send("mute", { trackID: t.trackID, muted });
    else if (!muted && this.#callID) await (this.#autoMicrophone ? this.retryMicrophone() : this.#firstMicrophone());
  }

  async #firstMicrophone() {
    try {
      await this.retryMicrophone();
    } catch (err) {
      this.micMuted = true;
      this.#devices.setMicMute(true);
      this.#changed();
      await this.#devices.closeMicrophone();
      throw err;
    }
  }

  get #wantsMicrophone() {
    return this.#autoMicrophone || !this.micMuted;
  }

  /** Opens the microphone if it should be open, and is not. */
  async retryMicrophone() {
    const callID = this.#callID;
    if (callID && this.#wantsMicrophone) await this.#step("audio", () => this.#startMicrophone(callID));
  }

  /** @param {object} [options] */
  async openCamera(options) {
    this.#wantVideo();
    if (this.camera) throw new CallError(Code.Refused, "a camera is open already");
    const turn = this.#turn;
    await this.#step("video", () => this.#startCamera(turn, options));
  }

  async closeCamera() {
    await this.#step("video", async () => {
      if (!this.camera) throw new CallError(Code.Refused, "no camera is open");
      this.camera = false;
      this.#cameraProblem = "";
      this.#changed();
      await this.#devices.closeCamera();
      await this.#unpublishVideo();
    });
  }

  /** @param {object} [options] */
  async openScreen(options) {
    this.#wantVideo();
    if (this.screen) throw new CallError(Code.Refused, "a screen is shared already");
    const turn = this.#turn;
    await this.#step("video", async () => {
      await this.#devices.openScreen(options);
      if (turn === this.#turn) {
        this.screen = true;
        try {
          await this.#publishVideo(turn);
        } catch (err) {
          this.screen = false;
          await this.#devices.closeScreen();
          throw err;
        }
        await this.#muteVideo();
      }
      if (turn !== this.#turn) {
        await this.#devices.closeScreen();
        throw noCall();
      }
    });
  }

  async closeScreen() {
    await this.#step("video", async () => {
      if (!this.screen) throw new CallError(Code.Refused, "no screen is shared");
      this.screen = false;
      await this.#devices.closeScreen();
      await this.#unpublishVideo();
      await this.#muteVideo();
    });
  }

  /** The person ended sharing the screen by other means. @returns {boolean} whether it was shared */
  screenEnded() {
    if (!this.screen) return false;
    this.#background("video", async () => {
      if (!this.screen) return;
      this.screen = false;
      await this.#unpublishVideo();
      await this.#muteVideo();
    });
    return true;
  }

  /**
   * A device fails, or works again (""): a camera without a picture is muted.
   * @param {string} kind @param {string} problem
   */
  device(kind, problem) {
    if (kind === "microphone") {
      const again = this.#micProblem !== "" && problem === "";
      this.#micProblem = problem;
      const callID = this.#callID;
      if (again && callID && !this.#micTrack && this.#wantsMicrophone) this.#background("audio", () => this.#startMicrophone(callID));
    } else if (kind === "camera") {
      this.#cameraProblem = problem;
      this.#background("video", () => this.#muteVideo());
    }
  }

  #wantVideo() {
    if (!this.#callID) throw noCall();
    if (!this.#video) throw new CallError(Code.Refused, "no video in an audio call");
  }

  /** @param {string} callID */
  async #startMicrophone(callID) {
    if (this.#micTrack || callID !== this.#callID) return;
    try {
      await this.#devices.openMicrophone();
    } catch (err) {
      throw new CallError(Code.MicStart, `microphone: ${asCallError(err).message}`);
    }
    if (callID !== this.#callID) return; // what leaves closes it
    try {
      const muted = this.micMuted;
      const { track } = await this.#requests.send("publish", { callID, kind: "audio", muted });
      if (callID !== this.#callID) return;
      if (!track) throw new CallError(Code.MicStart, "the server published no track");
      this.#micTrack = track;
      this.#changed();
      if (this.micMuted !== muted) { // changed while the request was on its way
        await this.#requests.send("mute", { trackID: track.trackID, muted: this.micMuted });
      }
    } catch (err) {
      if (callID !== this.#callID) return;
      this.#micTrack = null;
      await this.#devices.closeMicrophone();
      const e = asCallError(err, Code.MicStart);
      throw e.code === Code.PrivateMapKey ? e : new CallError(Code.MicStart, `microphone: ${e.message}`);
    }
  }

  /** @param {number} turn @param {object} [options] */
  async #startCamera(turn, options) {
    if (turn !== this.#turn) throw noCall();
    if (this.camera) throw new CallError(Code.Refused, "a camera is open already");
    try {
      await this.#devices.openCamera(options);
    } catch (err) {
      await this.#devices.closeCamera();
      throw new CallError(Code.CameraStart, `camera: ${asCallError(err).message}`);
    }
    try {
      await this.#publishVideo(turn);
    } catch (err) {
      await this.#devices.closeCamera();
      throw err;
    }
    if (turn !== this.#turn) {
      await this.#devices.closeCamera();
      throw noCall();
    }
    this.camera = true;
    this.#changed();
  }

  /** @param {number} turn */
  async #publishVideo(turn) {
    if (this.#videoTrack || turn !== this.#turn) return;
    const layers = this.#devices.videoLayers();
    const { track } = await this.#requests.send("publish", {
      callID: this.#callID,
      kind: "video",
      layers: layers >= 2 && layers <= 3 ? layers : undefined,
    });
    if (turn !== this.#turn) return; // the server has dropped it
    if (!track) throw new CallError(Code.CameraStart, "the server published no track");
    this.#videoTrack = track;
    this.#videoMuted = false;
    this.#changed();
  }

  async #unpublishVideo() {
    const t = this.#videoTrack;
    if (!t || this.camera || this.screen) return;
    this.#videoTrack = null;
    this.#changed();
    await this.#requests.send("unpublish", { trackID: t.trackID });
  }

  async #muteVideo() {
    const t = this.#videoTrack;
    const muted = this.camera && !this.screen && this.#cameraProblem !== "";
    if (!t || muted === this.#videoMuted) return;
    this.#videoMuted = muted;
    await this.#requests.send("mute", { trackID: t.trackID, muted });
  }

  /**
   * Runs a step after those before it.
   * @param {"audio"|"video"} kind
   * @param {() => Promise<void>} f
   * @returns {Promise<void>}
   */
  #step(kind, f) {
    const done = this.#steps[kind].then(f);
    this.#steps[kind] = done.catch(() => {});
    return done;
  }

  /** The same for what nobody waits for. @param {"audio"|"video"} kind @param {() => Promise<void>} f */
  #background(kind, f) {
    const callID = this.#callID;
    this.#step(kind, f).catch((err) => {
      if (callID !== this.#callID || !callID) return; // of a call that is over
      const e = asCallError(err);
      if (e.code !== Code.Disconnected) this.#onError(e.code, e.message);
    });
  }
}
