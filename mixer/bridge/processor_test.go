package bridge_test

import (
	"math"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/mixer/bridge"
)

// whistle is a tone.
func whistle(hz float64) []int16 {
	pcm := make([]int16, 48000)
	for i := range pcm {
		pcm[i] = int16(6000 * math.Sin(2*math.Pi*hz*float64(i)/48000))
	}
	return pcm
}

// toneLevel is how much of a frequency is in a sound, in dB below a full-scale tone.
//
//go:norace
func toneLevel(pcm []int16, hz float64) float64 {
	var re, im float64
	for i, v := range pcm {
		w := 1 - math.Cos(2*math.Pi*float64(i)/float64(len(pcm)))
		re += w * float64(v) * math.Cos(2*math.Pi*hz*float64(i)/48000)
		im += w * float64(v) * math.Sin(2*math.Pi*hz*float64(i)/48000)
	}
	return 20 * math.Log10(2*math.Hypot(re, im)/float64(len(pcm))/32767+1e-9)
}

// A function on the way from one talker to one receiver, and one on a receiver's
// finished mix, change what that receiver hears, and nobody else; who has none
// shares an encode.
func TestFunctionsOnTheWay(t *testing.T) {
	for _, stereo := range []bool{false, true} {
		g := newRig(t, bridge.Config{})
		a, b := g.mic(1, whistle(500)), g.mic(2, whistle(1500))
		channels := 1
		if stereo {
			channels = 2
		}
		walled, finished := g.ear(11, channels), g.ear(12, channels)
		plain, other := g.ear(13, 1), g.ear(14, 1)
		if stereo {
			for _, e := range []*ear{walled, finished} {
				e.rcv.SetPose(mixer.Pose{Forward: mixer.Vector{1, 0, 0}, Right: mixer.Vector{0, 1, 0}, Up: mixer.Vector{0, 0, 1}})
			}
		}
		odd := 0
		walled.rcv.SetPath(a.src, func(pcm []int16) {
			if len(pcm) != 960 {
				odd++
			}
			clear(pcm)
		})
		finished.rcv.SetFinish(func(pcm []int16, n int) {
			if n != channels || len(pcm) != 960*channels {
				odd++
			}
			for i := range pcm {
				pcm[i] /= 4
			}
		})
		g.tick(150)
		mono := func(e *ear) (pcm []int16) {
			for i := len(e.pcm) / 2; i < len(e.pcm); i += e.channels {
				pcm = append(pcm, e.pcm[i])
			}
			return pcm
		}
		type heard struct{ a, b float64 }
		hears := func(e *ear) heard { return heard{toneLevel(mono(e), 500), toneLevel(mono(e), 1500)} }
		p, w, f := hears(plain), hears(walled), hears(finished)
		if p.a < -17 || p.b < -17 || w.a > p.a-30 || math.Abs(w.b-p.b) > 1.5 || math.Abs(f.a-p.a+12) > 1.5 || math.Abs(f.b-p.b+12) > 1.5 {
			t.Errorf("stereo %v: plain %v, behind a wall from one %v, a quarter of it %v", stereo, p, w, f)
		}
		if n := g.br.Stats().Streams; n != 3 {
			t.Errorf("stereo %v: %d streams for three different mixes", stereo, n)
		}
		// When they go, all is as before, and encoded once.
		walled.rcv.SetPath(a.src, nil)
		finished.rcv.SetFinish(nil)
		if !stereo {
			walled.pcm, finished.pcm, plain.pcm = nil, nil, nil
			g.tick(120)
			if w, p := hears(walled), hears(plain); math.Abs(w.a-p.a) > 1.5 {
				t.Errorf("without the wall %v, plain %v", w, p)
			}
			if n := g.br.Stats().Streams; n != 1 {
				t.Errorf("%d streams after all", n)
			}
			for _, e := range g.ears {
				e.continuous()
			}
		}
		// A source or a receiver that is gone takes its functions along.
		walled.rcv.SetPath(b.src, func([]int16) { odd += 100 })
		b.src.Remove()
		g.tick(5)
		walled.rcv.Remove()
		walled.rcv.SetPath(a.src, func([]int16) { odd += 100 })
		g.tick(5)
		if odd > 0 {
			t.Errorf("functions were called wrongly: %d", odd)
		}
		_ = other
	}
}

// Who takes the mix as it is gets what its owner hears, in stereo with a pose,
// and costs no encode.
func TestMixAsItIs(t *testing.T) {
	g := newRig(t, bridge.Config{})
	a, _ := g.mic(1, whistle(500)), g.mic(2, whistle(1500))
	var pcm []int16
	var last time.Time
	channels := 0
	r := g.br.AddReceiver(bridge.ReceiverConfig{Owner: 2, PCM: func(p []int16, n int, due time.Time) {
		if !last.IsZero() && due.Sub(last) != 20*time.Millisecond {
			t.Errorf("a block %v after the one before", due.Sub(last))
		}
		last, channels = due, n
		pcm = append(pcm, p...)
	}})
	g.tick(100)
	if own, other := toneLevel(pcm[len(pcm)/2:], 1500), toneLevel(pcm[len(pcm)/2:], 500); own > -50 || other < -17 || channels != 1 {
		t.Errorf("one hears oneself with %.0f dB, the other with %.0f, %d channels", own, other, channels)
	}
	if n := g.br.Stats().Encoded; n != 0 {
		t.Errorf("%d frames were encoded for nobody", n)
	}
	r.SetGain(a.src, 0.25)
	g.tick(10)
	pcm = nil
	g.tick(50)
	if l := toneLevel(pcm, 500); math.Abs(l+14.75+12) > 2 {
		t.Errorf("a quarter of it is heard with %.1f dB", l)
	}
	a.src.SetPosition(mixer.Vector{0, -5, 0})
	r.SetPose(mixer.Pose{Forward: mixer.Vector{1, 0, 0}, Right: mixer.Vector{0, 1, 0}, Up: mixer.Vector{0, 0, 1}})
	g.tick(10)
	pcm = nil
	g.tick(50)
	var left, right []int16
	for i := 0; i < len(pcm); i += 2 {
		left, right = append(left, pcm[i]), append(right, pcm[i+1])
	}
	if l, r := toneLevel(left, 500), toneLevel(right, 500); channels != 2 || l < r+6 {
		t.Errorf("with %d channels at the left it is heard with %.0f and %.0f dB", channels, l, r)
	}
	pcm = nil
	r.Remove()
	g.tick(5)
	if pcm != nil {
		t.Error("it goes on after Remove")
	}
	last = time.Time{}
}

// Who takes each voice by itself gets those that its owner hears, as loud and from
// where it hears them, with the timestamps of their packets.
func TestVoicesByThemselves(t *testing.T) {
	g := newRig(t, bridge.Config{})
	a, b := g.mic(1, whistle(500)), g.mic(2, whistle(1500))
	g.mic(3, whistle(800))
	type block struct {
		due      time.Time
		ts       uint32
		channels int
	}
	pcm, blocks := map[*bridge.Source][]int16{}, map[*bridge.Source][]block{}
	r := g.br.AddReceiver(bridge.ReceiverConfig{Owner: 3, Voice: func(s *bridge.Source, p []int16, n int, due time.Time) {
		pcm[s] = append(pcm[s], p...)
		blocks[s] = append(blocks[s], block{due, s.Timestamp(), n})
	}})
	g.tick(100)
	if len(pcm) != 2 {
		t.Fatalf("%d voices are told, one's own among them perhaps", len(pcm))
	}
	for _, m := range []*mic{a, b} {
		hz, other := 500.0, 1500.0
		if m == b {
			hz, other = other, hz
		}
		said := pcm[m.src][len(pcm[m.src])/2:]
		if l, o := toneLevel(said, hz), toneLevel(said, other); l < -17 || o > -60 {
			t.Errorf("a voice of %.0f Hz has %.0f dB, and %.0f of the other", hz, l, o)
		}
		list := blocks[m.src]
		for i := 1; i < len(list); i++ {
			if d := list[i].due.Sub(list[i-1].due); d != 20*time.Millisecond || list[i].channels != 1 {
				t.Errorf("a block of %d channels %v after the one before", list[i].channels, d)
			}
		}
		last := list[len(list)-1]
		if !last.due.Equal(blocks[a.src][len(blocks[a.src])-1].due) {
			t.Error("the voices' last blocks are of different times")
		}
		// What is told was sent up to 60 ms before.
		if late := int32(m.ts - last.ts); late < 0 || late > 3*960 {
			t.Errorf("the last block has timestamp %d, the last packet %d", last.ts, m.ts)
		}
	}
	if n := g.br.Stats().Encoded; n != 0 {
		t.Errorf("%d frames were encoded for nobody", n)
	}
	r.SetGain(b.src, 0)
	a.src.SetPosition(mixer.Vector{0, 5, 0})
	r.SetPose(mixer.Pose{Forward: mixer.Vector{1, 0, 0}, Right: mixer.Vector{0, 1, 0}, Up: mixer.Vector{0, 0, 1}})
	g.tick(10)
	clear(pcm)
	g.tick(50)
	var left, right []int16
	for i := 0; i < len(pcm[a.src]); i += 2 {
		left, right = append(left, pcm[a.src][i]), append(right, pcm[a.src][i+1])
	}
	if l, r := toneLevel(left, 500), toneLevel(right, 500); len(pcm) != 1 || r < -17 || l > -60 {
		t.Errorf("of %d voices the one at the right has %.0f and %.0f dB", len(pcm), l, r)
	}
}
