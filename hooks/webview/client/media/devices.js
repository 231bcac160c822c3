// The page's devices: which there are, and why one cannot be opened.

/**
 * What is wrong with a device, of an error of getUserMedia or getDisplayMedia.
 * @param {unknown} e
 * @returns {"denied" | "missing" | "busy" | "failed"}
 */
export function problemOf(e) {
  switch (e instanceof Error || e instanceof DOMException ? e.name : "") {
    case "NotAllowedError":
    case "SecurityError":
      return "denied";
    case "NotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "AbortError":
      return "busy";
  }
  return "failed";
}

/**
 * Lists the devices. Without permission their labels are empty.
 * @returns {Promise<{microphones: MediaDeviceInfo[], cameras: MediaDeviceInfo[], speakers: MediaDeviceInfo[]}>}
 */
export async function listDevices() {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  const of = (/** @type {string} */ kind) => all.filter((d) => d.kind === kind);
  return { microphones: of("audioinput"), cameras: of("videoinput"), speakers: of("audiooutput") };
}

/**
 * Opens a device; if the one that was asked for is gone, the default one.
 * @param {"audio" | "video"} kind
 * @param {MediaTrackConstraints} constraints
 * @param {string} [deviceId]
 * @returns {Promise<{track: MediaStreamTrack, fell: boolean}>} fell: it is not the one that was asked for
 */
export async function openDevice(kind, constraints, deviceId) {
  if (!navigator.mediaDevices) throw new DOMException("no media devices", "NotFoundError");
  const open = async (/** @type {MediaTrackConstraints} */ c) => {
    const stream = await navigator.mediaDevices.getUserMedia({ [kind]: c });
    return stream.getTracks()[0];
  };
  if (deviceId) {
    try {
      return { track: await open({ ...constraints, deviceId: { exact: deviceId } }), fell: false };
    } catch (e) {
      if (problemOf(e) !== "missing") throw e;
    }
  }
  return { track: await open(constraints), fell: deviceId !== undefined && deviceId !== "" };
}
