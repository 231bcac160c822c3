// The module worker: the connection and the media live here, off the page's
// main thread.

import { createMedia } from "./media/worker-media.js";
import { Host } from "./net/host.js";

new Host(/** @type {import("./net/host.js").Port} */ (/** @type {unknown} */ (self)), createMedia);
