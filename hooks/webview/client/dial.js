// What makes a client: dial, and init for pages that want one from everywhere.

import { bad } from "./check.js";
import { Client } from "./client.js";
import { asCallError, CallError, Code } from "./codes.js";
import { checkConfig } from "./config.js";
import { Core } from "./core.js";
import { whyUnsupported } from "./support.js";

/** @typedef {import("./config.js").Config} Config */

/**
 * The media's half on this thread.
 * @typedef {import("./publishing.js").Devices & import("./tracks.js").Outputs & {
 *   onMessage: (msg: any) => void,
 *   setMicrophone: (o: any) => unknown,
 *   setCamera: (o: any) => unknown,
 *   setSpeaker: (id: string) => unknown,
 *   setSpeakerMute: (muted: boolean) => unknown,
 *   devices: () => unknown,
 *   attachPreview: (element: HTMLElement) => unknown,
 *   detachPreview: () => unknown,
 *   setVolumeInterval: (ms: number) => unknown,
 *   resumeSound: () => unknown,
 *   close: () => unknown,
 * }} MainMedia
 */

/** @typedef {{post: (msg: any, transfer?: Transferable[]) => void, emit: (event: any) => void, language: string}} MainMediaEnv */

/**
 * What a client is made of; tests give their own.
 * @typedef {object} Parts
 * @property {() => import("./link.js").WorkerLike} worker
 * @property {(env: MainMediaEnv) => MainMedia} media
 * @property {import("./store.js").Area | null} storage
 * @property {LockManager} [locks]
 * @property {Pick<Window, "addEventListener"|"removeEventListener">} [network] tells of "online" and "offline"
 */

/**
 * Connects and signs in, with parts that a test may give.
 * @param {Config} config
 * @param {Parts} parts
 */
export async function dialWith(config, parts) {
  const checked = checkConfig(config);
  let core;
  try {
    core = new Core(checked, parts);
  } catch (err) { // such as a worker of another origin
    throw asCallError(err);
  }
  await core.start();
  return new Client(core);
}

/**
 * Connects and signs in. Rejects with a CallError: with the server's code when
 * it refuses (a UserSig that is malformed is -3320, one that does not hold
 * -100018), ServerFailed when it cannot be reached, Unsupported in a browser
 * that cannot make calls.
 * @param {Config} config
 */
export async function dial(config) {
  const checked = checkConfig(config);
  const why = whyUnsupported(checked.language);
  if (why) throw new CallError(Code.Unsupported, why);
  const { Media } = await import("./media/media.js");
  return dialWith(config, {
    worker: () => new Worker(checked.workerURL ?? new URL("./worker.js", import.meta.url), { type: "module", name: "earshot" }),
    media: (env) => new Media(env),
    storage: checked.storageKey ? storage() : null,
    locks: navigator.locks,
    network: window,
  });
}

/** The tab's storage; null where the person lets pages keep nothing. */
function storage() {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

/** @type {Client | null} */
let shared = null;
let dialling = false;

/**
 * Signs in as dial does, and keeps the client for sharedInstance. Rejects while
 * there is one that has not ended.
 * @param {Config} config
 */
export async function init(config) {
  if (dialling || (shared && shared.connection !== "closed")) bad("init was called already: destroy that client first", Code.Refused);
  dialling = true;
  shared = null;
  try {
    shared = await dial(config);
    return shared;
  } finally {
    dialling = false;
  }
}

/** The client that init made. Throws a CallError when there is none, or it has ended. */
export function sharedInstance() {
  if (!shared || shared.connection === "closed") return bad("no shared instance: call init first", Code.Refused);
  return shared;
}
