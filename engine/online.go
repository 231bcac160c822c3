package engine

import (
	"maps"
	"slices"
)

// Online says which of some users are signed in, in the order in which they are
// given, or without arguments, or with an empty list, who is at all, sorted. A
// user on several devices is one; one whose connection was lost counts until
// ServerConfig.ReconnectWindow is over, and a foreign endpoint's user for as
// long as it is connected. It may be called from any goroutine, hooks'
// included.
func (s *Server) Online(userIDs ...string) []string {
	if len(userIDs) == 0 {
		s.mu.Lock()
		all := slices.Collect(maps.Keys(s.users))
		s.mu.Unlock()
		slices.Sort(all)
		return all
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var online []string
	for _, u := range userIDs {
		if len(s.users[u]) > 0 {
			online = append(online, u)
		}
	}
	return online
}
