// What goes wrong, examples, and every state of the view, in a browser beside the others.
import "./trouble.js";
import "./example.js";
import "./game.js";
import "./states.js";
