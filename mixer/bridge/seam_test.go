package bridge_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/mixer/bridge"
)

// coldDriver makes encoders whose state cannot be copied.
type coldDriver struct{ libopus.Driver }

type coldEncoder struct{ codec.Encoder }

func (d coldDriver) NewEncoder(cfg codec.EncoderConfig) (codec.Encoder, error) {
	e, err := d.Driver.NewEncoder(cfg)
	return coldEncoder{e}, err
}

// A seam is what one receiver hears of alice while they begin to talk
// themselves at tick from, and stop at tick to, beside what they would have
// heard had they kept silent.
type seam struct {
	heard, unbroken *ear
	stats           bridge.Stats
}

func hearSeam(t *testing.T, d codec.Driver, from, to, end int) seam {
	t.Helper()
	run := func(talks bool) (*ear, bridge.Stats) {
		g := newRig(t, bridge.Config{Driver: d})
		g.mic(1, voice(t, "alice"))
		own := g.mic(2, voice(t, "bob"))
		own.on = false
		e := g.ear(2, 1)
		for i := range 5 {
			g.ear(uint64(10+i), 1)
		}
		g.tick(from)
		own.on = talks
		g.tick(to - from)
		own.on = false
		g.tick(end - to)
		return e, g.br.Stats()
	}
	var s seam
	s.heard, s.stats = run(true)
	s.unbroken, _ = run(false)
	return s
}

// snr is that of the frames of some ticks, in dB, against the unbroken stream;
// 120 when they are the same.
func (s seam) snr(t *testing.T, from, to uint64) float64 {
	t.Helper()
	var signal, noise float64
	for i, tick := range s.heard.ticks {
		if tick < from || tick >= to {
			continue
		}
		k := i
		if s.unbroken.ticks[k] != tick {
			t.Fatalf("packet %d was sent at tick %d, and at %d", i, tick, s.unbroken.ticks[k])
		}
		a, b := s.unbroken.pcm[s.unbroken.at[k]:][:960], s.heard.pcm[s.heard.at[i]:][:960]
		for j := range a {
			d := float64(a[j]) - float64(b[j])
			signal += float64(a[j]) * float64(a[j])
			noise += d * d
		}
	}
	if noise == 0 {
		return 120
	}
	return 10 * math.Log10(signal/noise)
}

// A receiver who begins to talk gets an encoder of their own, which goes on
// exactly where the shared one stood: their packets are the same to the byte as
// if nothing had happened. Without a copy of the state there is a break.
func TestForkIsNotHeard(t *testing.T) {
	const from, to = 100, 160
	s := hearSeam(t, nil, from, to, to)
	if s.stats.Forks == 0 || s.stats.Copied != s.stats.Forks {
		t.Fatalf("%+v", s.stats)
	}
	for i, tick := range s.heard.ticks {
		if tick < to && !bytes.Equal(s.heard.payloads[i], s.unbroken.payloads[i]) {
			t.Fatalf("the packet of tick %d is another one", tick)
		}
	}
	s.heard.continuous()
	cold := hearSeam(t, coldDriver{}, from, to, to)
	t.Logf("100 ms after the change, against the unbroken stream: %.0f dB with a copy of the state, %.0f dB without",
		s.snr(t, from+1, from+6), cold.snr(t, from+1, from+6))
	if c := cold.snr(t, from+1, from+6); c > 30 || cold.stats.Copied != 0 {
		t.Errorf("a cold encoder gave %.0f dB: this test shows nothing", c)
	}
}

// One who stops talking comes back to the shared stream unheard: after a while
// of the same sound side by side the change makes no larger error than coding
// does, and no step.
func TestMergeIsNotHeard(t *testing.T) {
	const from = 100
	worst, step := 120.0, 0.0
	for _, to := range []int{130, 150, 170, 200, 230, 260} {
		end := to + 120
		s := hearSeam(t, nil, from, to, end)
		if s.stats.Merges != 1 || s.stats.Streams != 1 {
			t.Fatalf("%+v", s.stats)
		}
		s.heard.continuous()
		changed := uint64(0)
		for i, tick := range s.heard.ticks {
			if !bytes.Equal(s.heard.payloads[i], s.unbroken.payloads[i]) {
				changed = tick
				break
			}
		}
		if changed < uint64(to) {
			t.Fatalf("talking ended at tick %d, and the packets change at %d", to, changed)
		}
		db := s.snr(t, changed, changed+15)
		at := int(changed-s.heard.ticks[0]) * 960 // nothing was left out before
		is, was := largestStep(s.heard.pcm[at-240:at+4800]), largestStep(s.unbroken.pcm[at-240:at+4800])
		t.Logf("ended at %d, changed at %d: %.1f dB over the 300 ms after it; largest step %d, unbroken %d", to, changed, db, is, was)
		worst, step = min(worst, db), max(step, float64(is)/float64(was))
	}
	if worst < 12 || step > 1.5 {
		t.Errorf("worst %.1f dB, largest step %.1f times that of the unbroken stream", worst, step)
	}
}

func largestStep(pcm []int16) (most int) {
	for i := 1; i < len(pcm); i++ {
		d := int(pcm[i]) - int(pcm[i-1])
		most = max(most, d, -d)
	}
	return most
}
