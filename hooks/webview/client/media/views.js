// The pictures on the page: a canvas for each remote user, drawn by the worker, and
// a video element for one's own.

/** @param {HTMLElement} e */
function fill(e) {
  e.className = "earshot-video";
  e.style.width = "100%";
  e.style.height = "100%";
  e.style.display = "block";
}

export class Views {
  /** @param {(msg: any, transfer?: Transferable[]) => void} post to the worker half */
  constructor(post) {
    this.post = post;
    /** @type {Map<string, HTMLCanvasElement>} */
    this.canvases = new Map();
    /** @type {HTMLVideoElement | null} */
    this.preview = null;
    /** @type {MediaStreamTrack | null} */
    this.track = null;
    this.mirrored = false;
  }

  /**
   * Shows a user in an element. A canvas can be handed over once: in another element
   * it is the same one that moves there.
   * @param {string} userID
   * @param {HTMLElement} element
   */
  attach(userID, element) {
    let canvas = this.canvases.get(userID);
    if (!canvas) {
      canvas = document.createElement("canvas");
      fill(canvas);
      canvas.width = 2; // until there is a picture
      canvas.height = 2;
      const offscreen = canvas.transferControlToOffscreen();
      this.canvases.set(userID, canvas);
      this.post({ t: "view", userID, canvas: offscreen }, [offscreen]);
    }
    if (canvas.parentElement !== element) element.append(canvas);
  }

  /** @param {string} userID */
  detach(userID) {
    const canvas = this.canvases.get(userID);
    if (!canvas) return;
    this.canvases.delete(userID);
    canvas.remove();
    this.post({ t: "view", userID, canvas: null });
  }

  /** @param {HTMLElement} element */
  attachPreview(element) {
    if (!this.preview) {
      const v = document.createElement("video");
      fill(v);
      v.muted = true;
      v.playsInline = true;
      v.autoplay = true;
      this.preview = v;
    }
    if (this.preview.parentElement !== element) element.append(this.preview);
    this.show(this.track, this.mirrored);
  }

  detachPreview() {
    if (!this.preview) return;
    this.preview.srcObject = null;
    this.preview.remove();
    this.preview = null;
  }

  /**
   * What the preview shows.
   * @param {MediaStreamTrack | null} track
   * @param {boolean} mirrored
   */
  show(track, mirrored) {
    this.track = track;
    this.mirrored = mirrored;
    if (!this.preview) return;
    this.preview.style.transform = mirrored ? "scaleX(-1)" : "";
    this.preview.srcObject = track ? new MediaStream([track]) : null;
    if (track) this.preview.play().catch(() => {});
  }

  close() {
    for (const userID of [...this.canvases.keys()]) this.detach(userID);
    this.detachPreview();
  }
}
