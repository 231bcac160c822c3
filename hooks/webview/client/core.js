// The client behind its public functions: what comes from the worker and from
// the media becomes the call's state and callbacks.

import { Call } from "./call.js";
import { Callbacks } from "./callbacks.js";
import { asCallError, CallError, Code, EndReason, MediaType } from "./codes.js";
import { Publishing } from "./publishing.js";
import { Qualities } from "./qualities.js";
import { Requests } from "./requests.js";
import { Store, takeLock } from "./store.js";

/** @typedef {import("./net/messages.js").Track} Track */
/** @typedef {import("./net/messages.js").Checked} Checked */
/** @typedef {import("./net/host.js").FromWorker} FromWorker */
/** @typedef {import("./net/host.js").ToWorker} ToWorker */

/**
 * The media's half on this thread.
 * @typedef {import("./publishing.js").Devices & {
 *   onMessage: (msg: any) => void,
 *   setMicrophone: (o: any) => unknown,
 *   setCamera: (o: any) => unknown,
 *   setSpeaker: (id: string) => unknown,
 *   setSpeakerMute: (muted: boolean) => unknown,
 *   devices: () => unknown,
 *   attachView: (userID: string, element: HTMLElement) => unknown,
 *   detachView: (userID: string) => unknown,
 *   attachPreview: (element: HTMLElement) => unknown,
 *   detachPreview: () => unknown,
 *   setRemoteVolume: (userID: string, volume: number) => unknown,
 *   setVolumeInterval: (ms: number) => unknown,
 *   resumeSound: () => unknown,
 *   close: () => unknown,
 * }} MainMedia
 */

/** @typedef {{post: (msg: any, transfer?: Transferable[]) => void, emit: (event: any) => void, language: string}} MainMediaEnv */

/**
 * What a client is made of; tests give their own.
 * @typedef {object} Parts
 * @property {() => {postMessage: (msg: any, transfer: Transferable[]) => void, terminate: () => void,
 *   onmessage: ((e: any) => void) | null, onerror: ((e: any) => void) | null}} worker
 * @property {(env: MainMediaEnv) => MainMedia} media
 * @property {import("./store.js").Area | null} storage
 * @property {LockManager} [locks]
 * @property {Pick<Window, "addEventListener"|"removeEventListener">} [network] tells of "online" and "offline"
 */

const lockWait = 3000;
const startTimeout = 30_000;
const closeTimeout = 1000;

/** @param {unknown} err */
const logError = (err) => console.error("earshot: a listener failed:", err);
/** @param {string} text */
const logText = (text) => console.debug("earshot:", text);

export class Core {
  #parts;
  #worker;
  #store;
  #lock = "";
  #token = "";
  #windowMS = 15_000;
  #last = 0;
  #epoch = 0;
  #qualities;
  /** Settles start. @type {((err: CallError | null) => void) | null} */
  #started = null;
  /** @type {import("./store.js").Stored | null} */
  #saved = null;
  /** @type {Map<number, (s: {connection: unknown, media: unknown}) => void>} */
  #statsAsked = new Map();
  #statsID = 0;
  #hasten = () => this.#post({ t: "hasten" });
  /** @type {(why: CallError) => void} */
  #done = () => {};
  #closed = () => {};

  /** Why the client ended, or null. @type {CallError | null} */
  why = null;
  leaving = false;
  /** Whether the camera is opened when the call that is being entered carries video. */
  camera = true;
  /** The others' tracks. @type {Map<number, Track>} */
  tracks = new Map();
  /** Those of them that startRemoteView asked for. @type {Set<number>} */
  shown = new Set();
  /** Users whose volume is not 100. @type {Set<string>} */
  amplified = new Set();
  /** @type {"connected"|"reconnecting"|"closed"} */
  connection = "connected";

  /**
   * @param {import("./client.js").CheckedConfig} config
   * @param {Parts} parts
   */
  constructor(config, parts) {
    this.config = config;
    this.camera = config.autoCamera;
    this.#parts = parts;
    this.#store = new Store(config.storageKey ? parts.storage : null, config.storageKey, logText);
    this.callbacks = new Callbacks(config.view, config.viewRoute, logError);
    if (config.listener) this.callbacks.add(config.listener);
    this.call = new Call(config.userID);
    this.requests = new Requests((msg) => this.#post(msg));
    this.#qualities = new Qualities((q) => this.#tellQualities(q));
    this.done = new Promise((/** @type {(why: CallError) => void} */ resolve) => {
      this.#done = resolve;
    });
    this.#worker = parts.worker();
    this.#worker.onmessage = (e) => this.#onMessage(e.data);
    this.#worker.onerror = (e) => {
      const why = new CallError(Code.Failed, `the worker failed: ${e?.message || "it cannot be loaded"}`);
      if (this.#started) this.#started(why);
      else console.error("earshot:", why.message);
    };
    this.media = parts.media({
      post: (msg, transfer = []) => this.#worker.postMessage({ to: "media", msg }, transfer),
      emit: (event) => this.#mediaEvent(event),
      language: config.language,
    });
    this.publishing = new Publishing(config.autoMicrophone, this.media, this.requests, () => this.#published(), (code, message) => this.error(code, message));
  }

  /** Signs in, or goes on where the page before had been. Rejects with a CallError. */
  async start() {
    const { config } = this;
    let saved = this.#store.load(config.userID, config.sdkAppID);
    if (config.storageKey) {
      if (saved && !(await takeLock(this.#parts.locks, saved.lock, lockWait))) saved = null; // another tab lives on it
      this.#lock = saved?.lock ?? crypto.randomUUID();
      if (!saved) await takeLock(this.#parts.locks, this.#lock, lockWait);
    }
    this.#saved = saved;
    this.publishing.micMuted = this.call.micMuted = saved?.micMuted ?? !config.autoMicrophone;
    const started = new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#started?.(new CallError(Code.ConnectTimeout, "the worker does not answer")), startTimeout);
      this.#started = (err) => {
        clearTimeout(timer);
        this.#started = null;
        if (err) reject(err);
        else resolve(undefined);
      };
    });
    this.#post({
      t: "start",
      config: {
        url: config.url,
        certificateHashes: config.certificateHashes,
        sdkAppID: config.sdkAppID,
        userID: config.userID,
        userSig: config.userSig,
        agent: config.agent,
      },
      refresh: config.refresh !== null,
      saved: saved && {
        token: saved.token,
        last: saved.last,
        windowMS: saved.windowMS,
        media: { callID: saved.seat.phase === "in" ? saved.seat.info.callID : "", tracks: saved.tracks },
      },
    });
    try {
      await started;
    } catch (err) {
      this.why = asCallError(err);
      this.requests.close(this.why);
      this.#shutDown();
      throw err;
    }
    for (const name of ["online", "offline"]) this.#parts.network?.addEventListener(name, this.#hasten);
  }

  /** @param {ToWorker} msg */
  #post(msg) {
    this.#worker.postMessage(msg, []);
  }

  /** Tells the listeners of an error. @param {number} code @param {string} message */
  error(code, message) {
    this.callbacks.post("onError", code, message);
  }

  /** @param {FromWorker | {to: "media", msg: unknown}} msg */
  #onMessage(msg) {
    if ("to" in msg) {
      this.media.onMessage(msg.msg);
      return;
    }
    switch (msg.t) {
      case "welcome":
        this.#welcome(msg.welcome, msg.epoch);
        return;
      case "failed":
        this.#started?.(new CallError(msg.code, msg.message));
        return;
      case "event":
        this.#onEvent(msg.event, msg.n, msg.epoch);
        return;
      case "lost":
        if (this.leaving) return;
        this.#state("reconnecting", msg.reason);
        this.callbacks.post("onWarning", Code.Reconnecting, `reconnecting: ${msg.reason}`);
        return;
      case "over":
        this.#over(new CallError(msg.code, msg.message), msg.endReason);
        this.error(msg.code, `${msg.message}; signing in again`);
        return;
      case "ended":
        this.#ended(msg);
        return;
      case "refresh":
        this.#refresh();
        return;
      case "ask":
        this.requests.send(msg.type, msg.body).then(
          (result) => this.#post({ t: "answer", id: msg.id, result, code: 0, message: "" }),
          (err) => this.#post({ t: "answer", id: msg.id, result: null, code: asCallError(err).code, message: err.message }),
        );
        return;
      case "stats":
        this.#statsAsked.get(msg.id)?.({ connection: msg.connection, media: msg.media });
        this.#statsAsked.delete(msg.id);
        return;
      case "log":
        logText(msg.text);
        return;
      case "closed":
        this.#closed();
    }
  }

  /** @param {import("./net/messages.js").Welcome} welcome @param {number} epoch */
  #welcome(welcome, epoch) {
    this.#token = welcome.token;
    this.#windowMS = welcome.windowMS;
    const saved = this.#saved;
    this.#saved = null;
    if (epoch !== this.#epoch) { // signed in, or resumed by a new page
      this.#epoch = epoch;
      this.#last = welcome.resumed && saved ? saved.last : 0;
      this.requests.open(epoch, welcome.received);
      if (welcome.resumed && saved) this.#restore(saved);
    }
    this.save();
    this.#state("connected", "");
    this.#started?.(null);
  }

  /** @param {import("./store.js").Stored} saved */
  #restore(saved) {
    const { seat, state } = saved;
    if (!state) return;
    this.callbacks.enqueue(this.call.restore(seat, state, saved.byHost));
    for (const t of saved.tracks) this.tracks.set(t.trackID, t);
    const quietly = (/** @type {Promise<unknown>} */ p) => p.catch((err) => logText(`after the reload: ${err.message}`));
    for (const trackID of saved.own) quietly(this.requests.send("unpublish", { trackID }));
    for (const trackID of saved.shown) quietly(this.requests.send("subscribe", { trackID, on: false }));
    if (seat.phase !== "in") return;
    this.media.setMicMute(this.publishing.micMuted);
    const video = seat.info.media === MediaType.Video;
    this.publishing.enter(seat.info.callID, video, video && saved.camera);
  }

  /** Keeps what a page that is loaded again needs. */
  save() {
    if (!this.config.storageKey || this.why || !this.#token) return;
    this.#store.save({
      version: 1,
      userID: this.config.userID,
      sdkAppID: this.config.sdkAppID,
      lock: this.#lock,
      token: this.#token,
      windowMS: this.#windowMS,
      last: this.#last,
      seat: this.call.seat,
      state: this.call.state,
      byHost: this.call.byHost,
      tracks: [...this.tracks.values()],
      shown: [...this.shown],
      own: this.publishing.trackIDs,
      micMuted: this.publishing.micMuted,
      camera: this.publishing.camera,
    });
  }

  /** @param {Checked} event @param {number} n @param {number} epoch */
  #onEvent(event, n, epoch) {
    if (epoch !== this.#epoch || this.why) return;
    try {
      this.#handle(event);
    } catch (err) {
      console.error("earshot:", err);
    }
    if (n === 0) return;
    this.#last = n;
    this.save();
    this.#post({ t: "seen", epoch, n });
  }

  /** @param {Checked} event */
  #handle(event) {
    const { type, body } = event;
    switch (type) {
      case "result":
        if (!this.requests.answered(body) && body.track && body.code === Code.OK) {
          // A page that was loaded again had asked for it.
          this.requests.send("unpublish", { trackID: body.track.trackID }).catch(() => {});
        }
        return;
      case "trackAdded":
        this.tracks.set(body.trackID, body);
        this.#available(body, !body.muted);
        return;
      case "trackEnded":
        this.#trackEnded(body.trackID);
        return;
      case "trackMuted": {
        const t = this.tracks.get(body.trackID);
        if (!t) return;
        this.tracks.set(body.trackID, { ...t, muted: body.muted });
        this.#available(t, !body.muted);
        return;
      }
      case "quality":
        if (this.call.seat.phase === "in" && body.callID === this.call.seat.info.callID) this.#qualities.take(body.users, body.all);
        return;
      case "userSigExpired":
        this.callbacks.post("onUserSigExpired");
        return;
      default:
        this.#notice(event);
    }
  }

  /** What the server, or this client for it, says of the call. @param {Checked} event */
  #notice(event) {
    const change = this.call.apply(event);
    if (!change) return;
    const { before, now, entry } = change;
    if (before.phase === "in" && now.phase !== "in") this.#leave();
    this.callbacks.enqueue(entry);
    const video = now.info.media === MediaType.Video;
    if (before.phase !== "in" && now.phase === "in") {
      this.publishing.enter(now.info.callID, video, video && this.camera);
    } else if (event.type === "mediaChanged") {
      this.publishing.videoAllowed(video);
    }
  }

  #leave() {
    this.#qualities.stop();
    for (const t of this.tracks.values()) if (t.kind === "video") this.media.detachView(t.userID);
    for (const u of this.amplified) this.media.setRemoteVolume(u, 100);
    this.tracks.clear();
    this.shown.clear();
    this.amplified.clear();
    this.publishing.leave();
  }

  /** @param {number} trackID */
  #trackEnded(trackID) {
    const t = this.tracks.get(trackID);
    if (!t) return;
    this.tracks.delete(trackID);
    if (this.shown.delete(trackID)) this.media.detachView(t.userID);
    this.#available(t, false);
  }

  /** Whether a track can be heard or seen. @param {Track} t @param {boolean} yes */
  #available(t, yes) {
    if (t.mix) return; // it is everybody's
    const { after } = this.call.available(t.kind, t.userID, yes);
    const name = t.kind === "video" ? "onUserVideoAvailable" : "onUserAudioAvailable";
    this.callbacks.enqueue({ tell: [[name, t.userID, yes]], after });
  }

  /** What this client sends has changed. */
  #published() {
    const p = this.publishing;
    this.callbacks.enqueue(this.call.own(p.micMuted, p.camera));
    this.save();
  }

  /** @param {Map<string, number>} qualities */
  #tellQualities(qualities) {
    const of = (/** @type {string} */ userID) => ({ userID, quality: qualities.get(userID) ?? 0 });
    // In a world nobody is known of but by their track.
    const users = new Set([...this.call.seat.users, ...[...this.tracks.values()].map((t) => t.userID)]);
    const remote = [...users].filter((u) => qualities.has(u)).map(of);
    this.callbacks.post("onNetworkQuality", of(this.config.userID), remote);
  }

  /** @param {any} e what the media say */
  #mediaEvent(e) {
    if (this.why) return;
    const inCall = this.call.seat.phase === "in";
    switch (e?.type) {
      case "volumes":
        if (inCall) this.callbacks.post("onUserVoiceVolume", e.volumes, e.total);
        return;
      case "dominant":
        if (inCall) this.callbacks.post("onDominantSpeaker", e.userID);
        return;
      case "firstVideoFrame":
        if (inCall) this.callbacks.post("onFirstVideoFrame", e.userID, e.width, e.height);
        return;
      case "targetBitrate":
        if (inCall) this.callbacks.post("onTargetBitrate", e.bps);
        return;
      case "device":
        this.publishing.device(e.kind, e.problem);
        this.callbacks.post("onDevice", { kind: e.kind, problem: e.problem });
        return;
      case "warning":
        this.callbacks.post("onWarning", e.code, e.message);
        return;
      case "autoplayBlocked":
        this.callbacks.post("onAutoplayBlocked");
        return;
      case "screenEnded":
        if (this.publishing.screenEnded()) this.callbacks.post("onScreenShareEnded");
    }
  }

  async #refresh() {
    try {
      const fresh = await this.config.refresh?.();
      if (!fresh) throw new Error("no address");
      this.#post({ t: "refreshed", fresh, message: "" });
    } catch (err) {
      this.#post({ t: "refreshed", fresh: null, message: asCallError(err).message });
    }
  }

  /** @param {"connected"|"reconnecting"|"closed"} state @param {string} reason */
  #state(state, reason) {
    if (state === this.connection && state !== "connected") return;
    this.connection = state;
    this.callbacks.post("onConnectionState", state, reason);
  }

  /** There is nothing left of the session: its call ends here. @param {CallError} why @param {number} endReason */
  #over(why, endReason) {
    this.#store.clear();
    this.#token = "";
    this.requests.close(why);
    const { seat, state } = this.call;
    if (seat.phase === "none") return;
    const durationMS = state && state.begunAt > 0 ? Math.max(0, Date.now() - state.begunAt) : 0;
    this.#notice({ type: "callEnd", body: { callID: seat.info.callID, reason: endReason, durationMS } });
  }

  /** @param {{code: number, message: string, kicked: boolean}} why */
  #ended({ code, message, kicked }) {
    if (this.leaving || this.why) return;
    const err = new CallError(code, message);
    this.#over(err, EndReason.ByServer);
    if (kicked) this.callbacks.post("onKickedOffline");
    else this.error(code, message);
    this.end(err);
  }

  /** Ends the client. The first reason stands. @param {CallError} why */
  end(why) {
    if (this.why) return;
    this.#over(why, EndReason.Hangup);
    this.why = why;
    this.#state("closed", why.message);
    this.callbacks.close();
    for (const name of ["online", "offline"]) this.#parts.network?.removeEventListener(name, this.#hasten);
    this.#shutDown().then(() => this.#done(why));
  }

  async #shutDown() {
    for (const resolve of this.#statsAsked.values()) resolve({ connection: null, media: null });
    this.#statsAsked.clear();
    try {
      this.media.close();
    } catch (err) {
      console.error("earshot:", err);
    }
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, closeTimeout);
      this.#closed = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
      this.#post({ t: "close" });
    });
    this.#worker.terminate();
  }

  /** @returns {Promise<{connection: any, media: any}>} */
  stats() {
    return new Promise((resolve) => {
      this.#statsAsked.set(++this.#statsID, resolve);
      this.#post({ t: "stats", id: this.#statsID });
    });
  }

  /**
   * Tells the listeners that a room could not be entered. Of what is wrong with
   * the asking itself, such as being busy, only the asker hears.
   * @param {string} type of the request
   * @param {CallError} err
   */
  notEntered(type, err) {
    let { code } = err;
    switch (code) {
      case Code.BadParam:
      case Code.Unsupported:
      case Code.Busy:
      case Code.UserID:
      case Code.Disconnected:
        return;
      case Code.Refused:
        if (this.call.seat.phase !== "none" || type !== "join") return; // it is in a call already, or the invitation is over
        code = Code.EnterRoom;
        break;
      case Code.Failed:
      case Code.ServerFailed:
      case Code.ServerTimeout:
        code = Code.EnterRoom;
    }
    this.callbacks.post("onEnterRoom", code);
    this.error(code, err.message);
  }
}
