// How a camera's bit rate is shared among the sizes that it is sent in.

/**
 * In how many sizes a picture of such a width is sent.
 * @param {number} width
 */
export function sizesOf(width) {
  return width >= 960 ? 3 : width >= 480 ? 2 : 1;
}

/**
 * What a picture can use, in bit/s: 250,000 for 320x240 at 15 frames a second, and
 * less than in proportion for larger ones.
 * @param {number} width
 * @param {number} height
 * @param {number} frameRate
 */
export function fullRate(width, height, frameRate) {
  return Math.round(250_000 * ((width * height * frameRate) / (320 * 240 * 15)) ** 0.7);
}

const LEAST = 0.5; // of its full rate with which a larger size is worth sending

/**
 * Shares target among sizes, the smallest first: what each gets in bit/s, 0 for
 * those that are not sent. The smallest is always sent.
 * @param {number} target
 * @param {number[]} full what each can use
 * @param {number[]} was what each had
 */
export function share(target, full, was) {
  const out = full.map(() => 0);
  let left = target;
  for (let i = 0; i < full.length; i++) {
    const need = LEAST * full[i] * (was[i] > 0 ? 0.85 : 1); // so that it does not go on and off
    if (i > 0 && left < need) break;
    out[i] = Math.min(left, full[i]);
    left -= out[i];
  }
  return out;
}
