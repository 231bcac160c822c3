// The present call: its seat, and how a view has to show it.

import { distinct } from "./check.js";
import { applyEvent, emptySeat } from "./seat.js";

/** @typedef {import("./listener.js").ViewState} ViewState */
/** @typedef {import("./net/messages.js").Checked} Checked */
/** @typedef {import("./seat.js").Seat} Seat */

/**
 * What an event has changed.
 * @typedef {object} Change
 * @property {Seat} before
 * @property {Seat} now
 * @property {import("./callbacks.js").Entry} entry what is to be told
 */

export class Call {
  #self;
  /** @type {Seat} */
  seat = emptySeat();
  /** As a view has to show it, now; null without a call. @type {ViewState | null} */
  state = null;
  /** The server routes this call to the host's own view. */
  byHost = false;
  micMuted = false;
  cameraOn = false;
  #askedAt = 0;
  /** @type {string[]} */
  #dialled = [];

  /** @param {string} self the user's own ID */
  constructor(self) {
    this.#self = self;
  }

  /** The client asks to enter a room, and whom it calls. @param {string[]} dialled */
  asking(dialled) {
    this.#askedAt = Date.now();
    this.#dialled = distinct(dialled, this.#self);
  }

  /** It is in the room, or is not let in. */
  asked() {
    this.#askedAt = 0;
    this.#dialled = [];
  }

  /**
   * Carries out what the server says.
   * @param {Checked} event
   * @returns {Change | null} null if it is about no call that there is here
   */
  apply(event) {
    const before = this.seat;
    const took = this.#askedAt ? Math.max(1, Date.now() - this.#askedAt) : 1;
    const applied = applyEvent(before, event, took);
    if (!applied) return null;
    const now = (this.seat = applied.seat);
    /** @type {import("./callbacks.js").Entry} */
    const entry = { tell: applied.tell };
    if (now.phase === "none") {
      this.state = null;
      this.cameraOn = false;
      entry.after = (r) => r.end();
      return { before, now, entry };
    }
    if (before.phase === "none") {
      const state = this.#comes(event);
      const byHost = (this.byHost = "customView" in event.body && event.body.customView);
      this.state = structuredClone(state);
      entry.before = (r) => r.begin(state, byHost);
    }
    if (event.type === "entered") this.asked();
    this.#update(event, now);
    entry.after = this.#shown();
    return { before, now, entry };
  }

  /** A call that comes up, without what is told of it. @param {Checked} event @returns {ViewState} */
  #comes({ type, body }) {
    const { info, isGroup } = this.seat;
    const invited = type === "invited";
    return {
      ...info,
      isGroup,
      ringing: invited,
      sponsor: invited ? body.sponsor : "",
      sponsorInfo: {
        userID: invited ? body.sponsor : "",
        nick: (invited && body.sponsorInfo?.nick) || "",
        avatar: (invited && body.sponsorInfo?.avatar) || "",
      },
      invited: invited ? [] : [...this.#dialled],
      begun: false,
      begunAt: 0,
      users: [],
      audio: [],
      video: [],
      micMuted: this.micMuted,
      cameraOn: this.cameraOn,
    };
  }

  /** @param {Checked} event @param {Seat} now */
  #update({ type, body }, now) {
    const s = this.state;
    if (!s) return;
    Object.assign(s, now.info, { ringing: now.phase === "ringing", users: [...now.users], begun: now.begun });
    if (now.begun && s.begunAt === 0) s.begunAt = Date.now();
    switch (type) {
      case "invitees":
        s.invited = [...body.userIDs];
        return;
      case "accepted":
      case "rejected":
      case "lineBusy":
      case "noResponse":
      case "userEnter":
        s.invited = s.invited.filter((u) => u !== body.userID);
        return;
      case "timedOut":
        s.invited = s.invited.filter((u) => !body.userIDs.includes(u));
    }
  }

  /** Tells the routing how the call is now. @returns {(r: import("./routing.js").Routing) => void} */
  #shown() {
    const state = structuredClone(this.state);
    return (r) => {
      if (state) r.update(state);
    };
  }

  /**
   * Changes what is shown of the call, but not its seat.
   * @param {(s: ViewState) => void} f
   * @returns {import("./callbacks.js").Entry}
   */
  change(f) {
    if (this.state) f(this.state);
    return { after: this.#shown() };
  }

  /** More users are invited from here: only the others are told. @param {string[]} userIDs */
  invite(userIDs) {
    return this.change((s) => {
      s.invited.push(...distinct(userIDs, this.#self).filter((u) => !s.invited.includes(u) && !s.users.includes(u)));
    });
  }

  /** @param {string[]} userIDs */
  uninvite(userIDs) {
    return this.change((s) => {
      s.invited = s.invited.filter((u) => !userIDs.includes(u));
    });
  }

  /** @param {"audio"|"video"} kind @param {string} userID @param {boolean} yes */
  available(kind, userID, yes) {
    return this.change((s) => {
      const list = s[kind].filter((u) => u !== userID);
      s[kind] = yes ? [...list, userID].sort() : list;
    });
  }

  /** The user's own microphone or camera. @param {boolean} micMuted @param {boolean} cameraOn */
  own(micMuted, cameraOn) {
    this.micMuted = micMuted;
    this.cameraOn = cameraOn;
    return this.change((s) => {
      s.micMuted = micMuted;
      s.cameraOn = cameraOn;
    });
  }

  /**
   * Takes over a call from a page that was loaded again.
   * @param {Seat} seat @param {ViewState} state @param {boolean} byHost
   * @returns {import("./callbacks.js").Entry}
   */
  restore(seat, state, byHost) {
    this.seat = seat;
    this.byHost = byHost;
    this.state = { ...state, cameraOn: false };
    const shown = structuredClone(this.state);
    return { before: (r) => r.begin(shown, byHost) };
  }
}
