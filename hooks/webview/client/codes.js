/** Error and warning codes, with the numbers of the Go package hooks. Warnings are positive. */
export const Code = Object.freeze({
  OK: 0,
  Failed: -1,
  BadParam: -2,
  Refused: -3,
  Unsupported: -4,
  ServerTimeout: -6,
  ServerFailed: -7,
  Disconnected: -8,
  Busy: -10,
  CameraStart: -1301,
  MicStart: -1302,
  EnterRoom: -3301,
  ConnectTimeout: -3308,
  SDKAppID: -3317,
  RoomID: -3318,
  UserID: -3319,
  UserSig: -3320,
  EnterRefused: -3340,
  PrivateMapKey: -100006,
  UserSigCheck: -100018,
  AudioDecode: 2102,
  Reconnecting: 6007,
});

/** What a call carries. */
export const MediaType = Object.freeze({ Unknown: 0, Audio: 1, Video: 2 });

/** Why a call ended. */
export const EndReason = Object.freeze({
  Unknown: 0,
  /** Somebody hung up and too few were left. */
  Hangup: 1,
  /** Everyone who was invited rejected. */
  Reject: 2,
  /** Nobody answered in time. */
  NoResponse: 3,
  /** A connection was lost for longer than the window. */
  Offline: 4,
  /** Everyone who was invited was on a call. */
  LineBusy: 5,
  /** The inviter took the call back. */
  Canceled: 6,
  /** Answered, or rejected, on another device of the same user. */
  OtherDeviceAccepted: 7,
  OtherDeviceReject: 8,
  /** The server ended it: shut down, kicked, dissolved. */
  ByServer: 9,
});

/** Why a user left a call. */
export const LeaveReason = Object.freeze({ Voluntarily: 0, Timeout: 1, Kicked: 2 });

/** How good a user's connection is. */
export const Quality = Object.freeze({
  Unknown: 0,
  Excellent: 1,
  Good: 2,
  Poor: 3,
  Bad: 4,
  VeryBad: 5,
  Down: 6,
});

/** A failure with one of the codes: what every function of the library rejects with. */
export class CallError extends Error {
  /**
   * @param {number} code one of Code
   * @param {string} message why, in words
   */
  constructor(code, message) {
    super(message);
    this.name = "CallError";
    this.code = code;
  }
}

/**
 * A CallError for whatever was thrown.
 * @param {unknown} err
 * @param {number} [code] for what is no CallError. Default Failed.
 * @returns {CallError}
 */
export function asCallError(err, code = Code.Failed) {
  if (err instanceof CallError) return err;
  return new CallError(code, err instanceof Error ? err.message : String(err));
}

/** There is no call to accept, reject or hang up. */
export const noCall = () => new CallError(Code.Refused, "no such call now");
