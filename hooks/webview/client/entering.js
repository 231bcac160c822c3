// Entering a call's room: by dialling, by answering, or uninvited.

import { checkBool, checkInteger, checkRoomID, checkText } from "./check.js";
import { asCallError, Code } from "./codes.js";

/** @typedef {import("./client.js").CallOptions} CallOptions */

export class Entering {
  #call;
  #requests;
  #callbacks;
  #autoCamera;

  /** Shown to the server from now on; "" is none. */
  privateMapKey = "";
  /** How the others' voices reach this client. @type {""|"forward"|"mix"} */
  receive;
  /** Whether the camera is opened when the call that is being entered carries video. */
  camera;

  /**
   * @param {import("./call.js").Call} call
   * @param {import("./requests.js").Requests} requests
   * @param {import("./callbacks.js").Callbacks} callbacks
   * @param {import("./config.js").CheckedConfig} config
   */
  constructor(call, requests, callbacks, { autoCamera, receive }) {
    this.#call = call;
    this.#requests = requests;
    this.#callbacks = callbacks;
    this.#autoCamera = this.camera = autoCamera;
    this.receive = receive;
  }

  /** @param {{userIDs: string[], media: number, isGroup?: boolean, groupID?: string}} req @param {CallOptions} [options] */
  async dial(req, options = {}) {
    const timeoutMS = options.timeoutMS === undefined ? undefined : checkInteger(options.timeoutMS, "timeoutMS", 0, 600_000);
    const userData = checkText(options.userData, "userData", 4096) || undefined;
    const privateMapKey = checkText(options.privateMapKey, "privateMapKey", 8192) || undefined;
    let roomID;
    try {
      roomID = checkRoomID(options.roomID);
    } catch (err) {
      this.#failed("call", asCallError(err));
      throw err;
    }
    await this.#enter("call", { ...req, timeoutMS, userData, roomID }, req.userIDs, options.camera, privateMapKey);
  }

  /** @param {string} callID @param {boolean} [camera] */
  accept(callID, camera) {
    return this.#enter("accept", { callID }, [], camera);
  }

  /** @param {string} callID @param {boolean} [camera] */
  join(callID, camera) {
    return this.#enter("join", { callID }, [], camera);
  }

  /** @param {string} type @param {object} body @param {string[]} dialled @param {boolean} [camera] @param {string} [key] */
  async #enter(type, body, dialled, camera, key = this.privateMapKey) {
    if (camera !== undefined) checkBool(camera, "camera");
    this.camera = camera ?? this.#autoCamera;
    this.#call.asking(dialled);
    try {
      await this.#requests.send(type, { ...body, privateMapKey: key || undefined, receive: this.receive || undefined });
    } catch (err) {
      this.#call.asked();
      this.#failed(type, asCallError(err));
      throw err;
    }
  }

  /**
   * Tells the listeners that a room could not be entered. Of what is wrong with
   * the asking itself, such as being busy, only the asker hears.
   * @param {string} type of the request
   * @param {import("./codes.js").CallError} err
   */
  #failed(type, err) {
    let { code } = err;
    switch (code) {
      case Code.BadParam:
      case Code.Unsupported:
      case Code.Busy:
      case Code.UserID:
      case Code.Disconnected:
        return;
      case Code.Refused:
        if (this.#call.seat.phase !== "none" || type !== "join") return; // it is in a call already, or the invitation is over
        code = Code.EnterRoom;
        break;
      case Code.Failed:
      case Code.ServerFailed:
      case Code.ServerTimeout:
        code = Code.EnterRoom;
    }
    this.#callbacks.post("onEnterRoom", code);
    this.#callbacks.post("onError", code, err.message);
  }

  /** @param {""|"forward"|"mix"} mode */
  async setReceiveMode(mode) {
    const { seat } = this.#call;
    if (seat.phase === "in") await this.#requests.send("receive", { callID: seat.info.callID, mode: mode || undefined });
    this.receive = mode;
  }
}
