package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/bench/load"
	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/mixer/jitter"
	"github.com/earshotrtc/earshot/transport"
)

// BenchmarkHooks is what hooks cost: of a packet, from a talker to five receivers
// through a server in this process, without a socket, with none, one and ten packet
// hooks that change a byte. PacketHooks of ./engine is the engine's part alone, and
// Processors what hooks on a talker's sound cost.
func BenchmarkHooks(b *testing.B) {
	for _, c := range []struct {
		name string
		n    int
	}{{"absent", 0}, {"one", 1}, {"ten", 10}} {
		b.Run(c.name, func(b *testing.B) {
			send, got := roomOfSix(b, c.n)
			b.ReportAllocs()
			for b.Loop() {
				send()
				for range 5 {
					<-got
				}
			}
		})
	}
}

// roomOfSix is a call in a server of this process with n packet hooks. send sends a
// packet of one of them, and got tells of each that one of the others gets.
func roomOfSix(b *testing.B, n int) (send func(), got chan struct{}) {
	srv := newProcessServer(b, 6, func(cfg *engine.ServerConfig) {
		for i := range n {
			cfg.Plugins = append(cfg.Plugins, hooks.Plugin{
				Name: fmt.Sprint("hook", i),
				Packet: func(hooks.TrackInfo) hooks.PacketHook {
					return func(p []byte) bool { p[len(p)-1]++; return true }
				},
			})
		}
	})
	var users []*member
	for i := range 6 {
		users = append(users, signInBare(b, srv, fmt.Sprint("user", i)))
	}
	talker := users[0]
	var others []string
	for i := range 5 {
		others = append(others, fmt.Sprint("user", i+1))
	}
	talker.write(b, signal.TypeCall, 1, signal.Call{UserIDs: others, IsGroup: true, Media: hooks.MediaAudio})
	call := next[*signal.Result](b, talker)
	for _, u := range users[1:] {
		next[*signal.Invited](b, u)
		u.write(b, signal.TypeAccept, 1, signal.Enter{CallID: call.CallID})
		next[*signal.Entered](b, u)
	}
	talker.write(b, signal.TypePublish, 2, signal.Publish{CallID: call.CallID, Kind: signal.KindAudio})
	track := next[*signal.Result](b, talker).Track
	if track == nil {
		b.Fatal("there is no track")
	}
	got = make(chan struct{}, 5)
	for _, u := range users[1:] {
		if err := u.s.HandleFlow(next[*signal.Track](b, u).Flow, func([]byte, time.Time) { got <- struct{}{} }); err != nil {
			b.Fatal(err)
		}
	}
	for _, u := range users {
		go func() { // what else there is to be told
			for {
				if _, err := u.in.Read(); err != nil {
					return
				}
			}
		}()
	}
	if n := srv.Snapshot().Participants; n != 6 {
		b.Fatalf("%d of 6 were admitted", n)
	}
	h := rtp.Header{Version: 2, PayloadType: track.PayloadType, SSRC: track.SSRC}
	var buf [100]byte
	return func() {
		size, err := h.MarshalTo(buf[:])
		if err == nil {
			buf[size] = 0x78 // Opus: a frame of 20 ms
			err = talker.s.Send(transport.Packet{Flow: track.Flow, Payload: buf[:]})
		}
		if err != nil {
			b.Fatal(err)
		}
		h.SequenceNumber++
		h.Timestamp += 960
	}, got
}

// A member speaks the bare protocol.
type member struct {
	s  transport.Session
	in *signal.Reader
}

func signInBare(b *testing.B, srv *engine.Server, user string) *member {
	s, err := srv.Pipe().Dial(b.Context(), "")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	m := &member{s, signal.NewReader(s.Control())}
	m.write(b, signal.TypeSignIn, 0, signal.SignIn{Version: signal.Version, UserID: user, UserSig: "-"})
	next[*signal.Welcome](b, m)
	return m
}

func (m *member) write(b *testing.B, typ signal.Type, id uint64, body any) {
	frame, err := signal.Encode(signal.Message{Type: typ, ID: id}, body)
	if err == nil {
		_, err = m.s.Control().Write(frame)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// next reads until there is a message of a kind.
func next[T any](b *testing.B, m *member) (body T) {
	for {
		msg, err := m.in.Read()
		if err != nil {
			b.Fatal(err)
		}
		any, err := msg.Body()
		if err != nil {
			b.Fatal(err)
		}
		if no, ok := any.(*signal.Result); ok && no.Code != 0 {
			b.Fatalf("%v: %s", no.Code, no.Message)
		}
		if body, ok := any.(T); ok {
			return body
		}
	}
}

// BenchmarkMixer is what mixing is made of, for a frame of 20 ms: the kernels of
// package mixer, and all of a tick of a room of 100 with five who talk. ./mixer,
// ./mixer/bridge and ./mixer/jitter have more of them.
func BenchmarkMixer(b *testing.B) {
	pcm, out, sum := speech.PCM("alice")[:960], make([]int16, 960), make([]int32, 960)
	loud := make([]int32, 960) // more than 16 bits hold, twice over
	for i := range loud {
		loud[i] = int32(i%480-240) * 300
	}
	var idle, limiter mixer.Limiter
	level := 0.0
	for _, k := range []struct {
		name string
		f    func()
	}{
		{"add", func() { mixer.Add(sum, pcm) }},
		{"subtract", func() { mixer.Sub(sum, pcm) }},
		{"level", func() { level += mixer.Level(pcm) }},
		{"limit-not-needed", func() { idle.Process(out, sum) }},
		{"limit", func() { limiter.Process(out, loud) }},
	} {
		b.Run(k.name, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if n%1000 == 0 { // lest it overflow
					clear(sum)
				}
				k.f()
			}
			perFrame(b)
		})
	}
	b.Run("room-of-100", func(b *testing.B) {
		m, err := load.NewMixing(100, 5)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			m.Tick()
		}
		perFrame(b)
	})
}

// BenchmarkJitterBuffer is one packet of 20 ms of speech through a jitter buffer,
// decoded, beside its decoding alone.
func BenchmarkJitterBuffer(b *testing.B) {
	voices, err := load.Voices(20 * time.Millisecond)
	if err != nil {
		b.Fatal(err)
	}
	decoder := func(b *testing.B) codec.Decoder {
		dec, err := libopus.Driver{}.NewDecoder(codec.DecoderConfig{})
		if err != nil {
			b.Fatal(err)
		}
		return dec
	}
	b.Run("buffer-and-decode", func(b *testing.B) {
		buf, err := jitter.New(jitter.Config{Decoder: decoder(b), HasFEC: jitter.OpusHasFEC})
		if err != nil {
			b.Fatal(err)
		}
		now, pcm := time.Unix(1000, 0), make([]int16, 960)
		var p jitter.Packet
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			p.Payload = voices[0][n%len(voices[0])]
			p.Arrival = now
			buf.Push(p)
			buf.Pull(pcm, now)
			p.SequenceNumber++
			p.Timestamp += 960
			now = now.Add(20 * time.Millisecond)
		}
		perFrame(b)
	})
	b.Run("decode", func(b *testing.B) {
		dec, pcm := decoder(b), make([]int16, codec.MaxFrameSamples)
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			if _, err := dec.Decode(voices[0][n%len(voices[0])], pcm); err != nil {
				b.Fatal(err)
			}
		}
		perFrame(b)
	})
}

// perFrame reports what an operation is in domain terms: the frames of 20 ms that a
// core has time for, that is, how many such things it does all the time.
func perFrame(b *testing.B) {
	b.ReportMetric(0.02/(b.Elapsed().Seconds()/float64(b.N)), "in-real-time/core")
}
