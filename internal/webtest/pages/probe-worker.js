// The client's worker, with a look at what it encodes and draws: see ../lib/probe.js.
import "./probe-patch.js";
import "/client/worker.js";
