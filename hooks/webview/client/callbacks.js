// Calls the listeners, and the view that shows the call, one at a time.

import { ListenerSet } from "./listener.js";
import { Routing } from "./routing.js";

/** @typedef {import("./listener.js").Listener} Listener */

/** One call of a listener's function: its name and what it is given. @typedef {[import("./listener.js").Callback, ...unknown[]]} Tell */

/**
 * What is told at once, and what that means for the routing before and after.
 * @typedef {object} Entry
 * @property {(r: Routing) => void} [before]
 * @property {Tell[]} [tell]
 * @property {(r: Routing) => void} [after]
 */

export class Callbacks {
  #listeners = new ListenerSet();
  #routing;
  #log;
  /** @type {Entry[]} */
  #queue = [];
  /** Turns of the routing not yet made; they go first. @type {((r: Routing) => void)[]} */
  #turns = [];
  #scheduled = false;
  #closed = false;

  /**
   * @param {import("./listener.js").View | null} view
   * @param {import("./listener.js").ViewRoute | null} route
   * @param {(err: unknown) => void} log takes what a listener throws
   */
  constructor(view, route, log) {
    this.#log = log;
    this.#routing = new Routing(view, route, (f) => this.#contain(f));
  }

  /** @param {Listener} l */
  add(l) {
    this.#listeners.add(l);
  }

  /** @param {Listener} l */
  remove(l) {
    this.#listeners.remove(l);
  }

  /** @param {Tell} tell */
  post(...tell) {
    this.enqueue({ tell: [tell] });
  }

  /** @param {Entry} entry */
  enqueue(entry) {
    if (this.#closed) return;
    this.#queue.push(entry);
    this.#schedule();
  }

  /** Changes the routing ahead of what is queued. @param {(r: Routing) => void} f */
  turn(f) {
    this.#turns.push(f);
    this.#schedule();
  }

  /** Takes nothing more. What is queued is delivered, and then no view shows the call any more. */
  close() {
    this.enqueue({ after: (r) => r.end() });
    this.#closed = true;
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#makeTurns();
      for (let e = this.#queue.shift(); e; e = this.#queue.shift()) this.#deliver(e);
      this.#scheduled = false;
    });
  }

  /** Tells the listeners, and then the view, which a listener may have just turned off. @param {Entry} e */
  #deliver(e) {
    const r = this.#routing;
    this.#makeTurns();
    e.before?.(r);
    r.tell(true);
    for (const tell of e.tell ?? []) {
      this.#listeners.each((l) => this.#call(l, tell));
      this.#makeTurns();
      if (r.view) this.#call(r.view, tell);
    }
    e.after?.(r);
    this.#makeTurns();
    r.tell(false);
  }

  #makeTurns() {
    for (const f of this.#turns.splice(0)) f(this.#routing);
  }

  /** @param {Listener} l @param {Tell} tell */
  #call(l, [name, ...args]) {
    const f = /** @type {unknown} */ (l[name]);
    if (typeof f === "function") this.#contain(() => f.apply(l, args.map((a) => structuredClone(a))));
  }

  /** @param {() => unknown} f */
  #contain(f) {
    try {
      const out = f();
      if (out instanceof Promise) out.catch(this.#log);
    } catch (err) {
      this.#log(err);
    }
  }
}
