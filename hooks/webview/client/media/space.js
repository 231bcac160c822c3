// How loud and from which side a track of a world is heard, which its packets say
// (PROTOCOL.md section 6): the law is that of the Go client, by the same vectors.

const MIN_GAIN = -60; // dB
const MAX_GAIN = 12;
const PAN_STEPS = 8; // at the far right
const GLIDE = 8; // quanta of the worklet, 21 ms: about a frame

/** What is told of a track that is not in a world. */
export const NOWHERE = -1;

/** Gains of both sides as a track is to be heard, and as it is on the way to that. */
export class Space {
  constructor() {
    this.told = NOWHERE;
    this.volume = 1; // the user's own wish
    this.wantLeft = 1;
    this.wantRight = 1;
    this.left = 1; // at the end of what was played last
    this.right = 1;
    this.fromLeft = 1; // and at its beginning
    this.fromRight = 1;
    this.quanta = 0; // until it is as it is to be
  }

  /**
   * Takes what a packet says: gain and pan, a byte each as they are sent, or NOWHERE.
   * @param {number} told
   */
  tell(told) {
    if (told === this.told) return;
    this.told = told;
    this.aim();
  }

  /** @param {number} volume a factor */
  amplify(volume) {
    if (volume === this.volume) return;
    this.volume = volume;
    this.aim();
  }

  aim() {
    this.wantLeft = this.wantRight = this.volume;
    if (this.told !== NOWHERE) {
      const gain = Math.max(MIN_GAIN, Math.min(MAX_GAIN, (this.told << 16) >> 24));
      const pan = Math.max(-PAN_STEPS, Math.min(PAN_STEPS, (this.told << 24) >> 24));
      const factor = this.volume * 10 ** (gain / 20);
      const angle = ((pan / PAN_STEPS + 1) * Math.PI) / 4; // with equal power, both 0.71 ahead
      this.wantLeft = factor * Math.cos(angle);
      this.wantRight = factor * Math.sin(angle);
    }
    this.quanta = GLIDE;
  }

  /** Gets there at once: nothing is being played. */
  jump() {
    this.left = this.wantLeft;
    this.right = this.wantRight;
    this.quanta = 0;
  }

  /** Goes on by a quantum. */
  step() {
    this.fromLeft = this.left;
    this.fromRight = this.right;
    if (this.quanta === 0) return;
    this.left += (this.wantLeft - this.left) / this.quanta;
    this.right += (this.wantRight - this.right) / this.quanta;
    this.quanta--;
  }
}
