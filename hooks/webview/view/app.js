// The page itself: who its user is, and the view in all of it.

// A link's sign-in leaves the address before anything else, imports included.
const fragment = location.hash.slice(1);
if (fragment) history.replaceState(history.state, "", location.pathname + location.search);

const key = "earshot.signIn"; // in sessionStorage, for a reload in the middle of a call

/** @typedef {{sdkAppID: number, userID: string, userSig: string}} SignIn */

/** @returns {SignIn|null} what the link or, after a reload, the tab holds */
function link() {
  const given = new URLSearchParams(fragment);
  const userID = given.get("userID"), userSig = given.get("userSig");
  const signIn = userID && userSig ? { sdkAppID: Number(given.get("sdkAppID")), userID, userSig } : null;
  try { // the person may let pages keep nothing
    if (signIn) sessionStorage.setItem(key, JSON.stringify(signIn));
    else return JSON.parse(sessionStorage.getItem(key) ?? "null");
  } catch (error) {
    console.debug("earshot:", error);
  }
  return signIn;
}

const base = new URL("../", import.meta.url);
const { mount, Trouble } = await import("./index.js");
const linked = link();

/**
 * ask asks the page's server for JSON.
 * @param {string} what
 * @param {RequestInit} [init]
 */
async function ask(what, init) {
  const answer = await fetch(new URL(what, base), init);
  if (answer.status === 401) throw new Trouble(linked ? "expired" : "noSession");
  if (!answer.ok) throw new Trouble("failed");
  return answer.json();
}

const where = () => (linked ? ask("connection") : ask("session", { method: "POST" }));

async function signIn() {
  const at = await where();
  return { ...at, ...linked, refresh: where, storageKey: "earshot.call" };
}

async function contacts() {
  if (!linked) return ask("contacts", { method: "POST" });
  return ask("contacts", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(linked) });
}

mount(/** @type {HTMLElement} */ (document.getElementById("earshot")), { signIn, contacts });

export {};
