// A view of a page's own: a listener, and buttons that call the client.
import { dial, MediaType, whyUnsupported } from "./call/client/index.js";

const at = (id) => document.getElementById(id);
const say = (words) => { at("words").textContent = words; };
const me = new URLSearchParams(location.search).get("user") ?? "alice";
const other = me === "alice" ? "bob" : "alice";
let muted = false;

/** Which buttons can be pressed. */
const offer = (...ids) => { for (const b of document.querySelectorAll("button")) b.disabled = !ids.includes(b.id); };

const listener = {
  onInvited: (invitation) => { say(`${invitation.sponsor} rings the tavern.`); offer("accept", "hangup"); },
  onCallBegin: () => { say(`You talk with ${other}.`); offer("hangup", "mute"); },
  onCallEnd: (_call, _reason, ms) => { say(`Over, after ${Math.round(ms / 1000)} seconds.`); over(); },
  onCallingCancel: () => { say(`${other} gave up.`); over(); },
  onUserVideoAvailable: (user, on) => {
    at("mirror").hidden = !on;
    if (on) client.startRemoteView(user, at("mirror")).catch((error) => say(error.message));
  },
  onUserVoiceVolume: (volumes) => { at("volume").value = volumes.find((v) => v.userID === other)?.volume ?? 0; },
  onConnectionState: (state) => { if (state !== "connected") say(`The line is ${state}.`); },
  onError: (code, message) => say(`${message} (${code})`),
};

function over() {
  at("volume").value = 0;
  offer("call");
}

/** What a button does; what goes wrong is said. */
function press(id, run) {
  at(id).onclick = async () => {
    try {
      await run();
    } catch (error) {
      say(error.message);
    }
  };
}

async function signIn() {
  const answer = await fetch(`call/session?user=${encodeURIComponent(me)}`, { method: "POST" });
  if (!answer.ok) throw new Error((await answer.json()).message);
  return answer.json();
}

let client;
try {
  if (whyUnsupported()) throw new Error(whyUnsupported());
  client = await dial({ ...(await signIn()), listener, viewRoute: () => null, refresh: signIn });
  client.enableCustomViewRoute(true); // the listener alone shows calls
  press("call", async () => { await client.call(other, MediaType.Video); say(`Ringing ${other}…`); offer("hangup"); });
  press("accept", () => client.accept());
  press("hangup", () => client.hangup());
  press("mute", async () => { await client.setMicMute(!muted); muted = !muted; at("mute").textContent = muted ? "Unmute" : "Mute"; });
  at("call").textContent = `Call ${other}`;
  say(`You are ${me}.`);
  offer("call");
} catch (error) {
  say(error.message);
}
