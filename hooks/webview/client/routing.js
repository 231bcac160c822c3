// Which view shows the call.

/** @typedef {import("./listener.js").View} View */
/** @typedef {import("./listener.js").ViewState} ViewState */

/**
 * The routing of the present call. It belongs to the queue of callbacks: what
 * becomes of the call comes to it in order with what is told of it.
 */
export class Routing {
  /** @type {View | null} */
  #standard;
  #route;
  #contain;
  #custom = false; // enableCustomViewRoute is on
  #byHost = false; // the server routes this call to the host's own view
  /** The call as it was told already. @type {ViewState | null} */
  #state = null;
  /** What the route has answered; undefined before. @type {View | null | undefined} */
  #answer;
  /** Shows the call. @type {View | null} */
  #current = null;
  #telling = false; // a notice is being told: the state is not that of now
  #due = false; // a view shall be shown the call after it

  /**
   * @param {View | null} standard
   * @param {import("./listener.js").ViewRoute | null} route
   * @param {(f: () => void) => void} contain calls the host's code
   */
  constructor(standard, route, contain) {
    this.#standard = standard;
    this.#route = route;
    this.#contain = contain;
  }

  /** The view that is told now: that of the call, or between calls the standard one. */
  get view() {
    if (this.#state) return this.#current;
    return this.#custom ? null : this.#standard;
  }

  /** A call comes up. @param {ViewState} state @param {boolean} byHost */
  begin(state, byHost) {
    this.#state = state;
    this.#byHost = byHost;
    this.#present();
  }

  /** The call as it is from here on. @param {ViewState} state */
  update(state) {
    if (this.#state) this.#state = state;
  }

  /** The call is over. */
  end() {
    this.#dismiss();
    this.#state = null;
    this.#byHost = false;
    this.#answer = undefined;
  }

  /**
   * Turns the default view off or on. A view that comes in while a notice is
   * being told is shown the call after it, lest it be told the half.
   * @param {boolean} custom
   */
  turn(custom) {
    if (this.#custom === custom) return;
    this.#custom = custom;
    if (custom) this.#dismiss();
    else this.#presentSoon();
  }

  /** Another standard view, at once. @param {View | null} view */
  setStandard(view) {
    const old = this.#standard;
    if (old === view) return;
    this.#standard = view;
    if (this.#answer === undefined || this.#answer !== old || (old === null && this.#inWorld)) return;
    this.#dismiss();
    this.#answer = view;
    this.#presentSoon();
  }

  /** What is told at once begins, and ends. @param {boolean} telling */
  tell(telling) {
    this.#telling = telling;
    if (!telling && this.#due) this.#present();
  }

  /** It is a game's world, which the game shows: nobody called anybody. */
  get #inWorld() {
    return this.#state?.inviter === "";
  }

  #presentSoon() {
    if (this.#telling) this.#due = true;
    else this.#present();
  }

  #present() {
    this.#due = false;
    const state = this.#state;
    if (!state || this.#custom || this.#byHost) return;
    if (this.#answer === undefined) {
      this.#answer = this.#inWorld ? null : this.#standard;
      const route = this.#route;
      if (route) {
        this.#contain(() => {
          this.#answer = route(structuredClone(state), this.#standard) ?? null;
        });
      }
    }
    const view = this.#answer;
    if (!view) return;
    this.#current = view;
    this.#contain(() => view.present(structuredClone(state)));
  }

  #dismiss() {
    this.#due = false;
    const view = this.#current;
    const state = this.#state;
    this.#current = null;
    if (view && state) this.#contain(() => view.dismiss(state.callID));
  }
}
