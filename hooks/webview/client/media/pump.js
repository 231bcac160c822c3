// Reads what a device captures.

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
        if (stopped) value.close();
        else each(value);
      }
    } catch {
      // The track has ended; the main half tells of it.
    }
  })();
  return {
    stop() {
      stopped = true;
      reader.cancel().catch(() => {});
    },
  };
}
