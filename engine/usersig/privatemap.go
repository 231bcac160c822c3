package usersig

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Privileges is a set of rights in a room.
type Privileges uint32

// The rights. Substream is the second video, such as a shared screen.
const (
	CreateRoom Privileges = 1 << iota
	EnterRoom
	SendAudio
	ReceiveAudio
	SendVideo
	ReceiveVideo
	SendSubstream
	ReceiveSubstream

	AllPrivileges Privileges = 255
	// ListenOnly is to enter, and to hear and see.
	ListenOnly = EnterRoom | ReceiveAudio | ReceiveVideo
)

// Has reports whether all of p are in the set.
func (s Privileges) Has(p Privileges) bool { return s&p == p }

// PrivateMap is what a private-map key says in its user buffer: what one user
// may do in one room.
type PrivateMap struct {
	SDKAppID uint32
	UserID   string // at most 65535 bytes
	// RoomID is the room where Room is empty; else it is 0.
	RoomID uint32
	// Room is the room where it has a name instead of a number, at most 65535
	// bytes. The number 123 and the name "123" are different rooms.
	Room string
	// ExpiresAt is the last second at which it holds, until the year 2106. It
	// should be the token's own.
	ExpiresAt   time.Time
	Privileges  Privileges
	AccountType uint32 // 0
}

// The user buffer of a private-map key, big endian:
//
//	version u8 (0: room by number, 1: by name)
//	length u16, user
//	SDKAppID u32 | room u32 | expiry u32 | privileges u32 | account type u32
//	version 1 only: length u16, room

// BuildUserBuf encodes m for [Claims.UserBuf]. Errors wrap ErrUserBuf.
func BuildUserBuf(m PrivateMap) ([]byte, error) {
	expires := m.ExpiresAt.Unix()
	switch {
	case m.UserID == "" || len(m.UserID) > math.MaxUint16:
		return nil, fmt.Errorf("%w: user ID of %d bytes", ErrUserBuf, len(m.UserID))
	case len(m.Room) > math.MaxUint16:
		return nil, fmt.Errorf("%w: room of %d bytes", ErrUserBuf, len(m.Room))
	case m.Room != "" && m.RoomID != 0:
		return nil, fmt.Errorf("%w: both a room's number and its name", ErrUserBuf)
	case expires < 0 || expires > math.MaxUint32:
		return nil, fmt.Errorf("%w: expiry %v", ErrUserBuf, m.ExpiresAt)
	}
	b := make([]byte, 0, 25+len(m.UserID)+len(m.Room))
	if m.Room == "" {
		b = append(b, 0)
	} else {
		b = append(b, 1)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.UserID)))
	b = append(b, m.UserID...)
	for _, v := range []uint32{m.SDKAppID, m.RoomID, uint32(expires), uint32(m.Privileges), m.AccountType} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	if m.Room != "" {
		b = binary.BigEndian.AppendUint16(b, uint16(len(m.Room)))
		b = append(b, m.Room...)
	}
	return b, nil
}

// ParseUserBuf decodes the user buffer of a private-map key. It checks the
// form only: that the token is genuine is [Verifier.Verify]'s to say, and that
// user, application, expiry and room are the right ones is the caller's.
// Errors wrap ErrUserBuf.
func ParseUserBuf(b []byte) (PrivateMap, error) {
	var m PrivateMap
	if len(b) < 3 {
		return m, fmt.Errorf("%w: %d bytes", ErrUserBuf, len(b))
	}
	named := b[0] == 1
	if b[0] > 1 {
		return m, fmt.Errorf("%w: version %d", ErrUserBuf, b[0])
	}
	n := int(binary.BigEndian.Uint16(b[1:]))
	b = b[3:]
	if n == 0 || len(b) < n+20 {
		return m, fmt.Errorf("%w: a user of %d bytes, %d bytes left", ErrUserBuf, n, len(b))
	}
	m.UserID, b = string(b[:n]), b[n:]
	m.SDKAppID = binary.BigEndian.Uint32(b)
	m.RoomID = binary.BigEndian.Uint32(b[4:])
	m.ExpiresAt = time.Unix(int64(binary.BigEndian.Uint32(b[8:])), 0)
	m.Privileges = Privileges(binary.BigEndian.Uint32(b[12:]))
	m.AccountType = binary.BigEndian.Uint32(b[16:])
	b = b[20:]
	if named {
		if len(b) < 2 {
			return PrivateMap{}, fmt.Errorf("%w: no room", ErrUserBuf)
		}
		n = int(binary.BigEndian.Uint16(b))
		b = b[2:]
		if n == 0 || n > len(b) || m.RoomID != 0 {
			return PrivateMap{}, fmt.Errorf("%w: a room of %d bytes, number %d, %d bytes left", ErrUserBuf, n, m.RoomID, len(b))
		}
		m.Room, b = string(b[:n]), b[n:]
	}
	if len(b) > 0 {
		return PrivateMap{}, fmt.Errorf("%w: %d bytes too many", ErrUserBuf, len(b))
	}
	return m, nil
}
