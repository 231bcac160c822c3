// Every state of the view, without a server: gallery.html?state=ringing-video&theme=dark&lang=zh.
// The states are the keys of states; `window.states` has them for a test, and
// `window.show(state)` shows another in a view of its own.
import { whyUnsupported } from "../client/support.js";
import { View } from "../view/view.js";

const asked = new URLSearchParams(location.search);
let state = "";

const people = [
  ["bob", "Bob Harris"], ["carol", "Carol Núñez"], ["dave", "Dave"], ["erin", "Erin O’Neil"], ["frank", "Frank"],
  ["grace", "Grace Liu"], ["heidi", "Heidi"], ["wei", "王伟"], ["judy", "Judy Sato"],
];
const contacts = people.map(([userID, nick], i) => ({ userID, nick, online: i < 6 }));
const nick = Object.fromEntries(people);
const now = Date.now();
const day = 86400000;
const records = [
  { callID: "1", inviter: "bob", userIDs: ["alice"], media: 2, result: 1, beganMS: now - 0.02 * day, durationMS: 0 },
  { callID: "2", inviter: "alice", userIDs: ["carol"], media: 1, result: 3, beganMS: now - 0.08 * day, durationMS: 754000 },
  { callID: "3", inviter: "erin", userIDs: ["alice", "frank", "grace"], isGroup: true, media: 2, result: 2, beganMS: now - day, durationMS: 3912000 },
  { callID: "4", inviter: "alice", userIDs: ["wei"], media: 2, result: 3, beganMS: now - 1.2 * day, durationMS: 0 },
  { callID: "5", inviter: "dave", userIDs: ["alice"], media: 1, result: 2, beganMS: now - 6 * day, durationMS: 61000 },
];

/** A drawing that stands for somebody's picture. */
function picture(element, seed) {
  const canvas = document.createElement("canvas");
  canvas.width = 640;
  canvas.height = 480;
  const c = canvas.getContext("2d");
  const hue = (seed * 67) % 360;
  const sky = c.createLinearGradient(0, 0, 0, 480);
  sky.addColorStop(0, `hsl(${hue} 45% 72%)`);
  sky.addColorStop(1, `hsl(${hue + 40} 40% 52%)`);
  c.fillStyle = sky;
  c.fillRect(0, 0, 640, 480);
  const disc = (x, y, rx, ry, fill) => { c.fillStyle = fill; c.beginPath(); c.ellipse(x, y, rx, ry, 0, 0, 7); c.fill(); };
  disc(110, 120, 90, 90, `hsl(${hue} 50% 80% / .6)`);
  disc(560, 420, 160, 160, `hsl(${hue + 60} 45% 44% / .5)`);
  disc(320, 520, 210, 200, `hsl(${hue + 180} 38% 34%)`);
  c.fillStyle = "#c99a7c"; c.fillRect(282, 270, 76, 90);
  disc(320, 220, 88, 108, "#dcae90");
  disc(320, 150, 98, 66, `hsl(${hue + 20} 25% 22%)`);
  disc(286, 222, 8, 9, "#2a2522"); disc(354, 222, 8, 9, "#2a2522");
  c.strokeStyle = "#8c4a43"; c.lineWidth = 6; c.lineCap = "round"; c.beginPath(); c.arc(320, 248, 30, 0.5, 2.6); c.stroke();
  canvas.className = "earshot-video";
  element.replaceChildren(canvas);
}

class Stub {
  userID = "alice";
  calls = [];
  constructor() {
    const does = (name) => async (...args) => void this.calls.push([name, ...args]);
    for (const name of ["call", "groupCall", "accept", "reject", "ignore", "hangup", "inviteUser", "switchMedia", "setMicMute", "setSpeakerMute", "openCamera", "closeCamera",
      "startScreenShare", "stopScreenShare", "setMicrophone", "setCamera", "setSpeaker", "stopRemoteView", "stopLocalPreview", "resumeSound", "destroy"]) this[name] = does(name);
  }
  async recentCalls() { return state === "idle-empty" ? { records: [] } : { records, next: "5" }; }
  async userInfo(userID) { return { userID, nick: nick[userID] ?? "" }; }
  async devices() {
    return { microphones: [{ deviceId: "default", label: "Built-in microphone" }, { deviceId: "u", label: "USB headset" }], cameras: [{ deviceId: "c", label: "Front camera" }], speakers: [{ deviceId: "default", label: "Built-in speakers" }] };
  }
  async startRemoteView(userID, element) { picture(element, userID.length * 3 + userID.charCodeAt(1)); }
  async startLocalPreview(element) { picture(element, 4); }
}

const info = (media, users, more = {}) => ({ callID: "c", groupID: "", media, inviter: "bob", isGroup: users.length > 1, ringing: false, sponsor: "bob", sponsorInfo: { nick: "Bob Harris" }, invited: [],
  begun: true, begunAt: Date.now() - 754000, users, audio: users, video: media === 2 ? users : [], micMuted: false, cameraOn: media === 2, ...more });

/** @type {Record<string, (view: any, root: HTMLElement, client: any) => any>} */
const states = {
  "connecting": (v) => v.tell("wave", "", "app.connecting"),
  "unsupported": (v) => { delete globalThis.WebTransport; v.tell("browser", "app.unsupportedTitle", () => whyUnsupported(v.words.language)); },
  "no-session": (v) => v.tell("lock", "app.noSessionTitle", "app.noSession"),
  "expired": (v) => v.tell("clock", "app.expiredTitle", "app.expired"),
  "failed": (v) => v.tell("warning", "app.failedTitle", "app.failed", "app.retry"),
  "kicked": (v) => { v.restart = () => {}; v.listener.onKickedOffline(); },
  "closed": (v) => { v.restart = () => {}; v.listener.onConnectionState("closed"); },
  "idle": () => {},
  "idle-empty": () => {},
  "idle-group": (v, root) => { for (const box of [...root.querySelectorAll("input.es-check")].slice(0, 3)) box.click(); },
  "settings": (v, root) => root.querySelector(".es-top .es-round").click(),
  "ringing": (v) => v.present(info(1, ["bob"], { users: [], ringing: true, begun: false })),
  "ringing-video": (v) => v.present(info(2, ["bob"], { users: [], ringing: true, begun: false })),
  "ringing-group": (v) => v.present(info(2, ["bob", "carol"], { ringing: true, begun: false, invited: ["carol", "erin"], users: [], audio: [], video: [] })),
  "outgoing": (v) => v.present(info(1, [], { sponsor: "", sponsorInfo: null, inviter: "alice", invited: ["carol"], begun: false })),
  "outgoing-video": (v) => v.present(info(2, [], { sponsor: "", sponsorInfo: null, inviter: "alice", invited: ["carol"], begun: false })),
  "voice": (v) => { v.present(info(1, ["bob"])); talk(v, ["bob"]); },
  "voice-muted": (v) => { v.present(info(1, ["bob"], { audio: [], micMuted: true })); v.listener.onNetworkQuality({ userID: "alice", quality: 4 }, [{ userID: "bob", quality: 3 }]); },
  "video": (v) => { v.present(info(2, ["bob"])); talk(v, ["bob"]); },
  "video-sharing": async (v) => { v.present(info(2, ["bob"])); talk(v, ["bob"]); await v.actions.share(true); },
  "group3": (v) => group(v, 2),
  "group4": (v) => group(v, 3),
  "group6": (v) => group(v, 5),
  "group9": (v) => group(v, 8),
  "group-ringing": (v) => { v.present(info(2, ["bob", "carol"], { invited: ["dave", "erin"], isGroup: true })); talk(v, ["bob", "carol"]); v.listener.onReject("erin"); },
  "more": (v, root) => { group(v, 2); root.querySelector(".es-more").click(); },
  "invite": (v, root) => { v.present(info(1, ["bob", "carol"], { isGroup: true })); root.querySelector(".es-invite").click(); },
  "mini": (v) => { v.present(info(2, ["bob"])); talk(v, ["bob"]); v.minimise(true); },
  "reconnecting": (v) => { v.present(info(1, ["bob"])); v.listener.onConnectionState("reconnecting"); },
  "microphone-refused": (v) => { v.present(info(1, ["bob"])); v.listener.onDevice({ kind: "microphone", problem: "denied" }); },
  "camera-unplugged": (v) => { v.present(info(2, ["bob"])); talk(v, ["bob"]); v.listener.onDevice({ kind: "camera", problem: "ended" }); },
  "sound-blocked": (v) => { v.present(info(1, ["bob"])); v.listener.onAutoplayBlocked(); },
  "ended": (v) => end(v, info(2, ["bob"]), 1, 754000),
  "ended-rejected": (v) => end(v, info(1, [], { sponsor: "", inviter: "alice", invited: ["carol"], begun: false }), 2, 0),
  "ended-restart": (v) => end(v, info(1, ["bob"]), 9, 61000),
};

function talk(v, users) {
  for (const u of users) v.listener.onFirstVideoFrame(u, 640, 480);
  v.listener.onNetworkQuality({ userID: "alice", quality: 1 }, users.map((userID, i) => ({ userID, quality: i % 4 === 1 ? 3 : 1 + (i % 2) })));
  v.listener.onUserVoiceVolume([{ userID: users[0], volume: 71, voice: true }], 71);
  if (users.length > 1) v.listener.onDominantSpeaker(users[0]);
}

function group(v, n) {
  const users = people.slice(0, n).map(([u]) => u);
  v.present(info(2, users, { isGroup: true, audio: users.filter((u) => u !== "carol"), video: users.filter((u) => u !== "dave" && u !== "heidi") }));
  talk(v, users);
}

function end(v, call, reason, durationMS) {
  v.present(call);
  v.listener.onCallEnd(call, reason, durationMS);
  v.dismiss();
}

const host = /** @type {HTMLElement} */ (document.getElementById("earshot"));
const { WebTransport } = globalThis;
let view;

/** Shows a state in the place of the one before. */
async function show(name) {
  view?.remove();
  Object.assign(globalThis, { WebTransport });
  state = name;
  const client = new Stub();
  const empty = name === "idle-empty";
  view = new View(host, { contacts: async () => (empty ? [] : contacts), language: asked.get("lang") ?? "en", theme: asked.get("theme") ?? "" });
  view.use(client);
  await new Promise((r) => setTimeout(r, 50));
  await states[name](view, view.root, client);
  Object.assign(window, { client, view });
}

await show(asked.get("state") in states ? asked.get("state") : "idle");
Object.assign(window, { states: Object.keys(states), show });
document.body.dataset.ready = "true";
