// Package prom gives what a server counts to Prometheus: a collector over
// engine.Server.Snapshot. It is a leaf, so that who does not import it does not
// build Prometheus's client.
//
//	reg := prometheus.NewRegistry()
//	reg.MustRegister(prom.NewCollector(srv))
//	http.Handle("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
//
// All names begin with earshot_; times are in seconds, sizes in bytes, and what
// only grows ends in _total and begins again with the server. No label is made of
// what users choose: plugin is hooks.Plugin.Name. A program with several servers
// registers each with prometheus.WrapRegistererWith and a label of its own.
// dashboard.json beside this file is a Grafana dashboard of them all.
package prom

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/transport"
)

// A Collector is a prometheus.Collector of one server. Its methods may be called
// from any goroutine. Each collection takes one Snapshot.
type Collector struct{ srv *engine.Server }

// NewCollector returns the collector of a server, which may not be serving yet, or
// no more.
func NewCollector(srv *engine.Server) *Collector { return &Collector{srv} }

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range metrics {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	s := c.srv.Snapshot()
	for i := range s.Hooks { // a label must be UTF-8
		s.Hooks[i].Plugin = strings.ToValidUTF8(s.Hooks[i].Plugin, "\uFFFD")
	}
	for _, m := range metrics {
		m.collect(&s, &sink{ch, m})
	}
}

// A metric is one name, and how it is read from a snapshot.
type metric struct {
	desc    *prometheus.Desc
	typ     prometheus.ValueType
	collect func(*engine.Snapshot, *sink)
}

// A sink takes the values of one metric.
type sink struct {
	ch chan<- prometheus.Metric
	m  metric
}

func (s *sink) value(v float64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(s.m.desc, s.m.typ, v, labels...)
}

func (s *sink) count(n uint64, labels ...string) { s.value(float64(n), labels...) }

func (s *sink) histogram(h engine.Histogram, labels ...string) {
	buckets := make(map[float64]uint64, len(h.Bounds)) // cumulative, as Prometheus has them
	var n uint64
	for i, bound := range h.Bounds {
		n += h.Counts[i]
		buckets[bound] = n
	}
	s.ch <- prometheus.MustNewConstHistogram(s.m.desc, h.Count(), h.Sum, buckets, labels...)
}

// label turns the engine's words into a label's value.
func label(words string) string { return strings.ReplaceAll(strings.ToLower(words), " ", "_") }

func describe(name, help string, labels []string) *prometheus.Desc {
	return prometheus.NewDesc("earshot_"+name, help, labels, nil)
}

func gauge(name, help string, collect func(*engine.Snapshot, *sink), labels ...string) metric {
	return metric{describe(name, help, labels), prometheus.GaugeValue, collect}
}

func counter(name, help string, collect func(*engine.Snapshot, *sink), labels ...string) metric {
	return metric{describe(name+"_total", help, labels), prometheus.CounterValue, collect}
}

func histogram(name, help string, collect func(*engine.Snapshot, *sink), labels ...string) metric {
	return metric{describe(name, help, labels), prometheus.UntypedValue, collect}
}

// traffic reads packets or bytes by kind and direction.
func traffic(of func(transport.Traffic) uint64) func(*engine.Snapshot, *sink) {
	return func(s *engine.Snapshot, to *sink) {
		for direction, t := range map[string]engine.Traffic{"received": s.Received, "sent": s.Sent} {
			to.count(of(t.Audio), "audio", direction)
			to.count(of(t.Video), "video", direction)
			to.count(of(t.RTCP), "rtcp", direction)
			to.count(of(t.Control), "control", direction)
		}
	}
}

// network reads QUIC's packets or bytes.
func network(of func(transport.Traffic) uint64) func(*engine.Snapshot, *sink) {
	return func(s *engine.Snapshot, to *sink) {
		to.count(of(s.Network.Received), "received")
		to.count(of(s.Network.Sent), "sent")
	}
}

func packets(t transport.Traffic) uint64 { return t.Packets }
func bytes(t transport.Traffic) uint64   { return t.Bytes }

// hooked reads a number of each hook.
func hooked(of func(*engine.HookStats) float64) func(*engine.Snapshot, *sink) {
	return func(s *engine.Snapshot, to *sink) {
		for i := range s.Hooks {
			h := &s.Hooks[i]
			to.value(of(h), h.Plugin, h.Hook)
		}
	}
}

// plain reads one number.
func plain[N int | uint64](of func(*engine.Snapshot) N) func(*engine.Snapshot, *sink) {
	return func(s *engine.Snapshot, to *sink) { to.value(float64(of(s))) }
}

func seconds(samples uint64) float64 { return float64(samples) / codec.SampleRate }

// metrics are all of them, in the order of engine.Snapshot.
var metrics = []metric{
	gauge("users", "Users who are signed in.", plain(func(s *engine.Snapshot) int { return s.Users })),
	gauge("devices", "Devices that are signed in.", plain(func(s *engine.Snapshot) int { return s.Devices })),
	gauge("connections", "Connections, with those that have not signed in.", plain(func(s *engine.Snapshot) int { return s.Connections })),
	gauge("calls", "Calls, with those that ring.", plain(func(s *engine.Snapshot) int { return s.Calls })),
	gauge("rooms", "Rooms with somebody in them, by mode; worlds are of the mode world.", func(s *engine.Snapshot, to *sink) {
		for mode, n := range s.Rooms {
			to.value(float64(n), string(mode))
		}
	}, "mode"),
	gauge("participants", "Devices in a room.", plain(func(s *engine.Snapshot) int { return s.Participants })),
	gauge("tracks", "Tracks that are published.", func(s *engine.Snapshot, to *sink) {
		to.value(float64(s.AudioTracks), "audio")
		to.value(float64(s.VideoTracks), "video")
	}, "kind"),

	counter("sign_ins", "Sign-ins that were let in.", plain(func(s *engine.Snapshot) uint64 { return s.SignIns })),
	counter("resumes", "Connections that were resumed.", plain(func(s *engine.Snapshot) uint64 { return s.Resumes })),
	counter("refusals", "Connections that were not let in.", func(s *engine.Snapshot, to *sink) {
		for reason, n := range s.Refusals {
			to.count(n, label(reason))
		}
	}, "reason"),
	counter("calls_started", "Calls that were made.", plain(func(s *engine.Snapshot) uint64 { return s.CallsStarted })),
	counter("calls_ended", "Calls that have ended.", func(s *engine.Snapshot, to *sink) {
		for reason, n := range s.CallsEnded {
			to.count(n, label(reason.String()))
		}
	}, "reason"),

	counter("packets", "RTP and RTCP packets, and control messages, taken from clients and handed to the network.", traffic(packets), "kind", "direction"),
	counter("bytes", "Bytes of those packets, without what carries them.", traffic(bytes), "kind", "direction"),
	counter("network_packets", "QUIC packets.", network(packets), "direction"),
	counter("network_bytes", "Bytes of QUIC packets, without UDP and IP headers.", network(bytes), "direction"),
	counter("network_lost_packets", "QUIC packets to clients that were lost.", plain(func(s *engine.Snapshot) uint64 { return s.Network.Lost })),
	gauge("queued_packets", "Packets that wait to be sent; rtcp with video that is sent again.", func(s *engine.Snapshot, to *sink) {
		for class, kind := range []string{"audio", "rtcp", "video"} {
			to.value(float64(s.Queued[class]), kind)
		}
	}, "kind"),
	counter("drops", "Packets, and events for plugins, that were dropped.", func(s *engine.Snapshot, to *sink) {
		for _, d := range s.Drops {
			to.count(d.Count, d.Queue, d.Kind, label(d.Reason))
		}
	}, "queue", "kind", "reason"),

	histogram("rtt_seconds", "Round-trip time to clients, each looked at every 2 s.", func(s *engine.Snapshot, to *sink) { to.histogram(s.RTT) }),
	histogram("jitter_seconds", "Interarrival jitter of voices (RFC 3550), each looked at every 2 s.", func(s *engine.Snapshot, to *sink) { to.histogram(s.Jitter) }),
	histogram("loss_ratio", "Share of packets that got lost in 2 s, 0 to 1: a voice's to the server, the server's QUIC packets to a client.", func(s *engine.Snapshot, to *sink) {
		to.histogram(s.LossUp, "received")
		to.histogram(s.LossDown, "sent")
	}, "direction"),

	gauge("mixes", "Rooms that are mixed now.", plain(func(s *engine.Snapshot) int { return s.Mix.Rooms })),
	counter("mix_ticks", "Ticks of mixes that were done.", plain(func(s *engine.Snapshot) uint64 { return s.Mix.Ticks })),
	counter("mix_late_ticks", "Ticks that were done more than 10 ms after they were due.", plain(func(s *engine.Snapshot) uint64 { return s.Mix.Late })),
	counter("mix_skipped_ticks", "Ticks that were left out to catch up.", plain(func(s *engine.Snapshot) uint64 { return s.Mix.Skipped })),
	histogram("mix_tick_seconds", "How long the mixing of one frame of one room took.", func(s *engine.Snapshot, to *sink) { to.histogram(s.TickTime) }),
	histogram("mix_lateness_seconds", "How long after it was due a tick was done.", func(s *engine.Snapshot, to *sink) { to.histogram(s.TickLateness) }),
	counter("mix_decoded_frames", "Frames of talkers that were decoded, or made up.", plain(func(s *engine.Snapshot) uint64 { return s.Mix.Decoded })),
	counter("mix_encoded_frames", "Frames of mixes that were encoded.", plain(func(s *engine.Snapshot) uint64 { return s.Mix.Encoded })),
	counter("mix_packets", "Packets of mixes to receivers.", plain(func(s *engine.Snapshot) uint64 { return s.Mix.Packets })),
	counter("jitter_buffer_packets", "Packets of talkers in mixes: those that came, and what became of them.", func(s *engine.Snapshot, to *sink) {
		j := &s.JitterBuffers
		for outcome, n := range map[string]uint64{
			"received": j.Received, "played": j.Played, "lost": j.Lost, "reordered": j.Reordered, "recovered": j.FECRecovered,
		} {
			to.count(n, outcome)
		}
	}, "outcome"),
	counter("jitter_buffer_sound_seconds", "Sound of talkers in mixes: real, made up, and silence.", func(s *engine.Snapshot, to *sink) {
		j := &s.JitterBuffers
		to.value(seconds(j.DecodedSamples), "decoded")
		to.value(seconds(j.ConcealedSamples), "concealed")
		to.value(seconds(j.SilentSamples), "silent")
	}, "sound"),

	gauge("worlds", "Worlds of games, with those that nobody is in.", plain(func(s *engine.Snapshot) int { return s.Worlds.Open })),
	gauge("world_players", "Players in worlds: signed in, or waited for.", func(s *engine.Snapshot, to *sink) {
		to.value(float64(s.Worlds.Connected), "connected")
		to.value(float64(s.Worlds.Players-s.Worlds.Connected), "absent")
	}, "state"),
	gauge("world_talkers", "Players who talk now.", plain(func(s *engine.Snapshot) int { return s.Worlds.Talkers })),
	gauge("world_voices", "Voices that players hear now, each counted once for each who hears it.", plain(func(s *engine.Snapshot) int { return s.Worlds.Voices })),
	gauge("world_tracks", "Tracks that players have of others, with those that are silent now.", plain(func(s *engine.Snapshot) int { return s.Worlds.Announced })),
	counter("world_workings", "How often it was worked out who hears whom in a world.", plain(func(s *engine.Snapshot) uint64 { return s.Worlds.Ticks })),
	counter("world_packets", "Packets of players' voices to those who hear them.", plain(func(s *engine.Snapshot) uint64 { return s.Worlds.Packets })),
	counter("world_batches", "How often a player was handed packets, one or several at a time.", plain(func(s *engine.Snapshot) uint64 { return s.Worlds.Batches })),
	counter("world_decoded_packets", "Packets in worlds that were decoded for hooks on sound.", plain(func(s *engine.Snapshot) uint64 { return s.Worlds.Decoded })),
	counter("world_encoded_packets", "Packets in worlds that were encoded again.", plain(func(s *engine.Snapshot) uint64 { return s.Worlds.Encoded })),
	histogram("world_tick_seconds", "How long a tick of a world took.", func(s *engine.Snapshot, to *sink) { to.histogram(s.Worlds.TickTime) }),
	histogram("world_lateness_seconds", "How long after it was due a tick of a world was done.", func(s *engine.Snapshot, to *sink) { to.histogram(s.Worlds.TickLateness) }),

	histogram("hook_seconds", "How long calls of hooks took that have come back.", func(s *engine.Snapshot, to *sink) {
		for _, h := range s.Hooks {
			to.histogram(h.Time, h.Plugin, h.Hook)
		}
	}, "plugin", "hook"),
	gauge("hook_running", "Calls of hooks that have not come back.", hooked(func(h *engine.HookStats) float64 { return float64(h.Running) }), "plugin", "hook"),
	counter("hook_panics", "Calls of hooks that panicked.", hooked(func(h *engine.HookStats) float64 { return float64(h.Panics) }), "plugin", "hook"),
	counter("hook_late", "Calls of hooks that took longer than they may.", hooked(func(h *engine.HookStats) float64 { return float64(h.Late) }), "plugin", "hook"),
	counter("hook_failures", "Deciders that said no, or failed otherwise.", hooked(func(h *engine.HookStats) float64 { return float64(h.Failed) }), "plugin", "hook"),
	counter("hook_take_offs", "Tracks on which a media hook was taken off.", hooked(func(h *engine.HookStats) float64 { return float64(h.TakenOff) }), "plugin", "hook"),
}
