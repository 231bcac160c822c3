// mount puts the default view into an element of a page.
import { View } from "./view.js";

/**
 * A Trouble is why a page cannot sign in, thrown by options.signIn.
 */
export class Trouble extends Error {
  /** @param {"noSession"|"expired"|"failed"} kind */
  constructor(kind) {
    super(kind);
    this.kind = kind;
  }
}

/**
 * @typedef {import("./view.js").Options & {client?: any, url?: string, signIn?: () => Promise<any>,
 *   stylesheet?: boolean}} MountOptions
 *
 * client is a Client that is signed in; without it the options are those of dial
 * (url, sdkAppID, userID, userSig …), or signIn is asked for them, again and again
 * as it must be. contacts lists whom the user may call. language ("en" or "zh",
 * default the browser's) and theme ("light" or "dark", default the system's) can be
 * changed by the person. stylesheet false: the page brings view.css itself.
 *
 * @typedef {{client: any, ready: Promise<any>, unmount: () => void, enableFloatingWindow: (on: boolean) => void,
 *   setCallingBell: (url: string) => void, enableMuteMode: (silent: boolean) => void,
 *   setLanguage: (language: "en"|"zh") => void, setTheme: (theme: ""|"light"|"dark") => void}} Mounted
 */

/**
 * mount shows the default view in element, which it fills; give it a size. ready
 * resolves with the Client when it has signed in. unmount takes the view away, and
 * destroys a Client that mount made.
 * @param {HTMLElement} element
 * @param {MountOptions} options
 * @returns {Mounted}
 */
export function mount(element, options) {
  if (options.stylesheet !== false) style();
  const view = new View(element, options);
  let gone = false;
  /** @type {(client: any) => void} */
  let resolve = () => {};
  const ready = new Promise((r) => { resolve = r; });

  const start = async () => {
    view.kicked = false;
    early = []; // of the client before
    view.tell("wave", "", "app.connecting");
    try {
      const config = options.signIn ? await options.signIn() : options;
      const { dial, whyUnsupported } = await import("../client/index.js");
      const why = () => whyUnsupported(view.words.language);
      if (why()) return gone || (isSecureContext ? view.tell("browser", "app.unsupportedTitle", why) : view.tell("lock", "app.insecureTitle", why));
      const client = await dial({ ...config, view: listening(), language: view.words.language });
      if (gone) return client.destroy();
      mounted.client = client;
      use(client);
    } catch (error) {
      if (gone) return;
      const kind = error instanceof Trouble ? error.kind : sigCodes.has(/** @type {any} */ (error)?.code) ? "expired" : "failed";
      if (kind === "failed") console.debug("earshot:", error);
      const key = { noSession: ["lock", "app.noSessionTitle", "app.noSession"], expired: ["clock", "app.expiredTitle", "app.expired"], failed: ["warning", "app.failedTitle", "app.failed"] }[kind];
      view.tell(key[0], key[1], key[2], kind === "failed" ? "app.retry" : "", start);
    }
  };
  const use = (/** @type {any} */ client) => {
    view.use(client);
    early.splice(0).forEach((tell) => tell());
    resolve(client);
  };
  /** @type {(() => void)[]} what a client told before dial returned */
  let early = [];
  /** listening is the view's listener for one client; what it tells when there is another counts no longer. */
  const listening = () => {
    /** @type {(() => void)[]} */
    const waiting = early = [];
    return new Proxy(view.listener, {
      get(target, name) {
        const value = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return (/** @type {any[]} */ ...args) => {
          if (waiting !== early) return undefined;
          return view.client ? value.apply(target, args) : void waiting.push(() => value.apply(target, args));
        };
      },
    });
  };

  /** @type {Mounted} */
  const mounted = {
    client: options.client ?? null,
    ready,
    unmount() {
      gone = true;
      const { client } = mounted;
      view.actions.quietly(() => (options.client ? client.setView(null) : client?.destroy()));
      view.remove();
    },
    enableFloatingWindow(on) { view.enableFloatingWindow(on); },
    setCallingBell(url) { view.bell.url = url; },
    enableMuteMode(silent) { view.enableMuteMode(silent); },
    setLanguage(language) { view.setLanguage(language); },
    setTheme(theme) { view.setTheme(theme); },
  };
  if (options.client) {
    options.client.setView(listening());
    use(options.client);
  } else {
    view.restart = start;
    start();
  }
  return mounted;
}

/** The codes of a UserSig that does not hold. */
const sigCodes = new Set([-3320, -100018]);

/** style brings the stylesheet, once. */
function style() {
  const href = new URL("./view.css", import.meta.url).href;
  if ([...document.styleSheets].some((s) => s.href === href) || document.querySelector(`link[href="${CSS.escape(href)}"]`)) return;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = href;
  document.head.append(link);
}
