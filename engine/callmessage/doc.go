// Package callmessage is the chat message of a call: the envelope that the
// original's clients put into a chat for each step of a call, so that an
// existing history renders, and old clients render what the engine writes.
//
//	if callmessage.IsCallingData(data) {
//		m, err := callmessage.Parse(data)
//		if err == nil && !m.Hidden(viewer) {
//			show(m.Icon(), m.Side(viewer), m.Text(callmessage.Chinese, viewer))
//		}
//	}
//
// and the other way round:
//
//	data, err := callmessage.Build(callmessage.Message{
//		Kind: callmessage.Hangup, CallID: id, Inviter: "bob", Caller: "alice",
//		Media: hooks.MediaAudio, Duration: 83 * time.Second,
//	})
//
// # The form
//
// A message is a JSON object, the envelope of an instant-messaging invitation,
//
//	{"businessID":1,"actionType":N,"inviteID":"…","groupID":"","inviter":"u1",
//	 "inviteeList":["u2"],"timeout":30,"data":"…"}
//
// with actionType 1 invite, 2 cancel, 3 accept, 4 reject, 5 timeout. Its data is
// a string that holds JSON again: version 4, which has a businessID of
// "av_call" or "rtc_call" and says in data.cmd what is meant, or the legacy
// form, which is told by its call_type. Build writes version 4 with the legacy
// keys beside it, so that both kinds of readers understand it.
//
// # Where this differs from the original
//
//   - call_end is whole seconds, always. One of the original's clients wrote
//     milliseconds; what it wrote cannot be told apart, and shows as it stands.
//   - A call of an hour or more shows as H:MM:SS.
//   - A legacy message does not say who called. The original takes the viewer
//     for the caller then; here it is whoever invited, where that is the same.
//   - Going from voice to video has a command, switchToVideo, which the
//     original has not; its clients show it as an unknown call.
//
// Everything in a message is hostile input: Parse bounds size and depth, and
// Text drops control characters from user IDs.
package callmessage
