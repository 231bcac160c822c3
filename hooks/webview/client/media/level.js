// How loud sound is, as package mixer has it: levels in dBov (RFC 6465 section 3),
// and volumes of 0 to 100.

/** The level of no sound at all. */
export const SILENCE = -127;

/**
 * The level of n samples whose squares (full scale is 1) add up to sum.
 * @param {number} sum
 * @param {number} n
 */
export function powerLevel(sum, n) {
  if (!(sum > 0) || n <= 0) return SILENCE;
  return Math.min(0, Math.max(SILENCE, 10 * Math.log10(sum / n)));
}

/**
 * The level of sound in dBov: a full-scale sine is -3.01.
 * @param {Float32Array} pcm
 * @param {number} [from]
 * @param {number} [to]
 */
export function level(pcm, from = 0, to = pcm.length) {
  let sum = 0;
  for (let i = from; i < to; i++) sum += pcm[i] * pcm[i];
  return powerLevel(sum, to - from);
}

/**
 * Maps a level in dBov to 0 to 100: 0 below -60, then linear to 100 at -3.
 * @param {number} dBov
 */
export function volume(dBov) {
  if (!(dBov >= -60)) return 0;
  return Math.min(100, Math.round(((dBov + 60) * 100) / 57));
}

const FORGET = 100; // intervals without a frame

/**
 * How loud one user was over an interval.
 * @typedef {{userID: string, volume: number, voice: boolean}} UserVolume
 */

/** Gathers the levels of users' frames and says, once an interval, how loud each was. */
export class Meter {
  constructor() {
    /** @type {Map<string, {level: number, fresh: boolean, voice: boolean, idle: number}>} */
    this.users = new Map();
  }

  /**
   * Tells of one frame of about 20 ms.
   * @param {string} userID
   * @param {number} dBov
   * @param {boolean} voice it is speech
   */
  add(userID, dBov, voice) {
    let u = this.users.get(userID);
    if (!u) this.users.set(userID, (u = { level: 0, fresh: false, voice: false, idle: 0 }));
    if (!u.fresh || dBov > u.level) u.level = dBov;
    u.voice = u.voice || voice;
    u.fresh = true;
    u.idle = 0;
  }

  clear() {
    this.users.clear();
  }

  /**
   * Ends the interval: those with a volume above 0, the loudest first, and the
   * volume of the power sum of all but local.
   * @param {string} local
   * @returns {{volumes: UserVolume[], total: number}}
   */
  take(local) {
    /** @type {UserVolume[]} */
    const volumes = [];
    let power = 0;
    for (const [userID, u] of this.users) {
      if (!u.fresh) {
        if (++u.idle > FORGET) this.users.delete(userID);
        continue;
      }
      const v = volume(u.level);
      if (v > 0) {
        volumes.push({ userID, volume: v, voice: u.voice });
        if (userID !== local) power += 10 ** (u.level / 10);
      }
      u.fresh = u.voice = false;
    }
    volumes.sort((a, b) => b.volume - a.volume || (a.userID < b.userID ? -1 : 1));
    return { volumes, total: power > 0 ? volume(10 * Math.log10(power)) : 0 };
  }
}

/**
 * Says who has the floor. It goes to somebody else only when they have been
 * speaking, and been louder than who has it, for a while; it stays through
 * pauses; and it is nobody's after a long silence.
 */
export class DominantSpeaker {
  user = "";
  silent = 0; // ms since the user last spoke
  challenger = "";
  ahead = 0;

  /**
   * Takes the volumes of an interval that lasted for `elapsed` ms, and reports
   * whether `user` has changed.
   * @param {number} elapsed
   * @param {UserVolume[]} volumes
   */
  update(elapsed, volumes) {
    let mine = 0;
    let best = 0;
    let bestID = "";
    for (const v of volumes) {
      if (!v.voice) continue;
      if (v.userID === this.user) mine = v.volume;
      else if (v.volume > best) {
        best = v.volume;
        bestID = v.userID;
      }
    }
    this.silent = mine > 0 ? 0 : this.silent + elapsed;
    const paused = this.user === "" || this.silent >= 600;
    if (bestID === "" || (!paused && best < mine + 4)) {
      this.challenger = "";
      this.ahead = 0;
    } else if (bestID !== this.challenger) {
      this.challenger = bestID;
      this.ahead = elapsed;
    } else this.ahead += elapsed;
    if (this.challenger !== "" && this.ahead >= (paused ? 300 : 900)) {
      this.user = this.challenger;
      this.silent = this.ahead = 0;
      this.challenger = "";
      return true;
    }
    if (this.user !== "" && this.silent >= 5000) {
      this.user = "";
      return true;
    }
    return false;
  }
}
