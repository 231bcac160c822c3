// What the view knows of the call it shows: a pure record that callbacks change.
// It draws nothing, so that it can be tested without a page.

/**
 * @typedef {"invited"|"in"|"rejected"|"busy"|"noAnswer"} Presence
 * @typedef {{userID: string, presence: Presence, audio: boolean, video: boolean, picture: boolean, aspect: number,
 *   volume: number, voice: boolean, quality: number}} Person
 */

/** @typedef {{callID: string, groupID?: string, media: number, inviter?: string, isGroup?: boolean,
 *   ringing?: boolean, sponsor?: string, sponsorInfo?: {nick?: string}|null, invited?: string[], begun?: boolean,
 *   begunAt?: number, users?: string[], audio?: string[], video?: string[], micMuted?: boolean,
 *   cameraOn?: boolean}} ViewState as in hooks/view.go */

/** The numbers of hooks.MediaType. */
export const audio = 1, video = 2;

/** A Call is one call as it is shown. */
export class Call {
  /**
   * @param {ViewState} s
   * @param {string} self the user who looks at it
   */
  constructor(s, self) {
    this.self = self;
    this.callID = s.callID;
    this.groupID = s.groupID ?? "";
    this.media = s.media;
    this.isGroup = s.isGroup ?? false;
    this.ringing = s.ringing ?? false;
    this.sponsor = s.sponsor ?? "";
    this.nick = plain(s.sponsorInfo?.nick ?? "");
    /** Whether this user called, and was not called. */
    this.outgoing = !this.sponsor && (!s.inviter || s.inviter === self);
    this.begun = s.begun ?? false;
    this.begunAt = s.begunAt ?? 0;
    this.micMuted = s.micMuted ?? false;
    this.cameraOn = s.cameraOn ?? (s.media === video);
    this.sharing = false;
    this.soundOff = false;
    this.floor = ""; // who has it
    this.myVolume = 0;
    this.myVoice = false;
    this.myQuality = 0;
    /** @type {{reason: number, durationMS: number}|null} */
    this.end = null;
    /** @type {Map<string, Person>} */
    this.people = new Map();
    /** @type {Set<string>} all who were ever shown, for calling them again */
    this.everybody = new Set();
    for (const u of s.users ?? []) this.person(u).presence = "in";
    for (const u of s.invited ?? []) this.person(u);
    if (this.ringing && this.sponsor) this.person(this.sponsor).presence = "in";
    for (const u of s.audio ?? []) this.person(u).audio = true;
    for (const u of s.video ?? []) this.person(u).video = true;
  }

  /**
   * person is what is known of a user of the call, who is invited if nothing is.
   * @param {string} userID
   */
  person(userID) {
    let p = this.people.get(userID);
    if (!p) {
      p = { userID, presence: "invited", audio: false, video: false, picture: false, aspect: 0, volume: 0, voice: false, quality: 0 };
      this.people.set(userID, p);
      this.everybody.add(userID);
    }
    return p;
  }

  /** Those who are shown: in the call, ringing, or just gone. */
  get others() {
    return [...this.people.values()].sort((a, b) => (a.userID < b.userID ? -1 : 1));
  }

  /** Those who are in the call. */
  get present() {
    return this.others.filter((p) => p.presence === "in");
  }

  /** Whether it is shown as a grid: a group, or what has become one. */
  get grid() {
    return this.isGroup || this.people.size > 1;
  }

  /** @param {string[]} userIDs */
  invitees(userIDs) {
    for (const u of userIDs) if (u !== this.self && this.person(u).presence !== "in") this.person(u).presence = "invited";
  }

  /**
   * answered is an invited user who is not waited for any more.
   * @param {string} userID
   * @param {Presence} presence
   */
  answered(userID, presence) {
    const p = this.people.get(userID);
    if (p && p.presence !== "in") p.presence = presence;
  }

  /** @param {string} userID */
  forget(userID) {
    const p = this.people.get(userID);
    if (p && p.presence !== "in") this.people.delete(userID);
  }

  /** @param {string} userID */
  enter(userID) {
    this.person(userID).presence = "in";
  }

  /** @param {string} userID */
  leave(userID) {
    this.people.delete(userID);
    if (this.floor === userID) this.floor = "";
  }

  /** @param {number} now */
  begin(now) {
    this.ringing = false;
    this.begun = true;
    this.begunAt ||= now;
  }

  /** @param {{userID: string, volume: number, voice?: boolean}[]} volumes */
  volumes(volumes) {
    this.myVolume = 0;
    this.myVoice = false;
    for (const p of this.people.values()) {
      p.volume = 0;
      p.voice = false;
    }
    for (const v of volumes) {
      const p = this.people.get(v.userID);
      if (v.userID === this.self) {
        this.myVolume = v.volume;
        this.myVoice = v.voice ?? false;
      } else if (p) {
        p.volume = v.volume;
        p.voice = v.voice ?? false;
      }
    }
  }

  /**
   * @param {{userID: string, quality: number}} local
   * @param {{userID: string, quality: number}[]} remote
   */
  qualities(local, remote) {
    this.myQuality = local?.quality ?? 0;
    for (const r of remote ?? []) {
      const p = this.people.get(r.userID);
      if (p) p.quality = r.quality;
    }
  }

  /**
   * endKey is the words' key of why it ended.
   * @param {(key: string) => boolean} has whether there are words for a key
   */
  endKey(has) {
    const key = "end." + (this.end?.reason ?? 0);
    if (this.outgoing && has(key + ".out")) return key + ".out";
    return has(key) ? key : "end.0";
  }
}

/**
 * fullBars is how many of four bars a quality of hooks.Quality has.
 * @param {number} quality
 */
export function fullBars(quality) {
  return [0, 4, 3, 2, 1, 1, 0][quality] ?? 0;
}

/**
 * gridShape is how many columns n tiles of 4:3 or so need to be large in a box.
 * @param {number} n
 * @param {number} width
 * @param {number} height
 * @returns {{columns: number, rows: number}}
 */
export function gridShape(n, width, height) {
  let best = { columns: 1, rows: n }, area = 0;
  for (let columns = 1; columns <= n; columns++) {
    const rows = Math.ceil(n / columns);
    const w = width / columns, tall = height / rows;
    const fit = Math.min(w, tall * 1.5) * Math.min(tall, w * 0.9);
    if (fit > area * 1.001) {
      area = fit;
      best = { columns, rows };
    }
  }
  return best;
}

/**
 * plain is a name that somebody chose for themselves, as it is shown: short, and
 * without what turns the words around it about.
 * @param {string} nick
 */
export function plain(nick) {
  const text = nick.replace(/[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu, " ").trim();
  return [...text].slice(0, 64).join("");
}

/**
 * initials is what stands in the round of who has no picture.
 * @param {string} name
 */
export function initials(name) {
  const words = name.trim().split(/[\s_-]+/).filter(Boolean);
  const first = (/** @type {string} */ s) => String.fromCodePoint(s.codePointAt(0) ?? 63);
  if (words.length === 0) return "?";
  if (words.length === 1 || /[\u3000-\u9fff]/.test(words[0])) return first(words[0]).toUpperCase();
  return (first(words[0]) + first(words[words.length - 1])).toUpperCase();
}

/**
 * hue is the colour of a user's round, the same everywhere: 0 to 7.
 * @param {string} userID
 */
export function hue(userID) {
  let n = 7;
  for (const c of userID) n = (n * 31 + (c.codePointAt(0) ?? 0)) % 9973;
  return n % 8;
}
