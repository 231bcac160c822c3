package engine

import (
	"maps"
	"slices"

	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer/jitter"
	"github.com/earshotrtc/earshot/transport"
)

// A Snapshot is what a server does at one moment, and has done since NewServer.
// Counters and histograms only ever grow: what users, sessions and tracks that
// have ended had counted stays in them, and nothing but a new server resets them.
// They are read one after the other while the server goes on, so two that belong
// together may differ by what happened in between. Package engine/prom gives it
// to Prometheus.
type Snapshot struct {
	// Now: users and devices that are signed in, connections with those that are
	// not yet or no more, calls (those that ring, too), rooms with somebody in them
	// by mode, devices in a room, and the tracks that they publish. Worlds are rooms
	// of the mode "world" (RoomWorld).
	Users, Devices, Connections int
	Calls                       int
	Rooms                       map[hooks.RoomMode]int // ModeForward, ModeMix, RoomWorld
	Participants                int
	AudioTracks, VideoTracks    int

	// SignIns and Resumes that were let in; foreign endpoints (RoQ) count as
	// sign-ins. Refusals are connections that were not, by reason. All reasons are
	// there, and never others.
	SignIns, Resumes uint64
	Refusals         map[string]uint64
	// CallsStarted is with the first invitation; CallsEnded are by
	// hooks.EndReason, all of which are there.
	CallsStarted uint64
	CallsEnded   map[hooks.EndReason]uint64

	// Received and Sent are packets and bytes of what the server took from clients
	// and handed to the network for them.
	Received, Sent Traffic
	// Network are QUIC's own packets, with all that they carry, without UDP and IP
	// headers; Lost are packets of the server's.
	Network struct {
		Received, Sent transport.Traffic
		Lost           uint64
	}
	// Queued is how many packets wait to be sent, in all sessions, by class: 0
	// voices, 1 RTCP and video that is sent again, 2 video.
	Queued [transport.NumClasses]int
	// Drops are packets, and events for plugins, that were dropped. The list is
	// always the same but for the numbers.
	Drops []Drop

	// RTT is that of connections on which something was sent, in seconds, and
	// LossDown the share (0 to 1) of the server's packets to them that got lost.
	// LossUp is the share of a voice's packets that never came, and Jitter their
	// interarrival jitter (RFC 3550 section 6.4.1), in seconds. Each connection and
	// each voice is looked at every 2 s, and gives one observation of each.
	RTT, Jitter, LossUp, LossDown Histogram

	// Mix counts what rooms that mix, or have mixed, took. TickTime is how long
	// the mixing of one frame of one room took, and TickLateness how long after it
	// was due it was done, both in seconds.
	Mix                    MixStats
	TickTime, TickLateness Histogram
	// JitterBuffers adds up those of all talkers in mixes, without the delays.
	JitterBuffers jitter.Stats

	// Worlds is what all worlds do and have done.
	Worlds WorldsStats

	// Hooks are those that the host has set.
	Hooks []HookStats
}

// Traffic is packets and bytes by kind. RTP and RTCP are counted as packets with
// their headers, without what carries them. Control are messages of signalling.
type Traffic struct{ Audio, Video, RTCP, Control transport.Traffic }

// A Drop is what was dropped in one place for one reason. Places and their
// reasons:
//
//	send     of each Kind: queue full, expired (its deadline), too large, closed
//	receive  malformed (no RTP over QUIC), unknown flow
//	track    of audio and video: refused (not of this track), hook (a plugin's
//	         PacketHook said so); of audio: not chosen (not among the loudest)
//	rtcp     too many (above the rate that a device may send), malformed
//	mix      late, duplicate, discarded (overflow, resynchronisation), undecodable,
//	         not Opus
//	world    of talkers in worlds, before anybody got them: queue full, too large
//	path     to players of worlds, through hooks on sound: queue full (the hooks
//	         are too slow), not changed (not Opus, or after a later one)
//	events   queue full (of a plugin's Observe)
//	roq      of foreign endpoints: no flow (for a track to it), wrong payload type,
//	         other SSRC, malformed, too large, late, unwanted, too many (RTCP)
type Drop struct {
	Queue  string
	Kind   string // audio, video, rtcp (with video that is sent again), or empty
	Reason string
	Count  uint64
}

// Snapshot returns what the server does and has done. It may be called from any
// goroutine, from hooks and callbacks too, but not from the Logger's handler. It
// takes about a microsecond for each session and track, and holds the media path up
// nowhere.
func (s *Server) Snapshot() Snapshot {
	out := Snapshot{Mix: s.MixStats(), Rooms: map[hooks.RoomMode]int{hooks.ModeForward: 0, hooks.ModeMix: 0, RoomWorld: 0}}
	s.mu.Lock()
	out.Users, out.Devices, out.Calls = len(s.users), len(s.devices), len(s.calls)
	for _, c := range s.calls {
		if r := c.room; len(r.devs) > 0 {
			out.Rooms[r.mode.Or(s.cfg.Mode).Or(hooks.ModeForward)]++
			out.Participants += len(r.devs)
		}
	}
	worlds := slices.Collect(maps.Values(s.worlds))
	s.mu.Unlock()
	out.addWorlds(worlds)

	m := &s.meters
	out.SignIns, out.Resumes, out.CallsStarted = m.signIns.Load(), m.resumes.Load(), m.calls.Load()
	out.Refusals = make(map[string]uint64, numRefusals)
	for r := range m.refusals {
		out.Refusals[refusalNames[r]] = m.refusals[r].Load()
	}
	out.CallsEnded = make(map[hooks.EndReason]uint64, numEndReasons)
	for r := range m.ended {
		out.CallsEnded[hooks.EndReason(r)] = m.ended[r].Load()
	}
	out.RTT, out.Jitter = m.rtt.show(rttScale), m.jitter.show(jitterScale)
	out.LossUp, out.LossDown = m.lossUp.show(lossScale), m.lossDown.show(lossScale)
	out.TickTime, out.TickLateness = s.clock.meter.time.show(tickScale), s.clock.meter.lateness.show(latenessScale)

	out.Worlds.Decoded, out.Worlds.Encoded = m.recoded.decoded.Load(), m.recoded.encoded.Load()
	out.Worlds.TickTime, out.Worlds.TickLateness = m.worldTicks.time.show(tickScale), m.worldTicks.lateness.show(latenessScale)

	out.Hooks = append(out.Hooks, m.signIn.show("server", hookSignIn))
	if m.scored.Load() {
		out.Hooks = append(out.Hooks, m.score.show("world", hookScore))
	}
	for _, p := range s.plugins {
		out.Hooks = p.meters.show(out.Hooks, p.Name)
	}
	s.addUp(&out)
	return out
}

// addUp adds up what sessions and tracks have counted.
func (s *Server) addUp(out *Snapshot) {
	m := &s.meters
	m.mu.Lock()
	sum := m.past
	out.Connections = len(m.sessions)
	for _, x := range m.sessions {
		addSession(&sum.sessions, x.sess.Stats())
		if x.stranger != nil {
			sum.roq.add(x.stranger.counters.load())
		}
	}
	for _, t := range m.tracks {
		sum.tracks[kindOf(t)].add(t)
		if src := t.source.Load(); src != nil {
			addJitter(&sum.mixed, src.Stats())
			sum.notOpus += src.Refused()
		}
		if kindOf(t) == 0 {
			out.AudioTracks++
		} else {
			out.VideoTracks++
		}
	}
	for w := range m.worlds {
		sum.worlds.add(w)
	}
	m.mu.Unlock()
	sum.worlds.show(&out.Worlds.WorldStats)

	net := &sum.sessions
	out.Network.Received = transport.Traffic{Packets: net.PacketsReceived, Bytes: net.BytesReceived}
	out.Network.Sent = transport.Traffic{Packets: net.PacketsSent, Bytes: net.BytesSent}
	out.Network.Lost, out.Queued = net.PacketsLost, net.QueueDepth
	audio, video := &sum.tracks[0], &sum.tracks[1]
	out.Received = Traffic{
		Audio: transport.Traffic{Packets: audio.received, Bytes: audio.bytes},
		Video: transport.Traffic{Packets: video.received, Bytes: video.bytes},
		RTCP:  m.rtcpIn.load(), Control: m.controlIn.load(),
	}
	again := net.SentRTP[classRTCP]
	out.Sent = Traffic{
		Audio: net.SentRTP[classAudio],
		Video: transport.Traffic{Packets: net.SentRTP[classVideo].Packets + again.Packets, Bytes: net.SentRTP[classVideo].Bytes + again.Bytes},
		RTCP:  net.SentRTCP, Control: m.controlOut.load(),
	}
	out.JitterBuffers = sum.mixed
	out.Drops = s.drops(&sum)
}

// drops makes the list of drops.
func (s *Server) drops(sum *past) (list []Drop) {
	add := func(queue, kind, reason string, n uint64) { list = append(list, Drop{queue, kind, reason, n}) }
	net := &sum.sessions
	for class, kind := range [transport.NumClasses]string{"audio", "rtcp", "video"} {
		for r := transport.DropQueueFull; r <= transport.DropClosed; r++ {
			add("send", kind, r.String(), net.SendDrops[class][r])
		}
	}
	for r := transport.DropMalformed; r <= transport.DropUnknownFlow; r++ {
		add("receive", "", r.String(), net.Dropped[r])
	}
	for i, kind := range [2]string{"audio", "video"} {
		add("track", kind, "refused", sum.tracks[i].refused)
		add("track", kind, "hook", sum.tracks[i].hooked)
	}
	add("track", "audio", "not chosen", sum.tracks[0].unheard)
	add("rtcp", "rtcp", "too many", s.meters.rtcpLimited.Load())
	add("rtcp", "rtcp", "malformed", s.meters.rtcpBad.Load())
	add("mix", "audio", "late", sum.mixed.Late)
	add("mix", "audio", "duplicate", sum.mixed.Duplicate)
	add("mix", "audio", "discarded", sum.mixed.Discarded)
	add("mix", "audio", "undecodable", sum.mixed.DecodeErrors)
	add("mix", "audio", "not Opus", sum.notOpus)
	add("world", "audio", "queue full", sum.worlds.full)
	add("world", "audio", "too large", sum.worlds.tooLarge)
	add("path", "audio", "queue full", sum.worlds.behind)
	add("path", "audio", "not changed", sum.worlds.unchanged)
	add("events", "", "queue full", s.DroppedEvents())
	roq := &sum.roq
	add("roq", "", "no flow", roq.unsent)
	add("roq", "", "wrong payload type", roq.wrongType)
	add("roq", "", "other SSRC", roq.otherSSRC)
	add("roq", "", "malformed", roq.malformed)
	add("roq", "", "too large", roq.tooLarge)
	add("roq", "", "late", roq.late)
	add("roq", "", "unwanted", roq.unwanted)
	add("roq", "rtcp", "too many", roq.feedbackDropped)
	return list
}
