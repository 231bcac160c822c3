package bridge_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/mixer/bridge"
	"github.com/earshotrtc/earshot/mixer/jitter"
)

// Silence costs nothing: who talks alone is sent nothing, when nobody talks
// nobody is, and then the bridge rests until a packet comes.
func TestSilenceCostsNothing(t *testing.T) {
	woken := 0
	g := newRig(t, bridge.Config{Wake: func() { woken++ }})
	alice := g.mic(1, voice(t, "alice"))
	self, other := g.ear(1, 1), g.ear(2, 1)
	woken = 0
	g.tick(100)
	if self.count != 0 {
		t.Errorf("a lone talker was sent %d packets", self.count)
	}
	if other.count < 90 {
		t.Errorf("the other was sent %d", other.count)
	}
	if n := g.br.Stats().Encoded; n != uint64(other.count) {
		t.Errorf("%d frames were encoded, and %d are of use", n, other.count)
	}
	alice.on = false
	g.tick(40) // the hold
	before := g.br.Stats()
	g.tick(60)
	s := g.br.Stats()
	if s.Encoded != before.Encoded || s.Packets != before.Packets || s.Decoded != before.Decoded {
		t.Errorf("in silence: %+v after %+v", s, before)
	}
	if g.more {
		t.Error("the bridge wants more ticks")
	}
	if woken != 0 {
		t.Errorf("woken %d times while it ticked", woken)
	}
	g.n += 1000 // the clock goes on without it
	alice.on = true
	alice.send(g.now)
	if woken != 1 {
		t.Errorf("woken %d times by the first packet", woken)
	}
	g.tick(100)
	other.continuous()
	marks := 0
	for _, h := range other.headers {
		if h.Marker {
			marks++
		}
	}
	if marks != 2 {
		t.Errorf("%d packets begin a spurt, want 2", marks)
	}
	if n := g.br.Stats().Packets - s.Packets; n < 90 {
		t.Errorf("%d packets after the rest", n)
	}
}

// Those who only listen get three frames in a packet, the same sound to the
// sample; one who begins to talk gets single ones, without a frame twice or
// never.
func TestSeveralFramesAPacket(t *testing.T) {
	g := newRig(t, bridge.Config{FramesPerPacket: 3})
	g.mic(1, voice(t, "alice"))
	late := g.mic(2, voice(t, "bob"))
	late.on = false
	talker := g.ear(1, 1)
	changing := g.ear(2, 1)
	plain := g.ear(3, 1)
	for i := range 20 {
		g.ear(uint64(10+i), 1).quiet = true
	}
	g.tick(80)
	late.on = true // he has never talked, so he only listened
	g.tick(61)
	late.on = false
	g.tick(200)
	for _, e := range []*ear{talker, changing, plain} {
		e.continuous()
	}
	frames := func(e *ear, from, to uint64) (packets, frames int) {
		for i, tick := range e.ticks {
			if tick >= from && tick < to {
				n, err := codec.PacketFrames(e.payloads[i])
				if err != nil {
					t.Fatal(err)
				}
				packets, frames = packets+1, frames+n
			}
		}
		return packets, frames
	}
	if p, f := frames(plain, 10, 70); p != 20 || f != 60 {
		t.Errorf("a listener got %d packets with %d frames in 60 ticks", p, f)
	}
	if p, f := frames(changing, 90, 140); p != f || f != 50 {
		t.Errorf("one who talks got %d packets with %d frames in 50 ticks", p, f)
	}
	// As one by one: the same bridge without packing.
	single := newRig(t, bridge.Config{})
	single.mic(1, voice(t, "alice"))
	m := single.mic(2, voice(t, "bob"))
	m.on = false
	single.ear(1, 1)
	single.ear(2, 1)
	e := single.ear(3, 1)
	single.tick(80)
	m.on = true
	single.tick(61)
	m.on = false
	single.tick(200)
	n := min(len(e.pcm), len(plain.pcm))
	if !slices.Equal(e.pcm[:n], plain.pcm[:n]) {
		t.Error("packed and single frames sound different")
	}
	g.br.SetFramesPerPacket(1)
	g.tick(10)
	if p, f := frames(plain, g.n-5, g.n+1); p != f {
		t.Errorf("set back to one, there are %d frames in %d packets", f, p)
	}
}

// A receiver who wants a talker quieter has a mix of their own only while that
// one talks, and shares it with whoever wants the same.
func TestGainsShareMixes(t *testing.T) {
	g := newRig(t, bridge.Config{})
	alice := g.mic(1, voice(t, "alice"))
	bob := g.mic(2, voice(t, "bob"))
	var ears []*ear
	for i := range 10 {
		ears = append(ears, g.ear(uint64(10+i), 1))
	}
	for _, e := range ears[:4] {
		e.rcv.SetGain(bob.src, 0)
	}
	bob.on = false
	g.tick(60)
	if s := g.br.Stats(); s.Streams != 1 {
		t.Errorf("while bob is silent there are %d streams", s.Streams)
	}
	bob.on = true
	g.tick(60)
	if s := g.br.Stats(); s.Streams != 2 {
		t.Errorf("while both talk there are %d streams", s.Streams)
	}
	ears[0].rcv.SetGain(bob.src, 0.5)
	g.tick(100)
	if s := g.br.Stats(); s.Streams != 3 {
		t.Errorf("with another gain there are %d streams", s.Streams)
	}
	for i, e := range ears {
		e.continuous()
		a, b := e.likeness(voice(t, "alice")), e.likeness(voice(t, "bob"))
		if a < 0.3 || i > 0 && i < 4 && b > 0.3 {
			t.Errorf("receiver %d: alice %.2f, bob %.2f", i, a, b)
		}
	}
	ears[0].rcv.SetGain(bob.src, float32(math.NaN()))
	ears[0].rcv.SetGain(bob.src, -1)
	ears[0].rcv.SetGain(alice.src, float32(math.Inf(1)))
	alice.src.Remove()
	alice.src.Remove()
	ears[1].rcv.Remove()
	ears[1].rcv.Remove()
	ears[0].rcv.SetGain(alice.src, 0.5)
	g.tick(60)
}

// Of more talkers than a mix holds the loudest are heard, a louder one gets in
// only when somebody pauses, and who is in the mix and how loud is told.
func TestLoudestTalkers(t *testing.T) {
	g := newRig(t, bridge.Config{Talkers: 2})
	quiet := make([]int16, len(voice(t, "carol")))
	for i, v := range voice(t, "carol") {
		quiet[i] = v / 8
	}
	g.mic(1, voice(t, "alice"))
	g.mic(2, voice(t, "bob"))
	loud := g.mic(3, voice(t, "dave"))
	g.mic(4, quiet)
	loud.on = false
	e := g.ear(9, 1)
	g.tick(150)
	if n := g.br.Stats().Talkers; n != 2 {
		t.Fatalf("%d talkers in the mix", n)
	}
	names := func(from uint64) map[uint32]int {
		out := make(map[uint32]int)
		for i, h := range e.headers {
			if e.ticks[i] < from {
				continue
			}
			levels := h.GetExtension(2)
			if len(levels) != len(h.CSRC) {
				t.Fatalf("%d levels of %d", len(levels), len(h.CSRC))
			}
			for k, id := range h.CSRC {
				out[id]++
				if l := levels[k] & 0x7f; l != 127 && (l < 5 || l > 70) {
					t.Errorf("%d is at -%d dBov", id, l)
				}
			}
		}
		return out
	}
	if n := names(50); n[1] < 15 || n[2] < 15 || n[4] > 3 || n[3] != 0 {
		t.Errorf("in the mix were %v", n)
	}
	if n := e.count / 5; len(names(0)) == 0 || names(0)[1] > n+2 {
		t.Errorf("levels came with %d of %d packets", names(0)[1], e.count)
	}
	loud.on = true
	g.tick(200)
	if n := names(200); n[3] < 10 {
		t.Errorf("a third, as loud, was in the mix %d times of %v", n[3], n)
	}
}

// Stereo: a receiver with a pose hears a source from where it is; moving does
// not click, and the others' mix is as it was.
func TestStereoMix(t *testing.T) {
	g := newRig(t, bridge.Config{})
	tone := make([]int16, 48000)
	for i := range tone {
		tone[i] = int16(8000 * math.Sin(2*math.Pi*440*float64(i)/48000))
	}
	alice := g.mic(1, tone)
	e, other := g.ear(2, 2), g.ear(3, 1)
	g.tick(20)
	alice.src.SetPosition(mixer.Vector{0, 5, 0})
	e.rcv.SetPose(mixer.Pose{})
	g.tick(50)
	sides := func() (l, r float64) {
		pcm := e.pcm[len(e.pcm)-20*1920:]
		var a, b []int16
		for i := 0; i < len(pcm); i += 2 {
			a, b = append(a, pcm[i]), append(b, pcm[i+1])
		}
		return mixer.Level(a), mixer.Level(b)
	}
	if l, r := sides(); l > -60 || r < -20 {
		t.Errorf("at the right it is %.1f and %.1f dBov", l, r)
	}
	from := len(e.pcm)
	for i := range 50 { // once around
		a := float64(i) * 2 * math.Pi / 50
		alice.src.SetPosition(mixer.Vector{float32(5 * math.Sin(a)), float32(5 * math.Cos(a)), 0})
		g.tick(1)
	}
	worst := 0
	for i := from + 2; i < len(e.pcm); i++ {
		worst = max(worst, int(e.pcm[i])-int(e.pcm[i-2]), int(e.pcm[i-2])-int(e.pcm[i]))
	}
	if limit := 8000 * 2 * math.Pi * 440 / 48000 * 1.5; float64(worst) > limit {
		t.Errorf("the largest step while it moves is %d, of the tone %.0f", worst, limit/1.5)
	}
	e.rcv.ClearPose()
	alice.src.ClearPosition()
	g.tick(20)
	if l, r := sides(); math.Abs(l-r) > 1 {
		t.Errorf("without a pose it is %.1f and %.1f dBov", l, r)
	}
	e.continuous()
	other.continuous()
	if s := g.br.Stats(); s.Streams != 1 {
		t.Errorf("%d streams in the end", s.Streams)
	}
}

// Nothing allocates in a tick once everything has been seen, nor in a push.
func TestTickAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	g := newRig(t, bridge.Config{FramesPerPacket: 3})
	for i, name := range []string{"alice", "bob", "carol", "dave", "erin"} {
		g.mic(uint64(i), voice(t, name))
	}
	for i := range 100 {
		g.ear(uint64(i), 1).quiet = true
	}
	g.ears[50].rcv.SetPose(mixer.Pose{})
	g.mics[0].src.SetPosition(mixer.Vector{1, 2, 0})
	g.ears[51].rcv.SetGain(g.mics[1].src, 0.5)
	g.tick(600)
	if n := testing.AllocsPerRun(200, func() { g.tick(1) }); n > 0.1 {
		t.Errorf("%v allocations in a tick with its packets", n)
	}
}

// What one talker sends, however bad, the others hear nothing of: their voices
// are as they were, and the mix is no louder.
func TestHostileTalkers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	garbage := func(p *jitter.Packet) {
		b := make([]byte, 20+r.IntN(150))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		p.Payload = b
	}
	for name, c := range map[string]struct {
		change func(m *mic, p *jitter.Packet) bool
		heard  bool // the talker is still to be heard
	}{
		"1 % corrupt": {func(_ *mic, p *jitter.Packet) bool {
			if r.IntN(100) == 0 {
				garbage(p)
			}
			return true
		}, true},
		"all corrupt": {func(_ *mic, p *jitter.Packet) bool { garbage(p); return true }, false},
		"another codec": {func(_ *mic, p *jitter.Packet) bool { // G.711
			b := make([]byte, 160)
			for i := range b {
				b[i] = byte(0xD5 ^ uint8(40*math.Sin(float64(i)/3)))
			}
			p.Payload = b
			return true
		}, false},
		"5,000 packets a second": {func(m *mic, p *jitter.Packet) bool {
			for range 100 {
				q := *p
				q.SequenceNumber, q.Timestamp = uint16(r.Uint32()), r.Uint32()
				m.src.Push(q)
			}
			return true
		}, false},
		"jumps by days": {func(_ *mic, p *jitter.Packet) bool {
			if r.IntN(20) == 0 {
				p.Timestamp += 3 * 86400 * 48000 % (1 << 32)
			}
			return true
		}, false},
		"another stream every second": {func(m *mic, p *jitter.Packet) bool {
			if p.SequenceNumber%50 == 0 {
				m.seq, m.ts = uint16(r.Uint32()), r.Uint32()
			}
			return true
		}, false},
		"120 ms": {func(m *mic, p *jitter.Packet) bool {
			if p.SequenceNumber%6 != 0 {
				return false
			}
			p.Payload = append([]byte{p.Payload[0]&^3 | 3, 6}, make([]byte, 6*40)...)
			return true
		}, false},
		"empty and huge": {func(_ *mic, p *jitter.Packet) bool {
			p.Payload = make([]byte, r.IntN(2)*3000)
			return true
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			run := func(hostile bool) (*ear, float64) {
				g := newRig(t, bridge.Config{})
				g.mic(1, voice(t, "alice"))
				e := g.ear(9, 1)
				m := g.mic(2, voice(t, "bob"))
				if hostile {
					m.change = func(p *jitter.Packet) bool { return c.change(m, p) }
				} else {
					m.on = c.heard
				}
				g.tick(250)
				return e, mixer.Level(e.pcm[len(e.pcm)-3*48000:])
			}
			clean, was := run(false)
			e, is := run(true)
			e.continuous()
			want, got := clean.likeness(voice(t, "alice")), e.likeness(voice(t, "alice"))
			t.Logf("alice %.2f, was %.2f; the mix %.1f dBov, was %.1f", got, want, is, was)
			if got < 0.55*want || is > was+4 {
				t.Errorf("alice is heard to %.2f, and was to %.2f; the mix is %.1f dBov, and was %.1f", got, want, is, was)
			}
		})
	}
}

// FuzzPush: whatever a talker sends, ticks go on and packets are RTP.
func FuzzPush(f *testing.F) {
	f.Add([]byte("0000000000000000\xf8abcdefgh"), uint8(3))
	f.Add(binary.BigEndian.AppendUint64(nil, 1<<40), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		g := newRig(t, bridge.Config{})
		g.mic(1, voice(t, "alice"))
		src := g.br.AddSource(bridge.SourceConfig{Owner: 2, SSRC: 2})
		e := g.ear(3, 1)
		for i := 0; len(data) > 4; i++ {
			n := min(len(data), 4+int(data[0]))
			src.Push(jitter.Packet{
				SequenceNumber: binary.BigEndian.Uint16(data), Timestamp: binary.BigEndian.Uint32(data) * uint32(step),
				Payload: data[4:n], Arrival: g.now,
			})
			data = data[n:]
			if i%(int(step)%8+1) == 0 {
				g.tick(1)
			}
		}
		g.tick(10)
		for _, h := range e.headers {
			if h.Version != 2 || h.SSRC != 99 || h.PayloadType != 111 {
				t.Fatalf("%+v", h)
			}
		}
	})
}
