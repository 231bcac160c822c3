// Calls, in one browser. `./run.sh browser --test-name-pattern=…` runs some.
import "./view.js";
import "./calls.js";
import "./controls.js";
import "./hidden.js";
