/**
 * @typedef {import("./config.js").Config} Config
 * @typedef {import("./client.js").CallOptions} CallOptions
 * @typedef {import("./listener.js").Listener} Listener
 * @typedef {import("./listener.js").View} View
 * @typedef {import("./listener.js").ViewState} ViewState
 * @typedef {import("./listener.js").CallInfo} CallInfo
 * @typedef {import("./listener.js").Invitation} Invitation
 */

export { Client } from "./client.js";
export { dial, init, sharedInstance } from "./dial.js";
export { isSupported, whyUnsupported } from "./support.js";
export { Code, MediaType, EndReason, LeaveReason, Quality, CallError } from "./codes.js";
export { isCallingData, parseCallMessage } from "./callmessage.js";
export { callMessageText } from "./calltext.js";
