// The icons, on a grid of 24 by 24: strokes, drawn for this page.

/** @type {Record<string, string>} */
const paths = {
  mic: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3M5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21M8.5 21h7",
  micOff: "M9 9v2a3 3 0 0 0 4.6 2.5M15 10.5V6a3 3 0 0 0-5.8-1M5.5 11a6.5 6.5 0 0 0 10.2 5.3M18.5 11a6.4 6.4 0 0 1-.5 2.5M12 17.5V21M8.5 21h7M4 3.5l16.5 17",
  camera: "M5 6.5h8.5a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2M15.5 10.8L21 7.5v9l-5.5-3.3",
  cameraOff: "M9.5 6.5h4a2 2 0 0 1 2 2v4M15.5 15.5a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2h.5M15.5 10.8L21 7.5v9l-3-1.8M4 3.5l16.5 17",
  phone: "M6.6 3.5h2.6a1 1 0 0 1 1 .8l.8 3.5a1 1 0 0 1-.3.9L9 10.3a12.5 12.5 0 0 0 4.7 4.7l1.6-1.7a1 1 0 0 1 .9-.3l3.5.8a1 1 0 0 1 .8 1v2.6a2.1 2.1 0 0 1-2.3 2.1A16.3 16.3 0 0 1 4.5 5.8a2.1 2.1 0 0 1 2.1-2.3",
  hangup: "M3.2 15.2l1.3 1.6a1 1 0 0 0 1.2.3l2.7-1.2a1 1 0 0 0 .6-.9v-2.3a12.2 12.2 0 0 1 6 0V15a1 1 0 0 0 .6.9l2.7 1.2a1 1 0 0 0 1.2-.3l1.3-1.6a2 2 0 0 0-.2-2.8c-4.8-4-12.4-4-17.2 0a2 2 0 0 0-.2 2.8",
  speaker: "M4 9.5v5h3.5L12.5 19V5L7.5 9.5zM16 9a4.2 4.2 0 0 1 0 6M18.7 6.5a7.8 7.8 0 0 1 0 11",
  speakerOff: "M4 9.5v5h3.5L12.5 19V5L7.5 9.5zM16.5 9.5l5 5M21.5 9.5l-5 5",
  screen: "M4 4.5h16a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1v-10a1 1 0 0 1 1-1M9 20h6M12 16.5V20M12 13.5V7.5M9.5 10L12 7.5l2.5 2.5",
  invite: "M10 11.5a3.7 3.7 0 1 0 0-7.4a3.7 3.7 0 0 0 0 7.4M3 20a7 7 0 0 1 12.8-3.9M18.5 15v6M15.5 18h6",
  people: "M9 11.5a3.5 3.5 0 1 0 0-7a3.5 3.5 0 0 0 0 7M2.5 19.5a6.5 6.5 0 0 1 13 0M16 4.8a3.5 3.5 0 0 1 0 6.4M17.5 13.8a6.5 6.5 0 0 1 4 5.7",
  more: "M4.5 12a1 1 0 1 0 2 0a1 1 0 1 0-2 0M11 12a1 1 0 1 0 2 0a1 1 0 1 0-2 0M17.5 12a1 1 0 1 0 2 0a1 1 0 1 0-2 0",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 9.3a2.3 2.3 0 1 0 0-4.6a2.3 2.3 0 0 0 0 4.6M9 19.3a2.3 2.3 0 1 0 0-4.6a2.3 2.3 0 0 0 0 4.6",
  full: "M4 9V5a1 1 0 0 1 1-1h4M15 4h4a1 1 0 0 1 1 1v4M20 15v4a1 1 0 0 1-1 1h-4M9 20H5a1 1 0 0 1-1-1v-4",
  minimise: "M20 11V6a1 1 0 0 0-1-1H5a1 1 0 0 0-1 1v12a1 1 0 0 0 1 1h5M14 14h6v5h-6z",
  restore: "M14 4h6v6M20 4l-7 7M10 20H4v-6M4 20l7-7",
  search: "M11 18a7 7 0 1 0 0-14a7 7 0 0 0 0 14M16 16l4.5 4.5",
  close: "M6 6l12 12M18 6L6 18",
  check: "M5 12.5l4.5 4.5L19 7.5",
  missed: "M21 8l-8 8-5-5M8 16v-5h5",
  incoming: "M18 6L6 18M6 9v9h9",
  outgoing: "M6 18L18 6M9 6h9v9",
  clock: "M12 20.5a8.5 8.5 0 1 0 0-17a8.5 8.5 0 0 0 0 17M12 7.5V12l3 2",
  warning: "M12 4L2.5 20h19zM12 10v4.5M12 17.3v.01",
  info: "M12 20.5a8.5 8.5 0 1 0 0-17a8.5 8.5 0 0 0 0 17M12 11v5M12 8v.01",
  bellOff: "M9.5 19.5a2.6 2.6 0 0 0 5 0M6.3 8.5A6 6 0 0 0 6 10.5c0 4-2 6-2 6h11.5M9 5.2a6 6 0 0 1 9 5.3c0 1.7.4 3.1.8 4.1M4 3.5l16.5 17",
  bell: "M9.5 19.5a2.6 2.6 0 0 0 5 0M6 10.5a6 6 0 0 1 12 0c0 4 2 6 2 6H4s2-2 2-6",
  back: "M14.5 5.5L8 12l6.5 6.5",
  lock: "M6.5 10.5h11a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1h-11a1 1 0 0 1-1-1v-8a1 1 0 0 1 1-1M8.5 10.5V8a3.5 3.5 0 0 1 7 0v2.5",
  browser: "M4 4.5h16a1 1 0 0 1 1 1v13a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1v-13a1 1 0 0 1 1-1M3 9h18M6 6.8v.01M8.5 6.8v.01",
  wave: "M4 10.5v3M8 7v10M12 4v16M16 7v10M20 10.5v3",
};

const svgNS = "http://www.w3.org/2000/svg";

/**
 * icon draws one; it is for the eyes alone, the words stand beside it.
 * @param {string} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(svgNS, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "es-icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(svgNS, "path");
  path.setAttribute("d", paths[name] ?? "");
  svg.append(path);
  return svg;
}

/**
 * bars draws how good a connection is: so many of four bars are full.
 * @param {number} full
 */
export function bars(full) {
  const svg = document.createElementNS(svgNS, "svg");
  svg.setAttribute("viewBox", "0 0 18 14");
  svg.setAttribute("class", "es-bars");
  svg.setAttribute("aria-hidden", "true");
  for (let i = 0; i < 4; i++) {
    const rect = document.createElementNS(svgNS, "rect");
    const height = 4 + i * 3;
    for (const [k, v] of Object.entries({ x: i * 4.7, y: 13.5 - height, width: 3, height, rx: 1 })) rect.setAttribute(k, String(v));
    rect.setAttribute("class", i < full ? "es-bar-full" : "es-bar-empty");
    svg.append(rect);
  }
  return svg;
}
