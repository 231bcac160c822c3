package hooks

import "fmt"

// RoQRequest is an endpoint of plain RTP over QUIC that has connected: it has
// no signalling, so nothing else is known of it. All of it but RemoteAddr is
// hostile input.
type RoQRequest struct {
	// RemoteAddr is the endpoint's address as the transport sees it.
	RemoteAddr string
	// ALPN is what it speaks, "roq-14" to "roq-10", and ServerName the name that
	// it dialled (TLS SNI), empty for an address.
	ALPN       string
	ServerName string
	// Certificates are what the endpoint showed, in DER form, its own first; it
	// has proved to have that one's key. They are asked for, and checked, as
	// ServerConfig.TLS says (tls.Config.ClientAuth), which without one is not at
	// all.
	Certificates [][]byte
}

// RoQAnswer says who an endpoint of plain RTP over QUIC is, and which flows it
// is to use: what signalling would have settled. RTCP of a stream is on its
// flow, in either direction.
type RoQAnswer struct {
	// UserID is the user that the endpoint is taken for: observers are told that
	// they signed in, on a device of their own. Empty: this plugin does
	// not know it, and the next is asked. A user who is signed in already is
	// refused, unless ServerConfig.MultiDevice.
	UserID string
	// CallID is the call it enters, as by Client.JoinCall and with the same
	// deciders asked: a running group call, or one in which the user rings.
	CallID string
	// PrivateMapKey is the user's, on a server with PrivateMapKeys. Default none.
	PrivateMapKey string
	// Mode is how it gets the others' voices: the mix is on one flow, of which
	// the talkers are the contributing sources. Default: as the room has it.
	Mode RoomMode

	// Sends are the streams that it sends, at most 4. Default none.
	Sends []RoQStream
	// Audio and Video say where it gets the room's tracks. Default: none are
	// sent to it.
	Audio, Video *RoQReceive
}

// RoQStream is one stream that an endpoint sends: Opus, or VP8 with RTP packets
// of at most 1,150 bytes; larger ones are dropped. Its SSRC may be any, and may
// change: the others hear and see one track that goes on.
type RoQStream struct {
	// Flow is the flow identifier, 0 to 2^62-1. Streams may share one if their
	// payload types differ.
	Flow uint64
	// Video is true for VP8, false for Opus.
	Video bool
	// PayloadType is that of its RTP packets, 1 to 63 or 96 to 127. Default 111
	// for Opus, 96 for VP8.
	PayloadType uint8
	// LevelExtension is the identifier of the header extension with the level
	// (RFC 6464), 1 to 14. Default: it sends none.
	LevelExtension uint8
}

// RoQReceive says how an endpoint is sent the room's tracks of one kind, each
// with an SSRC of its own.
type RoQReceive struct {
	// Flow is the first flow identifier, 1 to 2^62-1. The mix is always on it.
	Flow uint64
	// Flows is how many flows there are from Flow on: each track has one to
	// itself, the lowest that is free, and a track that finds none is not sent.
	// At most 1024. Default 0: all tracks are on Flow, told apart by their SSRCs.
	Flows int
	// Users names flows for the tracks of particular users. Default none.
	Users map[string]uint64
	// PayloadType is that of the RTP packets, 1 to 63 or 96 to 127. Default 111
	// for Opus, 96 for VP8.
	PayloadType uint8
}

const (
	maxRoQFlow    = 1<<62 - 1
	maxRoQStreams = 4
	maxRoQFlows   = 1024
)

// Check says what is wrong with an answer's flows and payload types, or nil.
func (a RoQAnswer) Check() error {
	if len(a.Sends) == 0 && a.Audio == nil && a.Video == nil {
		return fmt.Errorf("the endpoint neither sends nor receives")
	}
	if len(a.Sends) > maxRoQStreams {
		return fmt.Errorf("%d streams to send, more than %d", len(a.Sends), maxRoQStreams)
	}
	if !a.Mode.Valid() {
		return fmt.Errorf("mode %.20q is neither forward nor mix", string(a.Mode))
	}
	for i, s := range a.Sends {
		switch {
		case s.Flow > maxRoQFlow:
			return fmt.Errorf("flow %d is above 2^62-1", s.Flow)
		case s.LevelExtension > 14:
			return fmt.Errorf("a header extension's identifier is 1 to 14, not %d", s.LevelExtension)
		}
		if err := checkRoQType(s.PayloadType); err != nil {
			return err
		}
		for _, other := range a.Sends[:i] {
			if other.Flow == s.Flow && other.RTPType() == s.RTPType() {
				return fmt.Errorf("two streams on flow %d with payload type %d", s.Flow, s.RTPType())
			}
		}
	}
	for _, r := range []*RoQReceive{a.Audio, a.Video} {
		if r == nil {
			continue
		}
		if err := r.check(); err != nil {
			return err
		}
	}
	return nil
}

func (r *RoQReceive) check() error {
	switch {
	case r.Flow == 0 || r.Flow > maxRoQFlow:
		return fmt.Errorf("flow %d to receive on is not 1 to 2^62-1", r.Flow)
	case r.Flows < 0 || r.Flows > maxRoQFlows || r.Flow+uint64(r.Flows) > maxRoQFlow:
		return fmt.Errorf("%d flows from %d on", r.Flows, r.Flow)
	case len(r.Users) > maxRoQFlows:
		return fmt.Errorf("flows for %d users, more than %d", len(r.Users), maxRoQFlows)
	}
	for u, f := range r.Users {
		if f == 0 || f > maxRoQFlow {
			return fmt.Errorf("flow %d of %.32q is not 1 to 2^62-1", f, u)
		}
	}
	return checkRoQType(r.PayloadType)
}

// checkRoQType leaves out what RTCP on the same flow would be taken for
// (RFC 5761 section 4).
func checkRoQType(t uint8) error {
	if t > 127 || t >= 64 && t < 96 {
		return fmt.Errorf("payload type %d is not 1 to 63 or 96 to 127", t)
	}
	return nil
}

// RTPType is PayloadType, or its default.
func (s RoQStream) RTPType() uint8 { return roqType(s.PayloadType, s.Video) }

// RTPType is PayloadType, or the default for a kind of track.
func (r RoQReceive) RTPType(video bool) uint8 { return roqType(r.PayloadType, video) }

func roqType(t uint8, video bool) uint8 {
	switch {
	case t != 0:
		return t
	case video:
		return 96
	}
	return 111
}
