// All that voice takes in the page: the server says who is heard, how loud and from
// which side, and the client library plays it.
import { dial } from "/call/client/index.js";

/** @typedef {import("/call/client/client.js").Client} Client */

/**
 * Signs in for voice, with the ticket of the game's login. The server puts the
 * client into the world; the microphone waits for client.setMicMute(false).
 * @param {string} userID
 * @param {string} userSig
 * @param {(about: string, words: string) => void} say takes what is wrong, "" when it is not any more
 * @param {(volumes: {userID: string, volume: number}[]) => void} heard how loud everybody is, ten times a second
 * @returns {Promise<Client>}
 */
export async function join(userID, userSig, say, heard) {
  const connection = async () => (await fetch("/call/connection")).json();
  const client = await dial({
    ...(await connection()), userID, userSig, refresh: connection, autoMicrophone: false, language: "en",
    listener: {
      onUserVoiceVolume: heard,
      onConnectionState: (state) => say("voice", { connected: "", reconnecting: "The voices are lost; trying again…", closed: "There are no voices any more." }[state]),
      onKickedOffline: () => say("kicked", "You are in the game in another window."),
      onAutoplayBlocked: () => {
        say("sound", "Press a key, or click, to hear.");
        const wake = () => void client.resumeSound().then(() => say("sound", ""), () => {});
        for (const type of ["pointerdown", "keydown"]) addEventListener(type, wake, { once: true });
      },
      onDevice: ({ kind, problem }) => say(kind, words(kind, problem)),
    },
  });
  client.enableAudioVolumeEvaluation(100);
  return client;
}

/** @param {string} kind @param {string} problem */
function words(kind, problem) {
  const device = kind === "microphone" ? "microphone" : "loudspeaker";
  switch (problem) {
    case "":
      return "";
    case "denied":
      return `The browser may not use your ${device}. Allow it for this page, then press Talk again.`;
    case "missing":
      return `There is no ${device}.`;
    case "busy":
      return `Another program has your ${device}.`;
    case "muted":
      return `Your ${device} is muted by the system.`;
    default:
      return `Your ${device} stopped.`;
  }
}
