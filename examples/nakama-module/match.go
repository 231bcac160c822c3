package main

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/heroiclabs/nakama-common/runtime"
)

const (
	tickRate = 10
	// opPosition is the op code of a client's message that says where it is, as
	// JSON: {"x": 1, "y": 2}. A game that knows better takes its own.
	opPosition = 1
	// hearing is how far voices carry, in metres.
	hearing = 30
)

// A match is an authoritative match with voice and nothing else: what a game's own
// match handler does about voice are the four calls of room, in MatchInit,
// MatchJoin, MatchLoop and MatchLeave.
type match struct{ voice *voice }

// matchState is what Nakama hands from one call to the next.
type matchState struct {
	room *room
	at   map[string]position // of players who have said so
}

func (m *match) MatchInit(ctx context.Context, logger runtime.Logger, _ *sql.DB, _ runtime.NakamaModule, _ map[string]any) (any, int, string) {
	id, _ := ctx.Value(runtime.RUNTIME_CTX_MATCH_ID).(string)
	r, err := m.voice.newRoom(ctx, id)
	if err != nil {
		logger.Error("%v", err)
		return nil, 0, "" // Nakama ends the match
	}
	return &matchState{room: r, at: make(map[string]position)}, tickRate, ""
}

func (m *match) MatchJoinAttempt(_ context.Context, _ runtime.Logger, _ *sql.DB, _ runtime.NakamaModule, _ runtime.MatchDispatcher, _ int64, state any, _ runtime.Presence, _ map[string]string) (any, bool, string) {
	return state, true, ""
}

func (m *match) MatchJoin(_ context.Context, _ runtime.Logger, _ *sql.DB, _ runtime.NakamaModule, _ runtime.MatchDispatcher, _ int64, state any, presences []runtime.Presence) any {
	state.(*matchState).room.join(playersOf(presences)...)
	return state
}

func (m *match) MatchLeave(_ context.Context, _ runtime.Logger, _ *sql.DB, _ runtime.NakamaModule, _ runtime.MatchDispatcher, _ int64, state any, presences []runtime.Presence) any {
	s := state.(*matchState)
	players := playersOf(presences)
	for _, p := range players {
		delete(s.at, p)
	}
	s.room.leave(players...)
	return state
}

func (m *match) MatchLoop(_ context.Context, _ runtime.Logger, _ *sql.DB, _ runtime.NakamaModule, _ runtime.MatchDispatcher, _ int64, state any, messages []runtime.MatchData) any {
	s := state.(*matchState)
	for _, msg := range messages {
		var at position
		if msg.GetOpCode() == opPosition && json.Unmarshal(msg.GetData(), &at) == nil {
			s.at[voiceID(msg.GetUserId())] = at
		}
	}
	s.room.place(s.at, hearing)
	return state
}

func (m *match) MatchTerminate(_ context.Context, _ runtime.Logger, _ *sql.DB, _ runtime.NakamaModule, _ runtime.MatchDispatcher, _ int64, state any, _ int) any {
	state.(*matchState).room.close()
	return nil
}

func (m *match) MatchSignal(_ context.Context, _ runtime.Logger, _ *sql.DB, _ runtime.NakamaModule, _ runtime.MatchDispatcher, _ int64, state any, _ string) (any, string) {
	return state, ""
}

func playersOf(presences []runtime.Presence) (players []string) {
	for _, p := range presences {
		players = append(players, voiceID(p.GetUserId()))
	}
	return players
}
