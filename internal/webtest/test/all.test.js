// All scenes, in one browser. `node --test --test-name-pattern=… test/` runs some.
import "./calls.js";
