package hooks

import "strconv"

// Code is an error or warning code, with the original's numbers.
type Code int

// The codes.
const (
	CodeOK             Code = 0
	CodeFailed         Code = -1
	CodeBadParam       Code = -2
	CodeRefused        Code = -3
	CodeUnsupported    Code = -4
	CodeServerTimeout  Code = -6
	CodeServerFailed   Code = -7
	CodeDisconnected   Code = -8
	CodeBusy           Code = -10
	CodeCameraStart    Code = -1301
	CodeMicStart       Code = -1302
	CodeEnterRoom      Code = -3301
	CodeConnectTimeout Code = -3308
	CodeSDKAppID       Code = -3317
	CodeRoomID         Code = -3318
	CodeUserID         Code = -3319
	CodeUserSig        Code = -3320
	CodeEnterRefused   Code = -3340
	CodePrivateMapKey  Code = -100006
	CodeUserSigCheck   Code = -100018

	// Warnings are positive.
	CodeAudioDecode  Code = 2102
	CodeReconnecting Code = 6007
	CodeRecordWrite  Code = 7001
)

var codeWords = map[Code]string{
	CodeOK: "ok", CodeFailed: "failed", CodeBadParam: "bad parameter", CodeRefused: "refused",
	CodeUnsupported: "not supported", CodeServerTimeout: "server timeout", CodeServerFailed: "server failed",
	CodeDisconnected: "disconnected", CodeBusy: "busy", CodeCameraStart: "camera cannot be read",
	CodeMicStart: "microphone cannot be read", CodeEnterRoom: "room cannot be entered",
	CodeConnectTimeout: "connect timeout", CodeSDKAppID: "bad SDKAppID", CodeRoomID: "bad room id",
	CodeUserID: "bad user id", CodeUserSig: "malformed UserSig", CodeEnterRefused: "refused by the host",
	CodePrivateMapKey: "no permission in the private-map key", CodeUserSigCheck: "UserSig check failed",
	CodeAudioDecode: "audio does not decode", CodeReconnecting: "reconnecting", CodeRecordWrite: "recording cannot be written",
}

func (c Code) String() string {
	if w, ok := codeWords[c]; ok {
		return w + " (" + strconv.Itoa(int(c)) + ")"
	}
	return "code " + strconv.Itoa(int(c))
}
