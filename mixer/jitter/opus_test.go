package jitter

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/internal/speech"
)

// opusCall is real speech through real Opus and a network.
type opusCall struct {
	enc     codec.EncoderConfig
	seconds int
	wait    func(r *rand.Rand) time.Duration
	loss    float64
}

// run returns what the sink heard, and what it would have heard of the packets
// themselves, without a network.
func (c opusCall) run(t testing.TB) (heard, direct []int16, s Stats) {
	t.Helper()
	var drv libopus.Driver
	enc, err := drv.NewEncoder(c.enc)
	if errors.Is(err, codec.ErrUnsupported) {
		t.Skip("built without libopus")
	}
	if err != nil {
		t.Fatal(err)
	}
	dec, err := drv.NewDecoder(codec.DecoderConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := drv.NewDecoder(codec.DecoderConfig{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(Config{Decoder: dec})
	if err != nil {
		t.Fatal(err)
	}
	pcm := speech.PCM("alice")
	r := rand.New(rand.NewPCG(3, 4))
	start := time.Unix(1000, 0)
	packet, frame, out := make([]byte, 1500), make([]int16, 960), make([]int16, 480)
	var queue []Packet
	for i := range c.seconds * 50 {
		for k := range frame {
			frame[k] = pcm[(i*960+k)%len(pcm)]
		}
		n, err := enc.Encode(frame, packet)
		if err != nil {
			t.Fatal(err)
		}
		spoken := start.Add(time.Duration(i) * 20 * time.Millisecond)
		if n > 0 {
			p := Packet{Timestamp: uint32(i * 960), SequenceNumber: uint16(s.Received), Payload: append([]byte(nil), packet[:n]...)}
			s.Received++
			p.Arrival = spoken.Add(c.wait(r))
			if r.Float64() >= c.loss {
				queue = append(queue, p)
			}
			if _, err := ref.Decode(packet[:n], frame); err != nil {
				t.Fatal(err)
			}
		} else {
			clear(frame)
		}
		direct = append(direct, frame...)
		for h := range 2 {
			now := spoken.Add(time.Duration(h)*10*time.Millisecond + 4*time.Millisecond)
			for len(queue) > 0 && !queue[0].Arrival.After(now) {
				b.Push(queue[0])
				queue = queue[1:]
			}
			b.Pull(out, now)
			heard = append(heard, out...)
		}
	}
	return heard, direct, b.Stats()
}

// alike is the correlation of what was heard with what was said, half a second
// at a time and each at the delay that suits it, as a listener would judge:
// the mean over the pieces in which somebody speaks.
func alike(heard, direct []int16) float64 {
	const piece, most = 24000, 4800
	var sum float64
	n := 0
	for at := 0; at+piece+most <= len(heard); at += piece {
		x := direct[at : at+piece]
		if energy(x) < piece*100*100 {
			continue
		}
		best := 0.0
		for d := 0; d < most; d += 24 {
			best = max(best, corr(x, heard[at+d:at+d+piece], 16))
		}
		for d := 0; d < most; d += 24 {
			if corr(x, heard[at+d:at+d+piece], 16) == best {
				for e := max(0, d-24); e < d+24; e++ {
					best = max(best, corr(x, heard[at+e:at+e+piece], 4))
				}
				break
			}
		}
		sum += best
		n++
	}
	return sum / float64(max(1, n))
}

func corr(a, b []int16, step int) float64 {
	var ab, aa, bb float64
	for i := 0; i < len(a); i += step {
		x, y := float64(a[i]), float64(b[i])
		ab += x * y
		aa += x * x
		bb += y * y
	}
	return ab / math.Sqrt(aa*bb+1)
}

func TestOpusClean(t *testing.T) {
	wait := func(r *rand.Rand) time.Duration { return time.Duration(r.Float64() * 2e6) }
	heard, direct, s := opusCall{seconds: 3, wait: wait}.run(t)
	if s.Lost != 0 || s.ConcealedSamples != 0 || s.DecodeErrors != 0 || s.CutSamples+s.StretchedSamples != 0 {
		t.Errorf("%+v", s)
	}
	// The very samples, from the end of the fade-in on.
	for i := 120; i < len(heard); i++ {
		if heard[i] != direct[i] {
			t.Fatalf("sample %d differs", i)
		}
	}
}

func TestOpusLoss(t *testing.T) {
	wait := func(r *rand.Rand) time.Duration { return time.Duration(r.Float64() * 2e6) }
	fec := codec.EncoderConfig{FEC: true, PacketLoss: 10, Bitrate: 24000}
	for _, c := range []struct {
		name string
		call opusCall
		want float64
		fec  bool
	}{
		{"5 %", opusCall{seconds: 8, wait: wait, loss: 0.05}, 0.9, false},
		{"5 % with FEC", opusCall{seconds: 8, wait: wait, loss: 0.05, enc: fec}, 0.9, true},
		{"jitter 0-30 ms", opusCall{seconds: 8, wait: func(r *rand.Rand) time.Duration { return time.Duration(r.Float64() * 30e6) }, loss: 0.01}, 0.9, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			heard, direct, s := c.call.run(t)
			a := alike(heard, direct)
			t.Logf("alike %.3f, lost %d, recovered %d, concealed %.2f %%, stretched %d", a, s.Lost, s.FECRecovered,
				100*float64(s.ConcealedSamples)/float64(len(heard)), s.StretchedSamples)
			if a < c.want {
				t.Errorf("what was heard is only %.3f alike", a)
			}
			if s.Lost == 0 || s.DecodeErrors != 0 {
				t.Errorf("%+v", s)
			}
			if c.fec && float64(s.FECRecovered) < 0.6*float64(s.Lost) {
				t.Errorf("%d of %d recovered", s.FECRecovered, s.Lost)
			}
		})
	}
}

// An encoder that stops in pauses loses nothing, and no sound is made up.
func TestOpusDTX(t *testing.T) {
	wait := func(r *rand.Rand) time.Duration { return time.Duration(r.Float64() * 2e6) }
	heard, direct, s := opusCall{seconds: 8, wait: wait, enc: codec.EncoderConfig{DTX: true, Bitrate: 16000}}.run(t)
	if s.Lost != 0 || s.DecodeErrors != 0 || s.Resyncs != 0 {
		t.Errorf("%+v", s)
	}
	if share := float64(s.ConcealedSamples) / float64(len(heard)); share > 0.016 {
		t.Errorf("%.3f concealed", share)
	}
	if a := alike(heard, direct); a < 0.9 {
		t.Errorf("only %.3f alike", a)
	}
}

func TestOpusHasFEC(t *testing.T) {
	var drv libopus.Driver
	pcm := speech.PCM("alice")
	for _, c := range []struct {
		cfg  codec.EncoderConfig
		want bool
	}{
		{codec.EncoderConfig{Bitrate: 24000, FEC: true, PacketLoss: 20}, true},
		{codec.EncoderConfig{Bitrate: 32000, FEC: true, PacketLoss: 20, FrameDuration: 60 * time.Millisecond}, true},
		{codec.EncoderConfig{Bitrate: 24000, FEC: false, PacketLoss: 20}, false},
		{codec.EncoderConfig{Bitrate: 24000, FEC: true, PacketLoss: 20, FrameDuration: 5 * time.Millisecond}, false}, // CELT
	} {
		c.cfg, _ = c.cfg.WithDefaults()
		enc, err := drv.NewEncoder(c.cfg)
		if errors.Is(err, codec.ErrUnsupported) {
			t.Skip("built without libopus")
		}
		if err != nil {
			t.Fatal(err)
		}
		n := c.cfg.FrameSamples()
		packet := make([]byte, 1500)
		has := 0
		for i := 0; i+n < 5*48000; i += n {
			k, err := enc.Encode(pcm[i:i+n], packet)
			if err != nil {
				t.Fatal(err)
			}
			if OpusHasFEC(packet[:k]) {
				has++
			}
		}
		if (has > 5) != c.want || !c.want && has > 0 {
			t.Errorf("%+v: %d packets with FEC", c.cfg, has)
		}
	}
	for _, p := range [][]byte{nil, {0}, {0, 0}, {3}, {3, 255, 255}, {0xff, 0xff}, {2, 255}, {3, 0xc3, 255, 1}} {
		if OpusHasFEC(p) {
			t.Errorf("%x has FEC", p)
		}
	}
}

func FuzzOpusHasFEC(f *testing.F) {
	f.Add([]byte{0x58, 0xff})
	f.Add([]byte{3, 0xc3, 255, 1, 252, 1, 2, 9})
	f.Fuzz(func(t *testing.T, p []byte) {
		if OpusHasFEC(p) && (p[0]>>3 >= 16 || len(p) < 2) {
			t.Fatalf("%x cannot have FEC", p)
		}
	})
}

func BenchmarkCall(b *testing.B) {
	dec := &fakeDecoder{ch: 1, rate: 48000}
	buf, err := New(Config{Decoder: dec, HasFEC: fakeFEC})
	if err != nil {
		b.Fatal(err)
	}
	p := Packet{Payload: fakePacket(1, 8, false)}
	pcm := make([]int16, 960)
	b.ReportAllocs()
	for b.Loop() {
		p.SequenceNumber++
		p.Timestamp += 960
		buf.Push(p)
		buf.Pull(pcm, time.Time{})
	}
}
