// The client's worker, whose pictures a test can break.
import "./broken-patch.js";
import "/client/worker.js";
