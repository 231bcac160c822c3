package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"time"

	"github.com/heroiclabs/nakama-common/runtime"

	"github.com/earshotrtc/earshot/engine"
)

// Voice without positions: for a party, for those who are in a group's chat, and
// for a relayed match, which has no handler. Nakama keeps who is in one as a
// stream, and that is asked, not the client.

// A stream is Nakama's name of a party, a group's chat or a relayed match.
type stream struct {
	mode           uint8
	subject, label string
}

const (
	groupMode, relayedMode, partyMode = 3, 5, 7 // Nakama's StreamMode constants

	// watchEvery is how long one who has left a party is still heard at most.
	watchEvery = 2 * time.Second
)

// joinParty is the RPC voice_party, which a client calls when it has joined a
// party {"party_id": "..."}, a group's chat {"group_id": "..."} or a relayed match
// {"match_id": "..."}; with none, {}, it is out. Whoever is in a match with a
// handler hears that meanwhile.
func (v *voice) joinParty(ctx context.Context, logger runtime.Logger, _ *sql.DB, _ runtime.NakamaModule, payload string) (string, error) {
	user, err := sessionUser(ctx)
	if err != nil {
		return "", err
	}
	var req struct {
		Party string `json:"party_id"`
		Group string `json:"group_id"`
		Match string `json:"match_id"`
	}
	if json.Unmarshal([]byte(payload), &req) != nil {
		return "", runtime.NewError(`want a "party_id", a "group_id" or a "match_id"`, codeInvalid)
	}
	var st stream // none
	switch {
	case req.Party != "":
		st.mode = partyMode
		st.subject, st.label, _ = strings.Cut(req.Party, ".") // the node
	case req.Group != "":
		st.mode, st.subject = groupMode, req.Group
	case req.Match != "":
		st.mode = relayedMode
		st.subject, st.label, _ = strings.Cut(req.Match, ".") // a relayed match has no node
	}
	if st.mode != 0 && !v.members(st)[user] {
		return "", runtime.NewError("not a member", codeDenied)
	}

	v.mu.Lock()
	defer v.mu.Unlock()
	r := v.parties[st]
	if r == nil && st.mode != 0 {
		if r, err = v.newRoom(engine.WorldConfig{ID: "party-" + st.subject}); err != nil {
			logger.Error("%v", err)
			return "", runtime.NewError("voice is not available", codeInternal)
		}
		v.parties[st] = r
	}
	v.seatOf(user).party = r
	v.settle(user)
	return "{}", nil
}

// members are the users whom Nakama has in a stream.
func (v *voice) members(st stream) map[string]bool {
	list, err := v.nk.StreamUserList(st.mode, st.subject, "", st.label, false, true)
	if err != nil { // also of an ID that is none
		v.log.Debug("voice: %v", err)
	}
	users := make(map[string]bool, len(list))
	for _, p := range list {
		users[voiceID(p.GetUserId())] = true
	}
	return users
}

// watchParties keeps the rooms of parties as Nakama has the parties.
func (v *voice) watchParties() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-v.done:
			return
		case <-tick.C:
			v.checkParties()
		}
	}
}

// checkParties takes out of a party's room who is no longer in the party, and
// ends rooms that nobody is in.
func (v *voice) checkParties() {
	v.mu.Lock()
	defer v.mu.Unlock()
	seated := make(map[*room][]string)
	for user, s := range v.seats {
		seated[s.party] = append(seated[s.party], user)
	}
	for st, r := range v.parties {
		members, in := v.members(st), 0
		for _, user := range seated[r] {
			if members[user] {
				in++
				continue
			}
			v.seats[user].party = nil
			v.settle(user)
		}
		if in == 0 {
			r.world.Close()
			delete(v.parties, st)
		}
	}
}
