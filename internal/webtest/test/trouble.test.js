// What goes wrong, and a page of one's own, in a browser beside the others: these wait
// more than they work.
import "./trouble.js";
import "./example.js";
