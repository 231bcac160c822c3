// What goes wrong, a page of one's own, and every state, in a second browser beside
// the first: these wait more than they work.
import "./trouble.js";
import "./example.js";
import "./states.js";
