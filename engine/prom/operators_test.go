package prom

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/internal/video"
	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// wanted is what operators of other engines asked for, line by line: each of
// these is exported, and moves when people talk. A name ends in its labels'
// values, in the order of their names.
var wanted = map[string][]string{
	"rooms":                           {"earshot_rooms forward", "earshot_rooms mix", "earshot_rooms world", "earshot_worlds", "earshot_calls"},
	"users":                           {"earshot_users", "earshot_devices", "earshot_connections", "earshot_participants", "earshot_world_players connected", "earshot_world_players absent"},
	"tracks":                          {"earshot_tracks audio", "earshot_tracks video", "earshot_world_tracks", "earshot_world_talkers", "earshot_world_voices"},
	"packets by kind and direction":   {"earshot_packets_total received audio", "earshot_packets_total sent audio", "earshot_packets_total received video", "earshot_packets_total sent video", "earshot_packets_total received rtcp", "earshot_packets_total sent rtcp", "earshot_packets_total received control", "earshot_packets_total sent control"},
	"bytes likewise":                  {"earshot_bytes_total received audio", "earshot_bytes_total sent audio", "earshot_bytes_total received video", "earshot_bytes_total sent video", "earshot_bytes_total received rtcp", "earshot_bytes_total sent rtcp", "earshot_bytes_total received control", "earshot_bytes_total sent control"},
	"the network's packets":           {"earshot_network_packets_total received", "earshot_network_packets_total sent", "earshot_network_bytes_total received", "earshot_network_bytes_total sent", "earshot_network_lost_packets_total"},
	"packets of worlds":               {"earshot_world_packets_total", "earshot_world_batches_total", "earshot_world_workings_total"},
	"drops by queue and reason":       {"earshot_drops_total audio track hook"},
	"jitter, loss and RTT histograms": {"earshot_jitter_seconds", "earshot_loss_ratio received", "earshot_loss_ratio sent", "earshot_rtt_seconds"},
	"mix tick time and lateness":      {"earshot_mix_tick_seconds", "earshot_mix_lateness_seconds", "earshot_mix_ticks_total", "earshot_mixes"},
	"the same of worlds":              {"earshot_world_tick_seconds", "earshot_world_lateness_seconds"},
	"encode and decode counts":        {"earshot_mix_encoded_frames_total", "earshot_mix_decoded_frames_total", "earshot_mix_packets_total", "earshot_world_decoded_packets_total", "earshot_world_encoded_packets_total"},
	"jitter buffers":                  {"earshot_jitter_buffer_packets_total played", "earshot_jitter_buffer_sound_seconds_total decoded"},
	"hook time":                       {"earshot_hook_seconds Packet deaf", "earshot_hook_seconds Processor robot", "earshot_hook_seconds MayCall door", "earshot_hook_seconds Observe loud", "earshot_hook_seconds Score world", "earshot_hook_seconds SignIn server"},
	"hook panics":                     {"earshot_hook_panics_total Observe loud", "earshot_hook_panics_total Score world", "earshot_hook_failures_total MayCall door", "earshot_hook_take_offs_total Score world"},
	"sign-ins and calls":              {"earshot_sign_ins_total", "earshot_refusals_total usersig_check_failed", "earshot_calls_started_total"},
}

// alsoThere need not move in a minute, but have to be exported.
var alsoThere = []string{
	"earshot_drops_total audio send queue_full", "earshot_drops_total audio send expired", "earshot_drops_total audio send too_large",
	"earshot_drops_total rtcp send queue_full", "earshot_drops_total video send queue_full", "earshot_drops_total  receive malformed", "earshot_drops_total  receive unknown_flow",
	"earshot_drops_total audio track refused", "earshot_drops_total audio track not_chosen", "earshot_drops_total video track hook",
	"earshot_drops_total rtcp rtcp too_many", "earshot_drops_total audio mix late", "earshot_drops_total  events queue_full",
	"earshot_drops_total audio world queue_full", "earshot_drops_total audio world too_large", "earshot_drops_total audio path queue_full", "earshot_drops_total audio path not_changed", "earshot_drops_total  roq no_flow",
	"earshot_queued_packets audio", "earshot_queued_packets video", "earshot_hook_running Packet deaf", "earshot_hook_late_total Packet deaf",
	"earshot_jitter_buffer_packets_total late", "earshot_jitter_buffer_packets_total undecodable", "earshot_jitter_buffer_lost_packets_total", "earshot_jitter_buffer_recovered_packets_total", "earshot_jitter_buffer_reordered_packets_total",
	"earshot_mix_late_ticks_total", "earshot_mix_skipped_ticks_total", "earshot_resumes_total", "earshot_calls_ended_total hangup",
}

// gathered are the values of all series; of a histogram, how much was observed.
func gathered(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	must(t, err)
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label { // sorted by name
				name += " " + l.GetValue()
			}
			switch {
			case m.Counter != nil:
				got[name] = m.Counter.GetValue()
			case m.Gauge != nil:
				got[name] = m.Gauge.GetValue()
			case m.Histogram != nil:
				got[name] = float64(m.Histogram.GetSampleCount())
			}
		}
	}
	return got
}

// guest accepts whoever calls.
type guest struct {
	hooks.NopListener
	client *engine.Client
	callID chan string
}

func (g *guest) OnInvited(hooks.Invitation)   { g.client.Accept(context.Background()) }
func (g *guest) OnCallBegin(c hooks.CallInfo) { g.callID <- c.CallID }

func TestWhatOperatorsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New(simnet.Config{Link: simnet.Link{Delay: 20 * time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 0.03}})
		defer network.Close()
		at, err := network.Endpoint("10.0.0.1:4433")
		must(t, err)
		packets := 0
		srv, err := engine.NewServer(engine.ServerConfig{
			Conn: at, SDKAppID: app, Key: key, Codec: libopus.Driver{},
			Plugins: []hooks.Plugin{
				{Name: "door", MayCall: func(_ context.Context, r hooks.CallRequest) error {
					if slices.Contains(r.Callees, "nobody") {
						return errors.New("no")
					}
					return nil
				}},
				{Name: "robot", Processor: func(tr hooks.TrackInfo) hooks.PCMHook {
					if tr.UserID != "gina" {
						return nil
					}
					return func([]int16) {}
				}},
				{Name: "loud", Observe: func(hooks.Event) { panic("oh") }},
				{Name: "deaf", Packet: func(tr hooks.TrackInfo) hooks.PacketHook {
					if tr.UserID != "alice" || tr.Video {
						return nil
					}
					return func([]byte) bool { packets++; return packets%10 != 0 }
				}},
			},
		})
		must(t, err)
		must(t, srv.Listen())
		served := make(chan struct{})
		go func() { srv.Serve(); close(served) }()
		defer func() { srv.Close(); <-served }()
		reg := prometheus.NewPedanticRegistry()
		must(t, reg.Register(NewCollector(srv)))
		before := gathered(t, reg)

		pin, port := srv.Pins()[0], 0
		sign := func(key, user string) string {
			sig, err := usersig.Sign(key, usersig.Claims{SDKAppID: app, UserID: user, Issued: time.Now(), Lifetime: time.Hour})
			must(t, err)
			return sig
		}
		dial := func(user, sig, voice string) (*guest, error) {
			port++
			own := 5000 + port
			a := &guest{callID: make(chan string, 1)}
			cfg := engine.ClientConfig{
				Addr: "10.0.0.1:4433", SDKAppID: app, UserID: user, UserSig: sig, Codec: pionopus.Driver{}, Listener: a,
				Dialer: &transport.QUICDialer{Pin: pin[:], Conn: func() (net.PacketConn, error) {
					own += 1000
					return network.Endpoint("10.0.1.1:" + strconv.Itoa(own))
				}},
			}
			if voice != "" {
				cfg.OpusMicrophone = audio.NewPacketSource(speech.Packets(voice), true)
			}
			var err error
			a.client, err = engine.Dial(t.Context(), cfg)
			if err == nil {
				t.Cleanup(func() { a.client.Destroy(); <-a.client.Done() })
			}
			return a, err
		}
		come := func(user, voice string) *guest {
			a, err := dial(user, sign(key, user), voice)
			must(t, err)
			return a
		}
		if _, err := dial("mallory", sign("another key", "mallory"), ""); err == nil {
			t.Error("mallory is in")
		}
		// A video call that is forwarded, and one that is mixed.
		alice, bob := come("alice", "alice"), come("bob", "bob")
		must(t, alice.client.Call(t.Context(), "bob", hooks.MediaVideo))
		carol, _ := come("carol", "carol"), come("dave", "alice")
		must(t, carol.client.Call(t.Context(), "dave", hooks.MediaAudio))
		must(t, srv.SetRoomMode(<-carol.callID, hooks.ModeMix))
		if err := come("iris", "").client.Call(t.Context(), "nobody", hooks.MediaAudio); err == nil {
			t.Error("iris calls nobody")
		}
		<-bob.callID
		must(t, alice.client.OpenCamera(t.Context(), &video.Synthetic{}))
		time.Sleep(time.Second) // virtual
		must(t, bob.client.StartRemoteView(t.Context(), "alice", new(video.Sink)))
		// A world with a Score that panics, and one player who never comes.
		w, err := srv.NewWorld(engine.WorldConfig{Voices: 1, Score: func(engine.Candidate) float32 { panic("oh") }})
		must(t, err)
		_, err = w.Join(engine.Player{UserID: "erin"}, engine.Player{UserID: "fred"}, engine.Player{UserID: "gina"}, engine.Player{UserID: "hans"})
		must(t, err)
		come("erin", "")
		come("fred", "alice")
		come("gina", "bob")
		time.Sleep(10 * time.Second) // virtual
		after := gathered(t, reg)

		for what, names := range wanted {
			for _, name := range names {
				was, is := before[name], after[name]
				if _, there := after[name]; !there {
					t.Errorf("%s: %s is not exported", what, name)
				} else if !(is > was) {
					t.Errorf("%s: %s stays at %v", what, name, is)
				}
			}
		}
		for _, name := range alsoThere {
			if _, there := after[name]; !there {
				t.Errorf("%s is not exported", name)
			}
		}
		for name := range after { // nothing that users choose is a label
			for _, user := range []string{"alice", "bob", "carol", "erin", "gina", w.ID()} {
				if strings.Contains(name, " "+user) {
					t.Errorf("%s is a series of its own", name)
				}
			}
		}
	})
}
