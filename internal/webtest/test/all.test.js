// All scenes, in one browser. `node --test --test-name-pattern=… test/` runs some.
import "./view.js";
import "./calls.js";
import "./trouble.js";
import "./example.js";
import "./states.js";
