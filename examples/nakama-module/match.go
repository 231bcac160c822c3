package main

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/heroiclabs/nakama-common/runtime"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/mixer"
)

const (
	tickRate = 10
	// opPosition is the op code of a client's message that says where it is: see
	// place. A game that knows better takes its own.
	opPosition = 1
	// hearing is how far voices carry, in metres.
	hearing = 30
	// emptyTicks is after how many without anybody a match ends.
	emptyTicks = 60 * tickRate
)

// A match is an authoritative match with voice and nothing else: what a game's own
// match handler does about voice are the lines with room.
type match struct{ voice *voice }

// matchState is what Nakama hands from one call to the next.
type matchState struct {
	room    *room
	moves   []engine.Placement
	players int
	empty   int // ticks
}

// place is where a player stands and which way they look: forward, right and up,
// in metres. At the player's command, so it is hostile.
type place struct{ At, Look mixer.Vector }

func (m *match) MatchInit(ctx context.Context, logger runtime.Logger, _ *sql.DB, _ runtime.NakamaModule, _ map[string]any) (any, int, string) {
	id, _ := ctx.Value(runtime.RUNTIME_CTX_MATCH_ID).(string)
	room, err := m.voice.newRoom(engine.WorldConfig{ID: id, Range: hearing})
	if err != nil {
		logger.Error("%v", err)
		return nil, 0, "" // there is no match then
	}
	return &matchState{room: room}, tickRate, ""
}

func (m *match) MatchJoinAttempt(_ context.Context, _ runtime.Logger, _ *sql.DB, _ runtime.NakamaModule, _ runtime.MatchDispatcher, _ int64, state any, _ runtime.Presence, _ map[string]string) (any, bool, string) {
	return state, true, ""
}

func (m *match) MatchJoin(_ context.Context, _ runtime.Logger, _ *sql.DB, _ runtime.NakamaModule, _ runtime.MatchDispatcher, _ int64, state any, presences []runtime.Presence) any {
	s := state.(*matchState)
	s.players += len(presences)
	for _, p := range presences { // Team, Position, Mode and more go here, too
		s.room.join(engine.Player{UserID: voiceID(p.GetUserId())})
	}
	return s
}

func (m *match) MatchLeave(_ context.Context, _ runtime.Logger, _ *sql.DB, _ runtime.NakamaModule, _ runtime.MatchDispatcher, _ int64, state any, presences []runtime.Presence) any {
	s := state.(*matchState)
	s.players -= len(presences)
	for _, p := range presences {
		s.room.leave(voiceID(p.GetUserId()))
	}
	return s
}

func (m *match) MatchLoop(_ context.Context, logger runtime.Logger, _ *sql.DB, _ runtime.NakamaModule, _ runtime.MatchDispatcher, _ int64, state any, messages []runtime.MatchData) any {
	s := state.(*matchState)
	s.moves = s.moves[:0]
	for _, msg := range messages {
		var to place
		if msg.GetOpCode() == opPosition && json.Unmarshal(msg.GetData(), &to) == nil {
			s.moves = append(s.moves, engine.Placement{UserID: voiceID(msg.GetUserId()), Position: to.At, Forward: to.Look})
		}
	}
	if err := s.room.world.Move(s.moves); err != nil { // of those who have left, or are nowhere on earth
		logger.Debug("voice: %v", err)
	}
	if s.empty++; s.players > 0 {
		s.empty = 0
	}
	if s.empty == emptyTicks {
		s.room.close() // Nakama calls MatchTerminate only when it shuts down
		return nil
	}
	return s
}

func (m *match) MatchTerminate(_ context.Context, _ runtime.Logger, _ *sql.DB, _ runtime.NakamaModule, _ runtime.MatchDispatcher, _ int64, state any, _ int) any {
	state.(*matchState).room.close()
	return nil
}

func (m *match) MatchSignal(_ context.Context, _ runtime.Logger, _ *sql.DB, _ runtime.NakamaModule, _ runtime.MatchDispatcher, _ int64, state any, _ string) (any, string) {
	return state, ""
}
