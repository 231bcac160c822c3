// The client behind its public functions: what the worker and the media say becomes
// the call's state and callbacks.

import { Call } from "./call.js";
import { Callbacks } from "./callbacks.js";
import { asCallError, CallError, Code, EndReason, MediaType } from "./codes.js";
import { Entering } from "./entering.js";
import { Link } from "./link.js";
import { Publishing } from "./publishing.js";
import { Qualities } from "./qualities.js";
import { Requests } from "./requests.js";
import { Store } from "./store.js";
import { Tracks } from "./tracks.js";

/** @typedef {import("./net/messages.js").Track} Track */
/** @typedef {import("./net/messages.js").Checked} Checked */

/** @param {unknown} err */
const logError = (err) => console.error("earshot: a listener failed:", err);
/** @param {string} text */
const logText = (text) => console.debug("earshot:", text);

export class Core {
  #network;
  #link;
  #store;
  #token = "";
  #windowMS = 15_000;
  #last = 0; // event that was carried out
  #epoch = 0;
  #qualities;
  /** Of the page before, until the session is resumed. @type {import("./store.js").Stored | null} */
  #saved = null;
  #hasten = () => this.#link.post({ t: "hasten" });
  /** @type {(why: CallError) => void} */
  #done = () => {};

  /** Why nothing can be asked of the client any more, or null. @type {CallError | null} */
  why = null;
  leaving = false;
  /** @type {"connected"|"reconnecting"|"closed"} */
  connection = "connected";

  /**
   * @param {import("./config.js").CheckedConfig} config
   * @param {import("./dial.js").Parts} parts
   */
  constructor(config, parts) {
    this.config = config;
    this.#network = parts.network;
    this.#store = new Store(parts.storage, parts.locks, config, logText);
    this.callbacks = new Callbacks(config.view, config.viewRoute, logError);
    if (config.listener) this.callbacks.add(config.listener);
    this.call = new Call(config.userID);
    this.requests = new Requests((msg) => this.#link.post(msg));
    this.entering = new Entering(this.call, this.requests, this.callbacks, config);
    this.#qualities = new Qualities((q) => this.#tellQualities(q));
    this.done = new Promise((/** @type {(why: CallError) => void} */ resolve) => {
      this.#done = resolve;
    });
    this.#link = new Link(parts.worker(), {
      welcome: (welcome, epoch) => this.#welcome(welcome, epoch),
      event: (event, n, epoch) => this.#onEvent(event, n, epoch),
      lost: (reason) => this.#lost(reason),
      over: (code, message, endReason) => {
        this.#over(new CallError(code, message), endReason);
        if (!this.leaving) this.error(code, `${message}; signing in again`);
      },
      ended: (code, message, kicked) => this.#ended(code, message, kicked),
      refresh: async () => {
        const fresh = await config.refresh?.();
        if (!fresh) throw new Error("no address");
        return fresh;
      },
      media: (msg) => this.media.onMessage(msg),
      log: logText,
    });
    this.media = parts.media({
      post: (msg, transfer) => this.#link.postMedia(msg, transfer),
      emit: (event) => this.#mediaEvent(event),
      language: config.language,
    });
    this.publishing = new Publishing(config.autoMicrophone, this.media, this.requests, () => this.#published(), (code, message) => this.error(code, message));
    this.tracks = new Tracks(this.media, this.requests, (t, yes) => this.#available(t, yes), () => this.save());
  }

  /** Signs in, or goes on where the page before had been. Rejects with a CallError. */
  async start() {
    const { url, certificateHashes, sdkAppID, userID, userSig, agent, refresh, autoMicrophone } = this.config;
    const saved = (this.#saved = await this.#store.open());
    this.publishing.micMuted = this.call.micMuted = saved?.micMuted ?? !autoMicrophone;
    if (saved?.micMuted) this.media.setMicMute(true);
    try {
      await this.#link.start({
        t: "start",
        config: { url, certificateHashes, sdkAppID, userID, userSig, agent },
        refresh: refresh !== null,
        saved: saved && {
          token: saved.token,
          last: saved.last,
          windowMS: saved.windowMS,
          media: { callID: saved.seat.phase === "in" ? saved.seat.info.callID : "", tracks: saved.tracks },
        },
      });
    } catch (err) {
      this.why = asCallError(err);
      this.requests.close(this.why);
      this.#shutDown();
      throw err;
    }
    for (const name of ["online", "offline"]) this.#network?.addEventListener(name, this.#hasten);
  }

  stats() {
    return this.#link.stats();
  }

  /** Tells the listeners of an error. @param {number} code @param {string} message */
  error(code, message) {
    this.callbacks.post("onError", code, message);
  }

  // The session: it comes, is lost and ends.

  /** @param {import("./net/messages.js").Welcome} welcome @param {number} epoch */
  #welcome(welcome, epoch) {
    if (this.why) return; // it was on its way
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
  }

  /** @param {import("./store.js").Stored} saved */
  #restore(saved) {
    const { seat, state } = saved;
    if (!state) return;
    this.callbacks.enqueue(this.call.restore(seat, state, saved.byHost));
    this.tracks.restore(saved.tracks);
    const quietly = (/** @type {Promise<unknown>} */ p) => p.catch((err) => logText(`after the reload: ${err.message}`));
    for (const trackID of saved.own) quietly(this.requests.send("unpublish", { trackID }));
    for (const trackID of saved.shown) quietly(this.requests.send("subscribe", { trackID, on: false }));
    if (seat.phase !== "in") return;
    const video = seat.info.media === MediaType.Video;
    this.publishing.enter(seat.info.callID, video, video && saved.camera);
  }

  /** Keeps what a page that is loaded again needs. */
  save() {
    if (this.why || !this.#token) return;
    this.#store.save({
      token: this.#token,
      windowMS: this.#windowMS,
      last: this.#last,
      seat: this.call.seat,
      state: this.call.state,
      byHost: this.call.byHost,
      tracks: this.tracks.all,
      shown: this.tracks.shown,
      own: this.publishing.trackIDs,
      micMuted: this.publishing.micMuted,
      camera: this.publishing.camera,
    });
  }

  /** @param {string} reason */
  #lost(reason) {
    if (this.leaving) return;
    this.#state("reconnecting", reason);
    this.callbacks.post("onWarning", Code.Reconnecting, `reconnecting: ${reason}`);
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

  /** @param {number} code @param {string} message @param {boolean} kicked */
  #ended(code, message, kicked) {
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
    // Code OK is a reason to end, and none to refuse what is asked of it afterwards.
    const refusal = why.code === Code.OK ? new CallError(Code.Refused, "the client was destroyed") : why;
    this.#over(refusal, EndReason.Hangup);
    this.why = refusal;
    this.#state("closed", why.message);
    this.callbacks.close();
    for (const name of ["online", "offline"]) this.#network?.removeEventListener(name, this.#hasten);
    this.#shutDown().then(() => this.#done(why));
  }

  async #shutDown() {
    try {
      this.media.close();
    } catch (err) {
      console.error("earshot:", err);
    }
    await this.#link.close();
    this.#store.close();
  }

  // What the server says.

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
    this.#link.post({ t: "seen", epoch, n });
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
        this.tracks.add(body);
        return;
      case "trackEnded":
        this.tracks.ended(body.trackID);
        return;
      case "trackMuted":
        this.tracks.muted(body.trackID, body.muted);
        return;
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
    if (before.phase === "in" && now.phase !== "in") {
      this.#qualities.stop();
      this.tracks.clear();
      this.publishing.leave();
    }
    this.callbacks.enqueue(entry);
    const video = now.info.media === MediaType.Video;
    if (before.phase !== "in" && now.phase === "in") {
      this.publishing.enter(now.info.callID, video, video && this.entering.camera);
    } else if (event.type === "mediaChanged") {
      this.publishing.videoAllowed(video);
    }
  }

  // What changes in the call without it.

  /** Whether a track can be heard or seen. @param {Track} t @param {boolean} yes */
  #available(t, yes) {
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
    const users = new Set([...this.call.seat.users, ...this.tracks.all.map((t) => t.userID)]);
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
}
