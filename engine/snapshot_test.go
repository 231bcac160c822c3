package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"regexp"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// counters lists all numbers of a snapshot that only grow, by their names.
func counters(s engine.Snapshot) map[string]uint64 {
	out := make(map[string]uint64)
	var walk func(name string, v reflect.Value)
	walk = func(name string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Uint64:
			out[name] = v.Uint()
		case reflect.Struct:
			for i := range v.NumField() {
				walk(name+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				walk(fmt.Sprintf("%s[%v]", name, k), v.MapIndex(k))
			}
		case reflect.Slice, reflect.Array:
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", name, i), v.Index(i))
			}
		}
	}
	walk("", reflect.ValueOf(s))
	return out
}

// dropped is one number of the list of drops.
func dropped(t *testing.T, s engine.Snapshot, queue, kind, reason string) uint64 {
	t.Helper()
	for _, d := range s.Drops {
		if d.Queue == queue && d.Kind == kind && d.Reason == reason {
			return d.Count
		}
	}
	t.Errorf("there is no %s %s %s among the drops", queue, kind, reason)
	return 0
}

// A call from its beginning to after its end, number by number; what has ended
// stays counted.
func TestSnapshotOfACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, func(c *engine.ServerConfig) { c.ReconnectWindow = time.Second })
		var last engine.Snapshot
		look := func() engine.Snapshot {
			synctest.Wait()
			s := srv.Snapshot()
			before, now := counters(last), counters(s)
			for name, n := range before {
				if now[name] < n {
					t.Errorf("%s fell from %d to %d", name, n, now[name])
				}
			}
			last = s
			return s
		}
		if s := look(); s.Users != 0 || s.Received.Control.Packets != 0 || len(s.Drops) == 0 || len(s.Hooks) != 1 {
			t.Errorf("at the beginning: %+v", s)
		}
		stranger := rawDial(t, srv)
		stranger.send(signal.TypeSignIn, 0, signal.SignIn{Version: 1, SDKAppID: testApp, UserID: "mallory", UserSig: "guess"})
		synctest.Wait()
		alice, track, bob := talker(t, srv, "alice", "bob")
		s := look()
		if s.Users != 2 || s.Devices != 2 || s.Calls != 1 || s.Rooms[hooks.ModeForward] != 1 || s.Rooms[hooks.ModeMix] != 0 || s.Participants != 2 || s.AudioTracks != 1 || s.VideoTracks != 0 {
			t.Errorf("in the call: %+v", s)
		}
		if s.SignIns != 2 || s.Refusals["malformed UserSig"] != 1 || s.CallsStarted != 1 || s.CallsEnded[hooks.EndHangup] != 0 {
			t.Errorf("let in %d, refused %v, %d calls", s.SignIns, s.Refusals, s.CallsStarted)
		}
		if h := s.Hooks[0]; h.Plugin != "server" || h.Hook != "SignIn" || h.Time.Count() != 3 || h.Failed != 1 || h.Running != 0 {
			t.Errorf("the sign-in decider: %+v", h)
		}
		const packets = 150
		for seq := range uint16(packets) {
			if seq%10 == 9 { // one in ten is lost on the way
				continue
			}
			p := rtpPacket(track, seq)
			p[4], p[5], p[6], p[7] = 0, byte(int(seq)*960>>16), byte(int(seq)*960>>8), byte(int(seq)*960)
			alice.sess.Send(transport.Packet{Flow: track.Flow, Payload: p})
			time.Sleep(20 * time.Millisecond)
		}
		alice.sess.Send(transport.Packet{Flow: track.Flow, Payload: []byte{0x80, 99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 1}})
		alice.sess.Send(transport.Packet{Flow: 63, Class: 1, Payload: []byte{0x80, 201, 0, 1, 0, 0, 0, 1}})
		alice.sess.Send(transport.Packet{Flow: 63, Class: 1, Payload: []byte{0x80, 201, 0, 9, 0, 0, 0, 1}})
		time.Sleep(5 * time.Second) // everything has been looked at
		s = look()
		want := transport.Traffic{Packets: packets * 9 / 10, Bytes: packets * 9 / 10 * 15}
		if s.Received.Audio != want || s.Sent.Audio != want || s.Sent.Video.Packets != 0 {
			t.Errorf("received %+v, sent %+v; want %v of audio", s.Received, s.Sent, want)
		}
		if s.Received.RTCP != (transport.Traffic{Packets: 1, Bytes: 8}) || dropped(t, s, "rtcp", "rtcp", "malformed") != 1 {
			t.Errorf("RTCP: %+v", s.Received.RTCP)
		}
		if n := dropped(t, s, "track", "audio", "refused"); n != 1 {
			t.Errorf("%d packets were refused", n)
		}
		if n := s.Jitter.Count(); n < 1 || s.Jitter.Sum > 0.002*float64(n) {
			t.Errorf("jitter %+v", s.Jitter)
		}
		if n := s.LossUp.Count(); n < 1 || s.LossUp.Sum < 0.08 || s.LossUp.Sum > 0.12*float64(n) {
			t.Errorf("loss %+v, want a tenth", s.LossUp)
		}
		if s.Received.Control.Packets < 5 || s.Sent.Control.Bytes < 500 {
			t.Errorf("control: %+v, %+v", s.Received.Control, s.Sent.Control)
		}
		alice.send(signal.TypeHangup, 3, signal.CallRef{CallID: track.CallID})
		bob.wait(t, "end")
		must(t, bob.client.Destroy())
		alice.sess.Close()
		stranger.sess.Close()
		time.Sleep(10 * time.Second)
		s = look()
		if s.Users != 0 || s.Devices != 0 || s.Connections != 0 || s.Calls != 0 || s.Rooms[hooks.ModeForward] != 0 || s.Participants != 0 || s.AudioTracks != 0 {
			t.Errorf("after the end: %+v", s)
		}
		if s.Received.Audio != want || s.Sent.Audio != want || s.CallsEnded[hooks.EndHangup] != 1 {
			t.Errorf("after the end: received %+v, sent %+v, calls ended %v", s.Received, s.Sent, s.CallsEnded)
		}
	})
}

// A mix, its ticks and jitter buffers, also when nobody mixes any longer.
func TestSnapshotOfAMix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gatherCrowd(t, nil, nil, "alice", "u1", "u2")
		w.hears("u1", 3*time.Second)
		synctest.Wait() // a tick may be due at this very moment
		s := w.srv.Snapshot()
		if s.Rooms[hooks.ModeMix] != 1 || s.Mix.Rooms != 1 || s.Mix.Encoded < 100 || s.Mix.Decoded < 100 {
			t.Errorf("rooms %v, mix %+v", s.Rooms, s.Mix)
		}
		if n := s.TickTime.Count(); n != s.Mix.Ticks || s.TickLateness.Count() != n || n < 140 {
			t.Errorf("%d ticks, the time of %d and the lateness of %d", s.Mix.Ticks, n, s.TickLateness.Count())
		}
		if j := s.JitterBuffers; j.Received < 100 || j.Played < j.Received*9/10 || j.DecodedSamples == 0 {
			t.Errorf("jitter buffers: %+v", j)
		}
		must(t, w.srv.SetRoomMode(w.callID, hooks.ModeForward))
		synctest.Wait()
		after := w.srv.Snapshot()
		if after.Mix.Rooms != 0 || after.Rooms[hooks.ModeForward] != 1 || after.JitterBuffers.Played < s.JitterBuffers.Played || after.Mix.Encoded < s.Mix.Encoded {
			t.Errorf("without a mix: rooms %v, mix %+v, jitter buffers %+v", after.Rooms, after.Mix, after.JitterBuffers)
		}
	})
}

// Why somebody was not let in.
func TestSnapshotOfRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *engine.ServerConfig) { c.MaxPending, c.MaxPendingPerAddr = 5, 3 })
		for _, ip := range []string{"10.1.1.1", "10.1.1.1", "10.1.1.1", "10.1.1.1", "10.1.1.2", "10.1.1.3", "10.1.1.4"} {
			_, err := w.from(t, ip)
			must(t, err)
			synctest.Wait()
		}
		time.Sleep(10 * time.Second)
		r := w.srv.Snapshot().Refusals
		for reason, n := range map[string]uint64{
			"too many pending": 1, "too many pending from address": 1, "no sign-in in time": 5, "malformed message": 0, "refused by the host": 0,
		} {
			if got, there := r[reason]; got != n || !there {
				t.Errorf("%s: %d, want %d", reason, got, n)
			}
		}
	})
}

// rawParty is some raw users in one group call, who all publish a voice.
type rawParty struct {
	srv    *engine.Server
	raw    map[string]*raw
	tracks map[string]*signal.Track
	callID string
}

// gatherRaw makes a party; heard is called with each voice packet that the last
// of the users gets.
func gatherRaw(t *testing.T, srv *engine.Server, heard func(from string, packet []byte), users ...string) *rawParty {
	t.Helper()
	p := &rawParty{srv: srv, raw: map[string]*raw{}, tracks: map[string]*signal.Track{}}
	for _, u := range users {
		p.raw[u] = rawDial(t, srv)
		p.raw[u].signIn(u)
	}
	p.raw[users[0]].send(signal.TypeCall, 1, signal.Call{UserIDs: users[1:], IsGroup: true, Media: hooks.MediaAudio})
	last := p.raw[users[len(users)-1]]
	took := func(m signal.Message, body any) {
		if tr, ok := body.(*signal.Track); ok && m.Type == signal.TypeTrackAdded {
			last.sess.HandleFlow(tr.Flow, func(packet []byte, _ time.Time) { heard(tr.UserID, packet) })
		}
	}
	read := func(r *raw, typ signal.Type) any {
		for {
			m, b := r.next()
			if r == last {
				took(m, b)
			}
			if m.Type == typ {
				return b
			}
		}
	}
	for i, u := range users {
		r := p.raw[u]
		if i == 0 {
			p.callID = read(r, signal.TypeResult).(*signal.Result).CallID
		} else {
			read(r, signal.TypeInvited)
			r.send(signal.TypeAccept, 1, signal.Enter{CallID: p.callID})
			read(r, signal.TypeResult)
		}
		r.send(signal.TypePublish, 2, signal.Publish{CallID: p.callID, Kind: signal.KindAudio})
		p.tracks[u] = read(r, signal.TypeResult).(*signal.Result).Track
	}
	for _, r := range p.raw {
		go func() {
			for {
				m, err := r.in.Read()
				if err != nil {
					return
				}
				if body, err := m.Body(); err == nil && r == last {
					took(m, body)
				}
			}
		}()
	}
	return p
}

// hookStats finds the figures of a hook.
func hookStats(s engine.Snapshot, plugin, hook string) engine.HookStats {
	for _, h := range s.Hooks {
		if h.Plugin == plugin && h.Hook == hook {
			return h
		}
	}
	return engine.HookStats{}
}

// Hooks that sleep, hang, panic or leave goroutines behind, on alice's voice,
// are named in the metrics, and bob's voice comes to carol when it always does:
// at once where the room forwards, and with a tick that is at most 1 ms later,
// once, where it mixes.
func TestBadHooksDisturbNobodyElse(t *testing.T) {
	type run struct {
		latest time.Duration // of a packet to carol, after it was due
		late   int           // packets that were later than without
		got    int
		snap   engine.Snapshot
		leaked int
	}
	const frames = 120
	opus := encodedTone(t)
	for _, mode := range []hooks.RoomMode{hooks.ModeForward, hooks.ModeMix} {
		for _, c := range []struct {
			name   string
			hook   func(n int, end chan struct{})
			check  func(h engine.HookStats) bool
			leaked int
		}{
			{"good", func(int, chan struct{}) {}, func(h engine.HookStats) bool {
				return h.Late == 0 && h.TakenOff == 0 && h.Panics == 0 && h.Running == 0 && h.Time.Count() > frames/2
			}, 0},
			{"sleeps", func(int, chan struct{}) { time.Sleep(5 * time.Millisecond) }, func(h engine.HookStats) bool {
				return h.Late == 25 && h.TakenOff == 1 && h.Running == 0
			}, 0},
			{"sleeps long", func(int, chan struct{}) { time.Sleep(900 * time.Millisecond) }, func(h engine.HookStats) bool {
				return h.Late > 0 && h.Running <= 1
			}, 0},
			{"hangs", func(_ int, end chan struct{}) { <-end }, func(h engine.HookStats) bool { return h.Running == 1 }, 1},
			{"panics", func(int, chan struct{}) { panic("oh") }, func(h engine.HookStats) bool { return h.Panics == 3 && h.TakenOff == 1 }, 0},
			{"leaks", func(_ int, end chan struct{}) { go func() { <-end }() }, func(h engine.HookStats) bool {
				return h.Time.Count() > frames/2
			}, frames / 2},
		} {
			t.Run(fmt.Sprintf("%s/%s", mode, c.name), func(t *testing.T) {
				var r run
				end := make(chan struct{})
				hook := "Packet"
				synctest.Test(t, func(t *testing.T) {
					end = make(chan struct{}) // of this bubble
					calls := 0
					p := hooks.Plugin{Name: c.name}
					if mode == hooks.ModeForward {
						p.Packet = func(tr hooks.TrackInfo) hooks.PacketHook {
							if tr.UserID != "alice" {
								return nil
							}
							return func([]byte) bool { calls++; c.hook(calls, end); return true }
						}
					} else {
						hook = "Processor"
						p.Processor = func(tr hooks.TrackInfo) hooks.PCMHook {
							if tr.UserID != "alice" {
								return nil
							}
							return func([]int16) { calls++; c.hook(calls, end) }
						}
					}
					srv := serve(t, func(cfg *engine.ServerConfig) {
						cfg.Plugins, cfg.Mode, cfg.Codec = []hooks.Plugin{p}, mode, libopus.Driver{}
					})
					var mu sync.Mutex
					var sent time.Time
					var came []time.Duration // after bob's packet was sent, or its place in 20 ms
					began := time.Now()
					w := gatherRaw(t, srv, func(from string, packet []byte) {
						mu.Lock()
						defer mu.Unlock()
						if mode == hooks.ModeMix {
							came = append(came, time.Since(began)%(20*time.Millisecond))
						} else if from == "bob" {
							came = append(came, time.Since(sent))
						}
					}, "alice", "bob", "carol")
					for seq := range uint16(frames) {
						mu.Lock()
						sent = time.Now()
						mu.Unlock()
						for _, u := range []string{"alice", "bob"} {
							tr := w.tracks[u]
							w.raw[u].sess.Send(transport.Packet{Flow: tr.Flow, Payload: append(voiceHeader(tr, seq), opus...)})
						}
						time.Sleep(20 * time.Millisecond)
					}
					synctest.Wait()
					mu.Lock()
					r.got = len(came)
					if mode == hooks.ModeMix { // most come with the tick
						due := slices.Sorted(slices.Values(came))[len(came)/2]
						for i := range came {
							came[i] -= due
						}
					}
					for _, late := range came {
						r.latest = max(r.latest, late, -late)
						if late != 0 {
							r.late++
						}
					}
					r.snap = srv.Snapshot()
					mu.Unlock()
					var profile bytes.Buffer
					must(t, pprof.Lookup("goroutine").WriteTo(&profile, 1))
					r.leaked = labelledGoroutines(profile.String(), c.name, hook, w.callID)
					close(end)
					w.raw["alice"].sess.Close()
					time.Sleep(time.Minute) // virtual: whoever sleeps comes back
				})
				want, lates := frames, 0
				if mode == hooks.ModeMix {
					want, lates = frames*9/10, 1
				}
				if c.name == "sleeps long" {
					lates *= 5 // once after each time that it was away
				}
				if r.got < want || r.late > lates || r.latest > time.Millisecond {
					t.Errorf("carol got %d packets, %d of them late, by %v at most", r.got, r.late, r.latest)
				}
				if h := hookStats(r.snap, c.name, hook); !c.check(h) {
					t.Errorf("the metrics say %+v", h)
				}
				if r.leaked < c.leaked {
					t.Errorf("%d goroutines are labelled as the plugin's in the profile, want %d", r.leaked, c.leaked)
				}
			})
		}
	}
}

var labelledStack = regexp.MustCompile(`(?m)^(\d+) @ .*\n# labels: (.*)$`)

// labelledGoroutines is how many goroutines of a profile carry the labels of a
// hook, at work in a call's room.
func labelledGoroutines(profile, plugin, hook, call string) (n int) {
	for _, m := range labelledStack.FindAllStringSubmatch(profile, -1) {
		all := true
		for k, v := range map[string]string{engine.LabelPlugin: plugin, engine.LabelHook: hook, engine.LabelCall: call} {
			all = all && strings.Contains(m[2], fmt.Sprintf("%q:%q", k, v))
		}
		if all {
			of, _ := strconv.Atoi(m[1])
			n += of
		}
	}
	return n
}

// voiceHeader is an RTP header of 20 ms of a voice.
func voiceHeader(tr *signal.Track, seq uint16) []byte {
	p := rtpPacket(tr, seq)[:12]
	ts := uint32(seq) * 960
	p[4], p[5], p[6], p[7] = byte(ts>>24), byte(ts>>16), byte(ts>>8), byte(ts)
	return p
}

// encodedTone is 20 ms of a tone as Opus.
func encodedTone(t *testing.T) []byte {
	t.Helper()
	enc, err := (libopus.Driver{}).NewEncoder(codec.EncoderConfig{})
	must(t, err)
	pcm := make([]int16, 960)
	for i := range pcm {
		pcm[i] = int16(8000 * (i%96 - 48) / 48)
	}
	out := make([]byte, 1000)
	n, err := enc.Encode(pcm, out)
	must(t, err)
	return out[:n]
}

// A snapshot may be taken from anywhere: from deciders, observers, media hooks and
// callbacks.
func TestSnapshotFromHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var srv *engine.Server
		var mu sync.Mutex
		from := make(map[string]int)
		take := func(where string) {
			srv.Snapshot()
			mu.Lock()
			from[where]++
			mu.Unlock()
		}
		p := hooks.Plugin{
			MayCall: func(context.Context, hooks.CallRequest) error { take("MayCall"); return nil },
			Observe: func(hooks.Event) { take("Observe") },
			Volumes: func(hooks.RoomVolumes) { take("Volumes") },
			Packet: func(hooks.TrackInfo) hooks.PacketHook {
				take("binding")
				return func([]byte) bool { take("Packet"); return true }
			},
			Processor: func(hooks.TrackInfo) hooks.PCMHook { return func([]int16) { take("Processor") } },
		}
		srv = serve(t, func(c *engine.ServerConfig) {
			c.Plugins, c.Mode, c.Codec = []hooks.Plugin{p}, hooks.ModeMix, libopus.Driver{}
			signIn := engine.UserSigSignIn(testApp, testKey)
			c.SignIn = func(ctx context.Context, req hooks.SignInRequest) (hooks.SignIn, error) {
				take("SignIn")
				return signIn(ctx, req)
			}
		})
		r, track, bob := talker(t, srv, "alice", "bob")
		bob.on = func(string) { take("a callback") }
		for seq := range uint16(50) {
			r.sess.Send(transport.Packet{Flow: track.Flow, Payload: append(voiceHeader(track, seq), 0xF8, 0xFF, 0xFE)})
			time.Sleep(20 * time.Millisecond)
		}
		r.send(signal.TypeHangup, 3, signal.CallRef{CallID: track.CallID})
		bob.wait(t, "end")
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for _, where := range []string{"SignIn", "MayCall", "Observe", "Volumes", "binding", "Packet", "Processor", "a callback"} {
			if from[where] == 0 {
				t.Errorf("none was taken in %s", where)
			}
		}
	})
}

// The goroutine that mixes for a room, and the one that takes a packet for it, say
// so in profiles, and no longer than they do, but for a session's reader, which
// waits for the next packet.
func TestRoomsAreLabelledInProfiles(t *testing.T) {
	for _, mode := range []hooks.RoomMode{hooks.ModeForward, hooks.ModeMix} {
		t.Run(string(mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var during string
				look := func() string {
					var b bytes.Buffer
					if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
						t.Error(err)
					}
					return b.String()
				}
				take := func() {
					mu.Lock()
					defer mu.Unlock()
					during = look()
				}
				var p hooks.Plugin
				if mode == hooks.ModeForward {
					p.Packet = func(hooks.TrackInfo) hooks.PacketHook { return func([]byte) bool { take(); return true } }
				} else {
					p.Processor = func(hooks.TrackInfo) hooks.PCMHook { return func([]int16) { take() } }
				}
				srv := serve(t, func(c *engine.ServerConfig) {
					c.Plugins, c.Mode, c.Codec = []hooks.Plugin{p}, mode, libopus.Driver{}
				})
				r, track, _ := talker(t, srv, "alice", "bob")
				for seq := range uint16(10) {
					r.sess.Send(transport.Packet{Flow: track.Flow, Payload: append(voiceHeader(track, seq), 0xF8, 0xFF, 0xFE)})
					time.Sleep(20 * time.Millisecond)
				}
				time.Sleep(time.Second)
				mu.Lock()
				defer mu.Unlock()
				working := 0
				for _, m := range labelledStack.FindAllStringSubmatch(during, -1) {
					if strings.Contains(m[2], fmt.Sprintf("%q:%q", engine.LabelCall, track.CallID)) && strings.Contains(m[2], fmt.Sprintf("%q:%q", engine.LabelMode, mode)) {
						working++
					}
				}
				want := 1 // the session's reader, in the hook
				if mode == hooks.ModeMix {
					want = 3 // it waits; the tick, and the hook apart
				}
				if working != want {
					t.Errorf("%d goroutines are labelled with the room, want %d:\n%s", working, want, during)
				}
				for _, stack := range strings.Split(look(), "\n\n") {
					if strings.Contains(stack, track.CallID) && !strings.Contains(stack, "readDatagrams") {
						t.Errorf("a goroutine is still labelled:\n%s", stack)
					}
				}
			})
		})
	}
}
