export { Client } from "./client.js";
export { dial, init, sharedInstance } from "./dial.js";
export { isSupported, whyUnsupported } from "./support.js";
export { Code, MediaType, EndReason, LeaveReason, Quality, CallError } from "./codes.js";
export { isCallingData, parseCallMessage, callMessageText } from "./callmessage.js";
