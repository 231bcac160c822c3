/**
 * Numbers from 0 to 1 that are the same each time.
 * @param {number} seed
 */
export function random(seed) {
  let s = seed >>> 0 || 1;
  return () => {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    return (s >>> 0) / 2 ** 32;
  };
}

/**
 * Samples of a tone.
 * @param {number} n
 * @param {number} from the first one's position
 * @param {number} hz
 * @param {number} amplitude
 */
export function tone(n, from, hz, amplitude) {
  return Float32Array.from({ length: n }, (_, i) => amplitude * Math.sin((2 * Math.PI * hz * (from + i)) / 48000));
}
