// Whom one can call, and what everybody is called.
import { plain } from "./model.js";

/** @typedef {{userID: string, nick?: string, online: boolean}} Contact */

export class Contacts {
  /**
   * @param {import("./view.js").View} app
   * @param {(() => Promise<Contact[]>)|undefined} ask
   */
  constructor(app, ask) {
    this.app = app;
    this.ask = ask;
    /** @type {Contact[]} */
    this.list = [];
    /** @type {Map<string, string>} */
    this.nicks = new Map();
    /** @type {Set<string>} whose nick was asked for */
    this.asked = new Set();
    this.failed = false; // the last time, which is said once
  }

  /** load asks who is there now. */
  async load() {
    const { app } = this;
    if (!this.ask) return;
    try {
      this.list = (await this.ask()).filter((c) => c && typeof c.userID === "string");
      app.notices.hide("contacts");
      this.failed = false;
    } catch (error) {
      console.debug("earshot:", error);
      if (!this.failed) app.notices.show("contacts", app.t("idle.contactsFailed"), { weight: "warning" });
      this.failed = true;
    }
    app.people?.draw();
  }

  /** @param {string} userID */
  get(userID) {
    return this.list.find((c) => c.userID === userID);
  }

  /** matching are those whose name or user ID has these words in it. @param {string} words */
  matching(words) {
    const w = words.toLowerCase();
    return this.list.filter((c) => !w || c.userID.toLowerCase().includes(w) || (c.nick ?? "").toLowerCase().includes(w));
  }

  /** callable is whether words are a user ID of somebody else. @param {string} words */
  callable(words) {
    return /^[A-Za-z0-9_-]{1,32}$/.test(words) && words !== this.app.client?.userID;
  }

  /** name is how a user is shown. @param {string} userID */
  name(userID) {
    return this.get(userID)?.nick || this.nicks.get(userID) || userID;
  }

  /** names is how several are shown. @param {string[]} userIDs */
  names(userIDs) {
    return this.app.words.list(userIDs.map((u) => this.name(u)));
  }

  /** learn asks how a user wants to be shown. @param {string} userID */
  async learn(userID) {
    const { app } = this;
    if (!userID || this.asked.has(userID) || this.get(userID)?.nick) return;
    this.asked.add(userID);
    const info = await app.actions.quietly(() => app.client.userInfo(userID));
    if (!info) this.asked.delete(userID); // another time
    const nick = plain(info?.nick ?? "");
    if (!nick) return;
    this.nicks.set(userID, nick);
    app.people?.draw();
    app.people?.drawRecent();
    app.draw();
  }
}
