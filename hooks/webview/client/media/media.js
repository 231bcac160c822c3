// The page's half of the media: devices, loudspeaker and views. It knows nothing of
// signalling; worker-media.js is the other half.

import { captureAudio, captureVideo } from "./capture.js";
import { listDevices, openDevice, problemOf } from "./devices.js";
import { sizesOf } from "./sizes.js";
import { Speaker } from "./speaker.js";
import { Views } from "./views.js";

/**
 * Which microphone, and how: one of the page's own tracks, or a device.
 * @typedef {object} MicrophoneOptions
 * @property {string} [deviceId] Default: the browser's choice.
 * @property {MediaStreamTrack} [track]
 * @property {boolean} [echoCancellation] Default true.
 * @property {boolean} [noiseSuppression] Default true.
 * @property {boolean} [autoGainControl] Default true.
 */

/**
 * Which camera: one of the page's own tracks, or a device.
 * @typedef {object} CameraOptions
 * @property {string} [deviceId] Default: the browser's choice.
 * @property {MediaStreamTrack} [track]
 * @property {number} [width] Default 640.
 * @property {number} [height] Default 360.
 * @property {number} [frameRate] Default 20.
 */

/**
 * One source that is open: a microphone, a camera or a screen.
 * @typedef {object} Source
 * @property {MediaStreamTrack} track
 * @property {boolean} own the page gave it
 * @property {() => void} stop
 */

export class Media {
  /**
   * @param {{post: (msg: any, transfer?: Transferable[]) => void, emit: (event: any) => void, language?: string}} env
   */
  constructor({ post, emit }) {
    this.post = post;
    this.emit = emit;
    this.closed = false;
    this.speaker = new Speaker(post, emit);
    this.views = new Views(post);
    /** @type {MicrophoneOptions} */
    this.micOptions = {};
    /** @type {CameraOptions} */
    this.cameraOptions = {};
    /** @type {Source | null} */
    this.mic = null;
    /** @type {Source | null} */
    this.camera = null;
    /** @type {Source | null} */
    this.screen = null;
    this.micWanted = false;
    this.cameraWanted = false;
    /** @type {Promise<unknown>} */
    this.turn = Promise.resolve(); // devices open and close one after the other
    this.onDeviceChange = () => this.devicesChanged();
    navigator.mediaDevices?.addEventListener?.("devicechange", this.onDeviceChange);
  }

  /**
   * Runs steps that must not overlap.
   * @template T
   * @param {() => Promise<T>} step
   * @returns {Promise<T>}
   */
  inTurn(step) {
    const run = this.turn.then(step);
    this.turn = run.catch(() => {});
    return run;
  }

  /**
   * Takes a message of the worker half.
   * @param {any} m
   */
  onMessage(m) {
    if (m.t === "emit") this.emit(m.event);
  }

  /** Opens the loudspeaker, which tells when it cannot. */
  async openSpeaker() {
    await this.speaker.open().catch(() => {});
  }

  /** Opens the microphone, and the loudspeaker with it. Rejects as getUserMedia does. */
  openMicrophone() {
    this.micWanted = true;
    this.speaker.open().catch(() => {});
    return this.inTurn(() => this.startMicrophone());
  }

  async startMicrophone() {
    if (this.mic || !this.micWanted || this.closed) return;
    const o = this.micOptions;
    try {
      let fell = false;
      let track = o.track;
      if (!track) {
        ({ track, fell } = await openDevice("audio", {
          echoCancellation: o.echoCancellation ?? true, noiseSuppression: o.noiseSuppression ?? true,
          autoGainControl: o.autoGainControl ?? true, channelCount: 1,
        }, o.deviceId));
      }
      if (!track) throw new DOMException("no track", "NotFoundError");
      /** @type {Source} */
      const source = { track, own: o.track !== undefined, stop: () => {} };
      this.mic = source;
      source.stop = await captureAudio(track, this.post);
      if (this.mic !== source) return source.stop(); // closed meanwhile
      this.watch("microphone", source, () => this.micEnded(source));
      this.emit({ type: "device", kind: "microphone", problem: fell ? "missing" : "" });
      if (fell) this.emit({ type: "device", kind: "microphone", problem: "" });
    } catch (e) {
      this.stop("mic");
      this.emit({ type: "device", kind: "microphone", problem: problemOf(e) });
      throw e;
    }
  }

  closeMicrophone() {
    this.micWanted = false;
    return this.inTurn(async () => this.stop("mic"));
  }

  /**
   * @param {Source} source
   */
  micEnded(source) {
    if (this.mic !== source) return;
    this.stop("mic");
    this.emit({ type: "device", kind: "microphone", problem: "ended" });
    if (source.own || !this.micWanted) return;
    this.micOptions = { ...this.micOptions, deviceId: undefined }; // the default one
    this.inTurn(() => this.startMicrophone()).catch(() => {});
  }

  /** @param {boolean} on */
  setMicMute(on) {
    this.post({ t: "micMute", on });
  }

  /**
   * Opens the camera; a screen that is shared goes on in its place. Rejects as
   * getUserMedia does.
   * @param {CameraOptions} [options]
   */
  openCamera(options) {
    if (options) this.cameraOptions = { ...this.cameraOptions, ...options };
    this.cameraWanted = true;
    return this.inTurn(() => this.startCamera());
  }

  async startCamera() {
    if (this.camera || !this.cameraWanted || this.closed) return;
    const o = this.cameraOptions;
    try {
      let fell = false;
      let track = o.track;
      if (!track) {
        ({ track, fell } = await openDevice("video", {
          width: { ideal: o.width ?? 640 }, height: { ideal: o.height ?? 360 }, frameRate: { ideal: o.frameRate ?? 20 },
        }, o.deviceId));
      }
      if (!track) throw new DOMException("no track", "NotFoundError");
      /** @type {Source} */
      const source = { track, own: o.track !== undefined, stop: () => {} };
      this.camera = source;
      if (!this.screen) this.showCamera();
      this.watch("camera", source, () => this.cameraEnded(source));
      this.emit({ type: "device", kind: "camera", problem: fell ? "missing" : "" });
      if (fell) this.emit({ type: "device", kind: "camera", problem: "" });
    } catch (e) {
      this.stop("camera");
      this.emit({ type: "device", kind: "camera", problem: problemOf(e) });
      throw e;
    }
  }

  /** The camera is what is sent. */
  showCamera() {
    const c = this.camera;
    if (!c) return;
    c.stop = captureVideo(c.track, false, this.post);
    const facing = c.track.getSettings().facingMode;
    this.views.show(c.track, !c.own && facing !== "environment");
  }

  closeCamera() {
    this.cameraWanted = false;
    return this.inTurn(async () => this.stop("camera"));
  }

  /** @param {Source} source */
  cameraEnded(source) {
    if (this.camera !== source) return;
    this.stop("camera");
    this.emit({ type: "device", kind: "camera", problem: "ended" });
    if (source.own || !this.cameraWanted) return;
    this.cameraOptions = { ...this.cameraOptions, deviceId: undefined };
    this.inTurn(() => this.startCamera()).catch(() => {});
  }

  /**
   * Shares a screen, in place of the camera. Rejects as getDisplayMedia does.
   * @param {{track?: MediaStreamTrack, frameRate?: number}} [options] frameRate: default 10
   */
  openScreen(options = {}) {
    return this.inTurn(async () => {
      if (this.screen || this.closed) return;
      try {
        let track = options.track;
        if (!track) {
          if (!navigator.mediaDevices?.getDisplayMedia) throw new DOMException("no screen can be shared here", "NotFoundError");
          const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: options.frameRate ?? 10 } } });
          track = stream.getVideoTracks()[0];
        }
        /** @type {Source} */
        const source = { track, own: options.track !== undefined, stop: () => {} };
        this.camera?.stop();
        this.screen = source;
        source.stop = captureVideo(track, true, this.post);
        this.views.show(track, false);
        this.watch("screen", source, () => {
          if (this.screen !== source) return;
          this.stop("screen");
          this.emit({ type: "screenEnded" });
        });
        this.emit({ type: "device", kind: "screen", problem: "" });
      } catch (e) {
        this.stop("screen");
        this.emit({ type: "device", kind: "screen", problem: problemOf(e) });
        throw e;
      }
    });
  }

  /** Ends openScreen; the camera comes back. */
  closeScreen() {
    return this.inTurn(async () => this.stop("screen"));
  }

  /**
   * Closes a source. A track that the page gave goes on.
   * @param {"mic" | "camera" | "screen"} which
   */
  stop(which) {
    const source = this[which];
    if (!source) return;
    this[which] = null;
    source.track.onended = source.track.onmute = source.track.onunmute = null;
    const sent = which !== "camera" || !this.screen;
    if (sent) source.stop();
    if (!source.own) source.track.stop();
    if (which === "mic") return;
    if (which === "screen" && this.camera) this.showCamera();
    else if (sent) this.views.show(null, false);
  }

  /**
   * @param {string} kind
   * @param {Source} source
   * @param {() => void} ended
   */
  watch(kind, source, ended) {
    const { track } = source;
    track.onended = ended;
    track.onmute = () => this.emit({ type: "device", kind, problem: "muted" });
    track.onunmute = () => this.emit({ type: "device", kind, problem: "" });
    if (track.readyState === "ended") ended();
  }

  /**
   * How many sizes the open camera, or screen, will send, 1 to 3.
   */
  videoLayers() {
    const track = (this.screen ?? this.camera)?.track;
    return sizesOf(track?.getSettings().width ?? this.cameraOptions.width ?? 640);
  }

  /**
   * Chooses the microphone, now and for later.
   * @param {MicrophoneOptions} o
   */
  async setMicrophone(o) {
    this.micOptions = { ...o };
    await this.inTurn(async () => {
      if (!this.mic) return;
      this.stop("mic");
      await this.startMicrophone();
    });
  }

  /**
   * Chooses the camera, now and for later.
   * @param {CameraOptions} o
   */
  async setCamera(o) {
    this.cameraOptions = { ...o };
    await this.inTurn(async () => {
      if (!this.camera) return;
      this.stop("camera");
      await this.startCamera();
    });
  }

  /**
   * Chooses the loudspeaker: "" for the default one. Rejects where a page cannot.
   * @param {string} deviceId
   */
  setSpeaker(deviceId) {
    return this.speaker.setSink(deviceId);
  }

  /** @param {boolean} on */
  setSpeakerMute(on) {
    this.speaker.setMute(on);
  }

  devices() {
    return listDevices();
  }

  async devicesChanged() {
    const found = await listDevices().catch(() => null);
    if (!found || this.closed) return;
    const { microphones, cameras, speakers } = found;
    // One that was missing may be there now.
    if (this.micWanted && !this.mic && microphones.length > 0) this.inTurn(() => this.startMicrophone()).catch(() => {});
    if (this.cameraWanted && !this.camera && cameras.length > 0) this.inTurn(() => this.startCamera()).catch(() => {});
    const { sink } = this.speaker;
    if (sink && speakers.length > 0 && !speakers.some((d) => d.deviceId === sink)) {
      this.emit({ type: "device", kind: "speaker", problem: "ended" });
      await this.speaker.setSink("").then(() => this.emit({ type: "device", kind: "speaker", problem: "" }), () => {});
    }
  }

  /**
   * Shows a user's picture in an element, once it is subscribed to.
   * @param {string} userID
   * @param {HTMLElement} element
   */
  attachView(userID, element) {
    this.views.attach(userID, element);
  }

  /** @param {string} userID */
  detachView(userID) {
    this.views.detach(userID);
  }

  /** @param {HTMLElement} element */
  attachPreview(element) {
    this.views.attachPreview(element);
  }

  detachPreview() {
    this.views.detachPreview();
  }

  /**
   * How loud a user is heard, for as long as the call lasts: 0 to 150, 100 as they are.
   * @param {string} userID
   * @param {number} v
   */
  setRemoteVolume(userID, v) {
    this.post({ t: "gain", userID, value: Math.min(150, Math.max(0, v)) / 100 });
  }

  /** @param {number} ms at least 100; 0 or less: no volumes */
  setVolumeInterval(ms) {
    this.post({ t: "volumes", ms });
  }

  /** Lets sound be heard where the browser wants a click first: call it in the click's handler. */
  resumeSound() {
    return this.speaker.resume();
  }

  close() {
    if (this.closed) return;
    this.closed = true;
    this.micWanted = this.cameraWanted = false;
    navigator.mediaDevices?.removeEventListener?.("devicechange", this.onDeviceChange);
    this.stop("screen");
    this.stop("camera");
    this.stop("mic");
    this.views.close();
    this.speaker.close();
  }
}
