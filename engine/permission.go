package engine

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
)

// Rooms have IDs, and where a host wants it (ServerConfig.PrivateMapKeys) what
// a user may do in one is written in a private-map key for it. The key is
// checked when its user enters, and its rights stay with that device until it
// leaves.

// chooseRoom gives a new call its room: the one that was asked for, or any.
// Server.mu is held.
func (s *Server) chooseRoom(asked hooks.RoomID) (hooks.RoomID, error) {
	if !asked.IsZero() {
		if s.rooms[asked] != nil {
			return asked, refuse(hooks.CodeEnterRoom, "there is a call in room %v already", asked)
		}
		return asked, nil
	}
	for {
		var b [4]byte
		rand.Read(b[:])
		r := hooks.RoomID{Number: binary.BigEndian.Uint32(b[:]) >> 1} // as the original's: up to 2³¹−1
		if r.Number != 0 && s.rooms[r] == nil {
			return r, nil
		}
	}
}

// checkRoom says whether a call may ask for a room.
func (s *Server) checkRoom(room hooks.RoomID) error {
	if err := room.Check(); err != nil {
		return refuse(hooks.CodeRoomID, "%v", err)
	}
	if s.cfg.PrivateMapKeys && room.IsZero() {
		return refuse(hooks.CodeRoomID, "this server wants a private-map key for the call's room: choose a room ID")
	}
	return nil
}

// permit reads what a private-map key lets a user do in a room, and refuses
// unless need is among it. Without PrivateMapKeys everybody may do everything.
func (s *Server) permit(userID, key string, room hooks.RoomID, need usersig.Privileges) (usersig.Privileges, error) {
	if !s.cfg.PrivateMapKeys {
		return usersig.AllPrivileges, nil
	}
	if key == "" {
		return 0, refuse(hooks.CodePrivateMapKey, "a private-map key for room %v is needed", room)
	}
	m, err := s.readKey(userID, key)
	switch {
	case err != nil:
		return 0, refuse(hooks.CodePrivateMapKey, "the private-map key does not hold: %v", err)
	case (hooks.RoomID{Number: m.RoomID, Name: m.Room}) != room:
		return 0, refuse(hooks.CodePrivateMapKey, "the private-map key is for another room than %v", room)
	case !m.Privileges.Has(need):
		return 0, refuse(hooks.CodePrivateMapKey, "the private-map key does not permit it: it gives rights %d of the %d that are needed", m.Privileges&need, need)
	}
	return m.Privileges, nil
}

func (s *Server) readKey(userID, key string) (usersig.PrivateMap, error) {
	claims, err := usersig.Verifier{SDKAppID: s.cfg.SDKAppID, Key: s.cfg.Key}.Verify(key, userID)
	if err != nil {
		return usersig.PrivateMap{}, err
	}
	m, err := usersig.ParseUserBuf(claims.UserBuf)
	switch {
	case err != nil:
	case m.SDKAppID != s.cfg.SDKAppID:
		err = usersig.ErrAppID
	case m.UserID != userID:
		err = usersig.ErrUserID
	case time.Now().Unix() > m.ExpiresAt.Unix():
		err = fmt.Errorf("%w at %s", usersig.ErrExpired, m.ExpiresAt.UTC().Format(time.RFC3339))
	}
	return m, err
}

// may reports whether the device's user may do something in the room that it
// is in. Server.mu is held.
func (d *device) may(p usersig.Privileges) bool {
	return !d.srv.cfg.PrivateMapKeys || d.rights.Has(p)
}

// rightTo is the right that sending or receiving a kind of track takes.
func rightTo(send bool, k signal.Kind) usersig.Privileges {
	switch {
	case send && k == signal.KindVideo:
		return usersig.SendVideo
	case send:
		return usersig.SendAudio
	case k == signal.KindVideo:
		return usersig.ReceiveVideo
	}
	return usersig.ReceiveAudio
}

// maySend and mayReceive say why not. Server.mu is held.
func (d *device) maySend(k signal.Kind) error {
	if d.may(rightTo(true, k)) {
		return nil
	}
	return refuse(hooks.CodePrivateMapKey, "the private-map key of %s does not permit to send %s", d.userID, k)
}

func (d *device) mayReceiveAudio() bool { return d.may(usersig.ReceiveAudio) }

func (d *device) mayReceive(k signal.Kind) error {
	if d.may(rightTo(false, k)) {
		return nil
	}
	return refuse(hooks.CodePrivateMapKey, "the private-map key of %s does not permit to receive %s", d.userID, k)
}
