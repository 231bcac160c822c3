package hooks

import (
	"context"
	"time"
)

// A Plugin is host code on a server's decision points. All of its functions
// are optional; a server asks its plugins in their order. None is called with
// a lock held, and all may be called from several goroutines at a time.
//
// Deciders answer within 2 s. The first that says no is obeyed: an error is a
// no, a *Refusal is told to the user as it is, and of any other error the user
// hears only that the host refused. One that is late or panics says no, too,
// but for Route, whose failure leaves the default, and Push, whose failure is
// logged. A decider is never taken off. Slices in a request belong to the one
// who is asked. A Refusal's Code should be negative; other codes are shown as
// CodeEnterRefused.
//
// What a hook takes and does is in the server's Snapshot under Name: its time,
// the calls that have not come back, panics, and being late. What it keeps is its
// own: goroutines that it starts go on after it, and carry its name in profiles;
// memory is not counted. Of what it was handed it may keep what belongs to it, as
// said with each; a slice that is the engine's has the next packet or block of the
// same track in it once the hook has returned, and who still writes there spoils
// that track and nothing else.
type Plugin struct {
	// Name names the plugin in logs and metrics.
	Name string

	// MayCall decides whether a user may call others, or bring them into a
	// call.
	MayCall func(ctx context.Context, req CallRequest) error
	// Member decides whether a user belongs to a group. It is asked for the
	// caller and for everybody invited to a call with a group ID, and for who
	// joins one; its 2 s are for all who are asked about at a time.
	Member func(ctx context.Context, groupID, userID string) error
	// Admit decides whether a user may enter a call's room: by calling,
	// accepting or joining.
	Admit func(ctx context.Context, req AdmitRequest) error
	// AdmitRoQ decides who an endpoint of plain RTP over QUIC is, if anybody: the
	// user, the call it enters, and its flows. Such an endpoint may share no code
	// with Earshot and has no signalling; an error closes its connection, with a
	// Refusal's words as the reason. The first plugin whose answer has a UserID is
	// the one that counts. Without a plugin that has it a server does not speak
	// the protocol (ALPN roq-14 to roq-10) at all. See RoQAnswer.
	AdmitRoQ func(ctx context.Context, req RoQRequest) (RoQAnswer, error)
	// MayRecord decides whether a user may be recorded; asked by what records.
	MayRecord func(ctx context.Context, req RecordRequest) error
	// Route decides where a call is shown to a user: true hands it to the
	// user's own view (EnableCustomViewRoute, for this call), false leaves the
	// default. Its 2 s are for all whom a call is shown to.
	Route func(ctx context.Context, req RouteRequest) (custom bool, err error)
	// Push wakes the device of a user who is invited while offline. Its error
	// is logged, and the invitation waits all the same.
	Push func(ctx context.Context, req PushRequest) error

	// Observe is told of everything that happens, on one goroutine, in order.
	// It may block: it holds nobody up. With 1,024 events waiting further ones
	// are dropped and counted (Server.DroppedEvents). A server that closes lets
	// it hear what waits, for 2 s.
	Observe func(Event)

	// Volumes is told how loud the users of each call and of each world are, every
	// ServerConfig.VolumeInterval, whether or not anyone speaks. In a world that is
	// what their clients say of themselves (RFC 6464), also of who is muted there
	// or heard by nobody. It is called like Observe, and in turn with it.
	Volumes func(RoomVolumes)

	// Packet is asked once for each track that a user publishes, for a function
	// that sees its packets; nil sees none. It has 2 s, and a panic is a nil.
	Packet func(track TrackInfo) PacketHook
	// Processor is asked once for each microphone that a user publishes on a
	// server that can mix, for a function that sees, and may change, their
	// sound before it is mixed: noise suppression, a radio's sound, another
	// pitch. In a call those who get the packets as they are do not hear it. In a
	// world all do: a talker with one is decoded and encoded again, whose packets
	// are of 10, 20, 40 or 60 ms; others are not heard, nor is one that comes after
	// a later one. nil changes nothing and costs nothing. It has 2 s, and a panic
	// is a nil.
	Processor func(track TrackInfo) PCMHook
	// PathProcessor is asked for each talker and each receiver of a mix, for a
	// function on the way from the one to the other: walls between them, a radio
	// that only the team has. It sees the talker's sound after Processor, before
	// how loud and from where it is heard, while the talker is in the mix. A
	// receiver with one has a mix, and an encode, of its own meanwhile; nil changes
	// nothing and costs nothing. It is asked when both are there, and until it has
	// answered, in 2 s at most, the talker is heard as they are. In a world it is
	// asked when the talker is first heard by the receiver, and again after their
	// track has ended (WorldConfig.Linger); a way with one costs a decode and an
	// encode of its own, and goes for packets as Processor does.
	PathProcessor func(path PathInfo) PCMHook
	// MixProcessor is asked for each receiver of a mix, for a function that sees,
	// and may change, the finished mix before it is encoded, while somebody is
	// heard in it. A receiver with one has a mix, and an encode, of its own; nil
	// changes nothing and costs nothing. It is asked as PathProcessor is, but not
	// in a world, which does not mix.
	MixProcessor func(receiver ReceiverInfo) MixHook
}

// PathInfo is the way from a talker to a receiver.
type PathInfo struct {
	CallID           string
	Talker, Receiver string // their user IDs
}

// ReceiverInfo describes who is mixed for.
type ReceiverInfo struct {
	CallID string
	UserID string
}

// A MixHook sees, and may change in place, each block of a receiver's mix: 48
// kHz, signed 16-bit, of one channel or of two, interleaved, and 10 or 20 ms. Its
// time, and its end, are those of a PCMHook.
type MixHook func(pcm []int16, channels int)

// RoomVolumes is how loud the users of a call or a world are.
type RoomVolumes struct {
	CallID string // or the world's ID
	// Users are those with a volume above 0, the loudest first; Total is all of
	// them together, 0 to 100.
	Users []UserVolume
	Total int
}

// A PacketHook sees each RTP packet of a track before it is forwarded, after
// the server has checked it. It may change the bytes of the payload in place,
// not their number. False drops the packet. It is called on the session's
// reading goroutine, one packet at a time, and has 1 ms; the slice is the
// engine's. One that panics three times, or takes longer 25 times in a row, is
// taken off this track with a warning. It must not close the server.
type PacketHook func(packet []byte) (forward bool)

// A PCMHook sees, and may change in place, each block of a talker's sound: 48
// kHz, mono, signed 16-bit; on a server 10 or 20 ms. It has 1 ms, and is taken off as
// a PacketHook is. The slice is the engine's. A server calls it on a goroutine of its
// own, for one block at a time: a block that it is not done with in its time is mixed
// as it was, and so are those that follow until it has been in time again. Whoever
// misses 50 in a row is taken off, too.
type PCMHook func(pcm []int16)

// TrackInfo describes a track.
type TrackInfo struct {
	CallID string
	UserID string
	// Video is true for a camera, false for a microphone.
	Video bool
}

// CallRequest is a call that a user wants to make.
type CallRequest struct {
	Caller  string
	Callees []string
	IsGroup bool
	GroupID string
	// RoomID is zero for a new call whose caller leaves it to the server.
	RoomID RoomID
	Media  MediaType
	// CallID is empty for a new call.
	CallID string
}

// AdmitRequest is a user at the door of a call's room.
type AdmitRequest struct {
	UserID  string
	CallID  string // empty when the call is just being made
	GroupID string
	RoomID  RoomID // zero when the call is being made, and the server chooses
	Media   MediaType
}

// RecordRequest is a user about to be recorded.
type RecordRequest struct {
	UserID string
	CallID string
}

// RouteRequest is a call about to be shown to a user.
type RouteRequest struct {
	UserID  string
	Inviter string
	IsGroup bool
	GroupID string
	Media   MediaType
}

// PushRequest is an invitation to a user with no device signed in.
type PushRequest struct {
	UserID  string
	CallID  string
	Sponsor string
	GroupID string
	RoomID  RoomID
	Media   MediaType
	// Until is when the ringing ends.
	Until time.Time
}

// EventKind says what an event is about.
type EventKind string

// The kinds of events.
const (
	EventSignedIn     EventKind = "signed in"     // UserID, on Device
	EventSignedOut    EventKind = "signed out"    // UserID; Text is "by will", "kicked", "lost", or "server" when that ends
	EventLost         EventKind = "lost"          // UserID's connection; it may come back
	EventResumed      EventKind = "resumed"       // UserID is back
	EventCallStarted  EventKind = "call started"  // UserID called Users
	EventLineBusy     EventKind = "line busy"     // UserID was called while on a call, or ignored one
	EventAccepted     EventKind = "accepted"      // UserID
	EventRejected     EventKind = "rejected"      // UserID
	EventNoResponse   EventKind = "no response"   // Users
	EventUserEntered  EventKind = "user entered"  // UserID
	EventUserLeft     EventKind = "user left"     // UserID
	EventMediaChanged EventKind = "media changed" // by UserID, to Media
	EventCallEnded    EventKind = "call ended"    // Reason, Duration
	EventCallMessage  EventKind = "call message"  // Text is the message for the chat, from UserID to Users or GroupID
)

// An Event is something that happened on a server.
type Event struct {
	Kind     EventKind
	Time     time.Time
	UserID   string
	Device   string
	CallID   string
	GroupID  string
	Users    []string
	Media    MediaType
	Reason   EndReason
	Duration time.Duration
	Text     string
}
