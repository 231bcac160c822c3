// Brings what a track captures to the worker: by MediaStreamTrackProcessor, whose
// stream is native and is handed over; where there is none, by an AudioWorklet and
// by requestVideoFrameCallback.

/** @typedef {(msg: any, transfer?: Transferable[]) => void} Post */

const Processor = /** @type {(new (o: {track: MediaStreamTrack}) => {readable: ReadableStream}) | undefined} */ (
  /** @type {any} */ (globalThis).MediaStreamTrackProcessor
);

/**
 * Begins to capture sound; the result stops it.
 * @param {MediaStreamTrack} track
 * @param {Post} post
 * @returns {Promise<() => void>}
 */
export async function captureAudio(track, post) {
  if (Processor) {
    const { readable } = new Processor({ track });
    post({ t: "mic", readable }, [readable]);
    return () => post({ t: "micEnd" });
  }
  const ctx = new AudioContext({ latencyHint: "interactive" });
  try {
    await ctx.audioWorklet.addModule(new URL("./capture-worklet.js", import.meta.url));
    const node = new AudioWorkletNode(ctx, "earshot-capture", { numberOfOutputs: 0 });
    const channel = new MessageChannel();
    node.port.postMessage(channel.port1, [channel.port1]);
    ctx.createMediaStreamSource(new MediaStream([track])).connect(node);
    if (ctx.state === "suspended") ctx.resume().catch(() => {});
    post({ t: "micPort", port: channel.port2 }, [channel.port2]);
  } catch (e) {
    ctx.close().catch(() => {});
    throw e;
  }
  return () => {
    post({ t: "micEnd" });
    ctx.close().catch(() => {});
  };
}

/**
 * Begins to capture a picture; the result stops it.
 * @param {MediaStreamTrack} track
 * @param {boolean} screen
 * @param {Post} post
 * @returns {() => void}
 */
export function captureVideo(track, screen, post) {
  const frameRate = track.getSettings().frameRate ?? (screen ? 15 : 0);
  const stop = () => post({ t: "cameraEnd" });
  if (Processor) {
    const { readable } = new Processor({ track });
    post({ t: "camera", readable, frameRate, screen }, [readable]);
    return stop;
  }
  post({ t: "camera", frameRate, screen });
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.srcObject = new MediaStream([track]);
  let on = true;
  const next = (/** @type {number} */ now) => {
    if (!on) return;
    // A stream of frames that is made here would clone them: each goes by itself.
    const frame = new VideoFrame(video, { timestamp: Math.round(now * 1000) });
    post({ t: "frame", frame }, [frame]);
    video.requestVideoFrameCallback(next);
  };
  video.requestVideoFrameCallback(next);
  video.play().catch(() => {});
  return () => {
    on = false;
    video.srcObject = null;
    stop();
  };
}
