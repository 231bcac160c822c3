// Reads what a device captures.

const LINGER = 500; // ms

/**
 * Gives each chunk of a native stream to `each`, which closes it, until the stream
 * ends or is stopped.
 * @template {{close(): void}} T
 * @param {ReadableStream<T>} readable
 * @param {(chunk: T) => void} each
 */
export function pump(readable, each) {
  const reader = readable.getReader();
  let stopped = false;
  (async () => {
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        if (!stopped) {
          try {
            each(value);
          } catch (e) {
            value.close();
            if (!(e instanceof DOMException)) throw e;
            // The browser has closed a codec, which says so itself.
          }
        } else {
          value.close();
          await reader.cancel();
        }
      }
    } catch {
      // The track has ended; the main half tells of it.
    }
  })();
  return {
    stop() {
      stopped = true;
      // What waits in the stream is read and closed first: a chunk that nobody closes
      // holds the device's memory, and the browser says so.
      setTimeout(() => reader.cancel().catch(() => {}), LINGER);
    },
  };
}
