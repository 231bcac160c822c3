package hooks

// RoomMode is how a room's voices reach a receiver.
type RoomMode string

// The modes. The zero value leaves it to who is asked next: a receiver without
// a wish of their own gets what the room has, and a room what the server has.
const (
	ModeDefault RoomMode = ""
	// ModeForward sends each talker's packets as they are: the least delay, and
	// the least work for the server.
	ModeForward RoomMode = "forward"
	// ModeMix sends one stream, everybody else mixed: the least for the
	// receiver to take in and to decode.
	ModeMix RoomMode = "mix"
)

// Valid reports whether m is one of the modes.
func (m RoomMode) Valid() bool {
	return m == ModeDefault || m == ModeForward || m == ModeMix
}

// Or is m, or other if m is ModeDefault.
func (m RoomMode) Or(other RoomMode) RoomMode {
	if m == ModeDefault {
		return other
	}
	return m
}
