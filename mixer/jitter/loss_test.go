package jitter

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
)

// A lossyCall is recorded speech as Opus with forward error correction, of
// which some packets do not come.
type lossyCall struct {
	packets [][]byte
	lost    []bool
	clean   []int16 // what all packets decode to
}

func newLossyCall(t testing.TB, voice string, percent int, lost func(i int) bool) lossyCall {
	t.Helper()
	enc, err := libopus.Driver{}.NewEncoder(codec.EncoderConfig{FEC: true, PacketLoss: percent, Signal: codec.SignalVoice})
	if err != nil {
		t.Fatal(err)
	}
	var c lossyCall
	pcm := speech.PCM(voice)
	dec := decoder(t)
	out := make([]int16, codec.MaxFrameSamples)
	for i := 0; i+960 <= len(pcm); i += 960 {
		buf := make([]byte, codec.MaxPacketSize)
		n, err := enc.Encode(pcm[i:i+960], buf)
		if err != nil {
			t.Fatal(err)
		}
		k, err := dec.Decode(buf[:n], out)
		if err != nil {
			t.Fatal(err)
		}
		c.packets = append(c.packets, buf[:n])
		c.lost = append(c.lost, i > 960*50 && lost(i/960))
		c.clean = append(c.clean, out[:k]...)
	}
	return c
}

func decoder(t testing.TB) codec.Decoder {
	t.Helper()
	dec, err := libopus.Driver{}.NewDecoder(codec.DecoderConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return dec
}

// play plays the call through a Buffer, and returns what was heard, each sample
// where it belongs.
func (c lossyCall) play(t testing.TB) (heard []int16, s Stats) {
	t.Helper()
	b, err := New(Config{Decoder: decoder(t)})
	if err != nil {
		t.Fatal(err)
	}
	heard = make([]int16, len(c.clean)+48000)
	pcm := make([]int16, 480)
	start := time.Unix(1000, 0)
	for i := range 2 * len(c.packets) {
		now := start.Add(time.Duration(i) * 10 * time.Millisecond)
		if k := i / 2; i%2 == 0 && !c.lost[k] {
			b.Push(Packet{SequenceNumber: uint16(k), Timestamp: uint32(k * 960), Payload: c.packets[k], Arrival: now.Add(-3 * time.Millisecond)})
		}
		out := b.out
		b.Pull(pcm, now)
		if at := out - (b.delay + 1<<40); b.playing && at >= 0 {
			copy(heard[at:], pcm)
		}
	}
	return heard[:len(c.clean)], b.Stats()
}

// plain decodes what came, in its place, without a buffer: what is missing is
// silence, or concealed by the decoder.
func (c lossyCall) plain(t testing.TB, conceal bool) []int16 {
	t.Helper()
	dec := decoder(t)
	out := make([]int16, codec.MaxFrameSamples)
	var heard []int16
	for i, p := range c.packets {
		clear(out)
		switch {
		case !c.lost[i]:
			if _, err := dec.Decode(p, out); err != nil {
				t.Fatal(err)
			}
		case conceal:
			if err := dec.Conceal(out[:960]); err != nil {
				t.Fatal(err)
			}
		}
		heard = append(heard, out[:960]...)
	}
	return heard
}

// At 10 % random loss at least 80 % of the packets lost alone are recovered
// from the copy in the next, not made up.
func TestSingleLossesAreRecovered(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	last := false
	single := 0
	c := newLossyCall(t, "alice", 10, func(int) bool {
		last = !last && r.Float64() < 0.111 // never two in a row: all are single
		if last {
			single++
		}
		return last
	})
	_, s := c.play(t)
	t.Logf("%d lost alone, %d recovered, %d samples made up", single, s.FECRecovered, s.ConcealedSamples)
	if float64(s.FECRecovered) < 0.8*float64(single) {
		t.Errorf("%d of %d recovered", s.FECRecovered, single)
	}
}

// gilbert is loss in bursts of three packets on average (Gilbert's model).
func gilbert(seed uint64, share float64) func(int) bool {
	r := rand.New(rand.NewPCG(seed, 3))
	bad := false
	const leave = 1.0 / 3
	enter := leave * share / (1 - share)
	return func(int) bool {
		if bad {
			bad = r.Float64() >= leave
		} else {
			bad = r.Float64() < enter
		}
		return bad
	}
}

// skipUnderRace leaves what only calculates, at length, to the run without the race
// detector.
func skipUnderRace(t *testing.T) {
	if raceEnabled {
		t.Skip("ten times slower with the race detector, and of one goroutine")
	}
}

// Speech of which 30 % is lost in bursts is still followed: STOI against what
// all packets would have sounded like, beside decoding what comes without a
// buffer.
func TestBurstLossIsFollowed(t *testing.T) {
	skipUnderRace(t)
	for _, loss := range []float64{0.1, 0.3} {
		var ours, silent, concealed, share float64
		voices := []string{"alice", "bob", "erin"}
		for i, v := range voices {
			c := newLossyCall(t, v, 30, gilbert(uint64(i), loss))
			heard, _ := c.play(t)
			from := 48000
			ours += audio.STOI(c.clean[from:], heard[from:]) / float64(len(voices))
			silent += audio.STOI(c.clean[from:], c.plain(t, false)[from:]) / float64(len(voices))
			concealed += audio.STOI(c.clean[from:], c.plain(t, true)[from:]) / float64(len(voices))
			n := 0
			for _, l := range c.lost {
				if l {
					n++
				}
			}
			share += float64(n) / float64(len(c.lost)) / float64(len(voices))
		}
		t.Logf("%.0f %% lost in bursts: STOI %.3f; %.3f decoded plainly, %.3f with the decoder's concealment", 100*share, ours, silent, concealed)
		if ours <= concealed || ours <= silent || loss == 0.3 && (ours < 0.8 || ours < concealed+0.05) {
			t.Errorf("%.0f %% lost in bursts: STOI %.3f, %.3f and %.3f without a buffer", 100*share, ours, silent, concealed)
		}
	}
}
