// What a person does: it is asked of the client, and what goes wrong is told.
export class Actions {
  /** @param {import("./view.js").View} app */
  constructor(app) {
    this.app = app;
  }

  /**
   * run does what a person asked for, and says what went wrong.
   * @param {() => any} what
   * @returns {Promise<boolean>} whether it went well
   */
  async run(what) {
    const { app } = this;
    try {
      await what();
      return true;
    } catch (error) {
      const { code } = /** @type {any} */ (error) ?? {};
      app.listener.onError(typeof code === "number" ? code : -1);
      return false;
    } finally {
      app.draw();
    }
  }

  /** quietly does what nobody asked for. @param {() => any} what */
  async quietly(what) {
    try {
      return await what();
    } catch (error) {
      console.debug("earshot:", error);
      return undefined;
    }
  }

  /**
   * @param {string[]} users
   * @param {number} media
   * @param {string} [groupID]
   * @param {boolean} [group]
   */
  dial(users, media, groupID = "", group = users.length > 1) {
    const { client } = this.app;
    return this.run(() => (group ? client.groupCall(users, media, groupID) : client.call(users[0], media)));
  }

  /** accept answers, with the camera on or off. @param {boolean} camera */
  accept(camera) {
    const { call, client } = this.app;
    return this.run(() => {
      if (camera) return client.accept();
      if (call) call.cameraOn = false;
      return client.accept({ camera: false });
    });
  }

  /** @param {boolean} muted */
  setMuted(muted) {
    const { app } = this;
    return this.run(async () => {
      await app.client.setMicMute(muted);
      if (app.call) app.call.micMuted = muted;
    });
  }

  /** @param {boolean} on */
  setCamera(on) {
    const { app } = this;
    return this.run(async () => {
      await (on ? app.client.openCamera() : app.client.closeCamera());
      if (app.call) app.call.cameraOn = on;
      app.notices.hide("camera");
    });
  }

  /** setSound turns the others' voices on or off. @param {boolean} on */
  setSound(on) {
    const { app } = this;
    return this.run(async () => {
      await app.client.setSpeakerMute(!on);
      if (app.call) app.call.soundOff = !on;
    });
  }

  /** share shares the screen, or ends it. @param {boolean} on */
  share(on) {
    const { app } = this;
    return this.run(async () => {
      app.notices.hide("screen");
      try {
        await (on ? app.client.startScreenShare() : app.client.stopScreenShare());
      } catch (error) {
        if (on && app.notices.shown.has("screen")) return; // it says why
        throw error;
      }
      if (app.call) app.call.sharing = on;
    });
  }
}
