// What a client tells the view (hooks/listener.go, hooks/view.go): it changes the
// call that is shown, and is said in words where a person should know.
import { video } from "./model.js";

export class Listener {
  /** @param {import("./view.js").View} app */
  constructor(app) {
    this.app = app;
    /** @type {Set<string>} devices that do not work */
    this.problems = new Set();
  }

  /** @param {import("./model.js").ViewState} state */
  present(state) {
    this.app.present(state);
  }

  dismiss() {
    this.app.dismiss();
  }

  /**
   * change changes the call, and shows and says it.
   * @param {(call: import("./model.js").Call) => string|void} how it returns what to say
   */
  change(how) {
    const { app } = this;
    if (!app.call || app.ended) return;
    const words = how(app.call);
    app.draw();
    if (words) app.notices.show("call", words, { seconds: 4 });
  }

  /** @param {string} key @param {string} user */
  words(key, user) {
    const { t, contacts } = this.app;
    return t(key, { name: contacts.name(user) });
  }

  // Who comes and goes.

  /** @param {number} result */
  onEnterRoom(result) {
    const { app } = this;
    if (result < 0) return app.notices.error(result);
    this.change((call) => { call.ringing = false; });
    app.show();
  }

  /** @param {string[]} userIDs */
  onGroupCallInviteeListUpdate(userIDs) {
    this.change((call) => call.invitees(userIDs));
    for (const u of userIDs) this.app.contacts.learn(u);
  }

  /** @param {string} user */
  onAccept(user) {
    this.change((call) => (call.grid ? this.words("call.accepted", user) : ""));
  }

  /** @param {string} user */
  onReject(user) {
    this.gone(user, "rejected", "call.userRejected");
  }

  /** @param {string} user */
  onLineBusy(user) {
    this.gone(user, "busy", "call.userBusy");
  }

  /** @param {string} user */
  onNoResp(user) {
    this.gone(user, "noAnswer", "call.userNoAnswer");
  }

  /**
   * gone is an invited user who does not come; their tile stays a moment.
   * @param {string} user
   * @param {import("./model.js").Presence} presence
   * @param {string} key
   */
  gone(user, presence, key) {
    this.change((call) => {
      call.answered(user, presence);
      if (!call.grid) return "";
      setTimeout(() => this.change((now) => { if (now === call && call.people.get(user)?.presence === presence) call.forget(user); }), 4000);
      return this.words(key, user);
    });
  }

  /** @param {string} user */
  onUserEnter(user) {
    this.app.contacts.learn(user);
    this.change((call) => {
      call.enter(user);
      return call.begun && call.grid ? this.words("call.joined", user) : "";
    });
  }

  /** @param {string} user @param {number} reason */
  onUserLeave(user, reason) {
    this.change((call) => {
      call.leave(user);
      const key = { 1: "call.lost", 2: "call.taken" }[reason] ?? (call.people.size > 0 ? "call.left" : "");
      return key && this.words(key, user);
    });
  }

  onCallBegin() {
    const { app } = this;
    const { call } = app;
    if (!call || app.ended) return;
    call.begin(Date.now());
    app.show();
    app.notices.say(app.t("call.begun", { names: app.contacts.names(call.present.map((p) => p.userID)) }));
  }

  // How it ends: the view is dismissed after these.

  /** @param {any} _call @param {number} reason @param {number} durationMS */
  onCallEnd(_call, reason, durationMS) {
    const { app } = this;
    if (app.call && !app.ended) app.call.end = { reason, durationMS };
    app.bell.stop();
  }

  onCallingCancel() {
    const { app } = this;
    if (app.call && !app.ended) app.call.end ??= { reason: 6, durationMS: 0 };
  }

  /** @param {string[]} users */
  onCallingTimeout(users) {
    const { app } = this;
    if (app.call && !app.ended && users.length === 0) app.call.end ??= { reason: 3, durationMS: 0 };
  }

  // Sound and pictures.

  /** @param {string} user @param {boolean} on */
  onUserAudioAvailable(user, on) {
    this.change((call) => { call.person(user).audio = on; });
  }

  /** @param {string} user @param {boolean} on */
  onUserVideoAvailable(user, on) {
    this.change((call) => {
      const p = call.person(user);
      p.video = on;
      if (!on) p.picture = false;
    });
  }

  /** @param {string} user @param {number} width @param {number} height */
  onFirstVideoFrame(user, width, height) {
    this.change((call) => { Object.assign(call.person(user), { picture: true, aspect: width / height || 0 }); });
  }

  /** @param {number} _from @param {number} to */
  onCallMediaTypeChanged(_from, to) {
    const { app } = this;
    this.change((call) => {
      call.media = to;
      call.sharing = false;
      call.cameraOn = to === video && (app.client.callState?.()?.cameraOn ?? true);
      return app.t(to === video ? "call.nowVideo" : "call.nowVoice");
    });
  }

  onScreenShareEnded() {
    this.change((call) => { call.sharing = false; });
  }

  /** @param {{userID: string, volume: number, voice?: boolean}[]} volumes */
  onUserVoiceVolume(volumes) {
    this.change((call) => call.volumes(volumes));
  }

  /** @param {string} user */
  onDominantSpeaker(user) {
    this.change((call) => { call.floor = user; });
  }

  /** @param {any} local @param {any[]} remote */
  onNetworkQuality(local, remote) {
    this.change((call) => call.qualities(local, remote));
  }

  // What goes wrong.

  /** @param {number} code */
  onError(code) {
    const { notices } = this.app;
    const device = { "-1301": "camera", "-1302": "microphone" }[code];
    if (!device) notices.error(code);
    else if (!notices.shown.has(device)) notices.error(code, device); // onDevice says it better
  }

  /** @param {number} code */
  onWarning(code) {
    const { app } = this;
    if (code === 6007) return this.onConnectionState("reconnecting");
    app.notices.show("warning" + code, app.words.code(code), { weight: "warning" });
  }

  /** @param {{kind: string, problem: string}} d */
  onDevice({ kind, problem }) {
    const { app, problems } = this;
    const key = `device.${kind}.${problem}`;
    if (!app.words.has(key)) return;
    const { call } = app;
    const before = problems.has(kind);
    if (problem) problems.add(kind); else problems.delete(kind);
    app.draw();
    if (!problem && !before) return; // it was opened, as it should be
    if (call && problem && kind === "camera" && problem !== "muted") call.cameraOn = false;
    if (call && problem && kind === "screen" && problem !== "muted") call.sharing = false;
    app.notices.show(kind, app.t(key), problem ? { weight: "warning", seconds: 0 } : { seconds: 4 });
    app.draw();
  }

  onAutoplayBlocked() {
    const { t, notices, actions, client } = this.app;
    notices.show("sound", t("sound.blocked"), { weight: "warning", seconds: 0, button: t("sound.play"), action: () => actions.run(() => client.resumeSound()) });
  }

  /** @param {"connected"|"reconnecting"|"closed"} state */
  onConnectionState(state) {
    const { app } = this;
    const before = app.line;
    app.line = state;
    if (state === "reconnecting" && before !== state) app.notices.show("line", app.t("line.reconnecting"), { weight: "warning", seconds: 0 });
    if (state === "connected" && before === "reconnecting") app.notices.show("line", app.t("line.back"), { seconds: 4 });
    if (state === "closed" && !app.kicked) {
      app.notices.hide("line");
      app.tell("warning", "app.closedTitle", "line.closed", app.restart && "app.retry", app.restart);
    }
    app.people?.draw();
  }

  onUserSigExpired() {
    const { t, notices } = this.app;
    notices.show("sig", t("app.sigExpiredTitle") + ". " + t("app.sigExpired"), { weight: "warning", seconds: 0 });
  }

  onKickedOffline() {
    const { app } = this;
    app.kicked = true;
    app.tell("lock", "app.kickedTitle", "app.kicked", app.restart && "app.here", app.restart);
  }
}
