export { Client, init, dial, sharedInstance, isSupported, whyUnsupported } from "./client.js";
export { Code, MediaType, EndReason, LeaveReason, Quality, CallError } from "./codes.js";
export { isCallingData, parseCallMessage, callMessageText } from "./callmessage.js";
