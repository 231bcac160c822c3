package jitter

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/mixer"
)

// roomDecoder plays every packet as a hiss of some level.
type roomDecoder struct {
	*fakeDecoder
	level float64
	r     *rand.Rand
}

func (d roomDecoder) Decode(_ []byte, pcm []int16) (int, error) {
	for i := range pcm[:960] {
		pcm[i] = int16(math.Round(32767 * math.Pow(10, d.level/20) * d.r.NormFloat64()))
	}
	return 960, nil
}

// In a pause the room goes on at its own level, which counts as silence; a room
// that was silent stays so, and of one that was loud nothing is known.
func TestComfortNoise(t *testing.T) {
	for _, c := range []struct{ level, want float64 }{{-62, -62}, {-75, -75}, {-90, mixer.Silence}, {-30, mixer.Silence}} {
		b, err := New(Config{Decoder: roomDecoder{&fakeDecoder{ch: 1, rate: 48000}, c.level, rand.New(rand.NewPCG(1, 2))}})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(1000, 0)
		pcm := make([]int16, 960)
		for i := range 100 {
			b.Push(Packet{SequenceNumber: uint16(i), Timestamp: uint32(i * 960), Payload: fakePacket(0, 8, false), Arrival: now})
			b.Pull(pcm, now)
			now = now.Add(20 * time.Millisecond)
		}
		for range 20 {
			b.Pull(pcm, now)
			now = now.Add(20 * time.Millisecond)
		}
		var res Result
		var heard []int16
		for range 50 {
			res = b.Pull(pcm, now)
			heard = append(heard, pcm...)
			now = now.Add(20 * time.Millisecond)
			if res.Silent != 960 || res.HasLevel || res.Active {
				t.Fatalf("%v: %+v", c.level, res)
			}
		}
		if l := mixer.Level(heard); math.Abs(l-c.want) > 1.5 {
			t.Errorf("a room of %v dBov is %.1f dBov in a pause, want %.1f", c.level, l, c.want)
		}
	}
}

// A sink that does not pull while there is nothing to hear does not stand still:
// the next word is played as if it had, and nothing is forgotten.
func TestRest(t *testing.T) {
	for _, rest := range []time.Duration{500 * time.Millisecond, time.Hour} {
		g := newRig(t, Config{})
		g.pull(1)
		g.call(50)
		g.pull(15)
		delay := g.b.delay
		g.now = g.now.Add(rest)
		g.ts += uint32((rest + 150*time.Millisecond).Milliseconds()) * 48
		p := g.frame(false)
		p.Marker = true
		g.push(p)
		id := g.next - 1
		sound := g.pull(2)
		g.call(50)
		s := g.balanced()
		if s.Stalls != 0 || s.Lost != 0 || s.Resyncs != 0 || s.Late != 0 {
			t.Errorf("after %v: %+v", rest, s)
		}
		heard := false
		for _, v := range sound {
			heard = heard || v == fakeValue(id)
		}
		if !heard {
			t.Errorf("after %v the first word is not played at once", rest)
		}
		if d := g.b.delay - delay; d > 960 || d < -960 {
			t.Errorf("after %v the delay has changed by %d samples", rest, d)
		}
	}
}

// A sender that moves its frames, so that its packets come later and just in
// time, is heard sooner from then on.
func TestMovedFrames(t *testing.T) {
	b, err := New(Config{Decoder: &fakeDecoder{ch: 1, rate: 48000, tone: 220}})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Unix(1000, 0)
	pcm := make([]int16, 960)
	ts := uint32(0)
	early := 15 * time.Millisecond
	var before, after time.Duration
	for i := range 300 {
		due := start.Add(time.Duration(i) * 20 * time.Millisecond)
		if i == 150 {
			before = b.Stats().Delay
			early -= 12521 * time.Microsecond // 601 samples
			ts += 601
		}
		b.Push(Packet{SequenceNumber: uint16(i), Timestamp: ts, Payload: fakePacket(uint32(i), 8, false), Arrival: due.Add(-early)})
		ts += 960
		b.Pull(pcm, due)
		if i == 200 {
			after = b.Stats().Delay
		}
	}
	if before < 14*time.Millisecond || after > 4*time.Millisecond {
		t.Errorf("packets waited %v before, and %v a second after the frames were moved", before, after)
	}
}

// The clock of a sender may be wrong by 500 parts in a million for an hour: the
// delay stays, and what is cut or stretched is what the clocks differ by.
func TestDriftForAnHour(t *testing.T) {
	skipUnderRace(t)
	const length = time.Hour
	for _, drift := range []float64{500, -500} {
		s := scene{
			length: length, units: 8, pull: 20 * time.Millisecond, pullWait: uniform(0),
			netWait: netUniform(2 * time.Millisecond), drift: drift, tone: 220, seed: 1,
		}
		o := s.run(t)
		changed := float64(o.CutSamples) - float64(o.StretchedSamples)
		want := drift / 1e6 * length.Seconds() * 48000
		t.Logf("%+.0f ppm: wait mean %.1f p99 %.1f ms, concealed %.4f %%, cut %d, stretched %d, the clocks differ by %.0f samples",
			drift, o.mean(), o.quantile(.99), 100*o.concealed(), o.CutSamples, o.StretchedSamples, want)
		if o.mean() > 30 || 100*o.concealed() > 0.2 || o.Resyncs != 0 {
			t.Errorf("%+.0f ppm: wait %.1f ms, %.3f %% concealed, %d resyncs", drift, o.mean(), 100*o.concealed(), o.Resyncs)
		}
		if d := changed - want; d > 0.35*math.Abs(want) || d < -0.35*math.Abs(want)-float64(o.ConcealedSamples) {
			t.Errorf("%+.0f ppm: %.0f samples were taken out, the clocks differ by %.0f", drift, changed, want)
		}
	}
}
