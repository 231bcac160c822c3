package engine

import (
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
)

// setInfo keeps how a user wants to be shown, for as long as they are signed in.
func (s *Server) setInfo(d *device, info *signal.UserInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !d.removed {
		s.infos[d.userID] = hooks.UserInfo{UserID: d.userID, Nick: info.Nick, Avatar: info.Avatar}
	}
}

func (s *Server) getInfo(userID string) *signal.UserInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	if info := s.infoOf(userID); info != nil {
		return info
	}
	return &signal.UserInfo{UserID: userID}
}

// infoOf is nil if the user has not said. Server.mu is held.
func (s *Server) infoOf(userID string) *signal.UserInfo {
	info, ok := s.infos[userID]
	if !ok {
		return nil
	}
	return &signal.UserInfo{UserID: userID, Nick: info.Nick, Avatar: info.Avatar}
}
