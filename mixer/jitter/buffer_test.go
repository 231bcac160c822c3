package jitter

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"
)

func TestCleanCallAtOnce(t *testing.T) {
	g := newRig(t, Config{})
	g.pull(3)
	g.call(10)
	s := g.balanced()
	g.played(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	g.want("concealed", s.ConcealedSamples, 0)
	g.want("resyncs", s.Resyncs, 0)
	// Bit for bit from the next pull on, but for the fade-in of 2.5 ms.
	sound := g.pcm[3*480:]
	for i := 120; i < len(sound); i++ {
		if want := fakeValue(uint32(i / 960)); sound[i] != want {
			t.Fatalf("sample %d is %d, want %d", i, sound[i], want)
		}
	}
}

// A frame that comes between two pulls of another length starts in the middle
// of a pull only if the one before it ended there.
func TestOddPulls(t *testing.T) {
	for _, n := range []int{1, 7, 120, 441, 480, 1000, 1023, 4000} {
		g := newRig(t, Config{MinDelay: 0})
		pcm := make([]int16, n)
		pulled := 0
		var sound []int16
		for i := range 100 {
			g.push(g.frame(false))
			for ; pulled+n <= (i+1)*960; pulled += n {
				g.b.Pull(pcm, g.now.Add(time.Duration(pulled)*time.Second/48000))
				sound = append(sound, pcm...)
			}
		}
		s := g.balanced()
		if n <= 960 {
			g.want("concealed", s.ConcealedSamples, 0)
		}
		if s.DecodedSamples == 0 || len(sound) != pulled {
			t.Errorf("pulls of %d: %+v", n, s)
		}
	}
}

func TestReorderAndDuplicate(t *testing.T) {
	g := newRig(t, Config{MinDelay: 40 * time.Millisecond})
	g.pull(1)
	g.call(12) // builds the delay up to 40 ms
	before := g.b.Stats()
	a, b, c := g.frame(false), g.frame(false), g.frame(false)
	g.push(c)
	g.push(a)
	g.push(a)
	g.push(b)
	g.pull(10)
	g.push(a) // long played
	s := g.balanced()
	g.want("reordered", s.Reordered-before.Reordered, 2)
	g.want("duplicate", s.Duplicate, 2)
	g.want("lost", s.Lost, 0)
	if !slices.IsSorted(g.dec.played) || len(g.dec.played) != 15 {
		t.Errorf("played %v", g.dec.played)
	}
}

func TestLossConcealed(t *testing.T) {
	g := newRig(t, Config{})
	g.call(5)
	g.frame(false) // never sent
	g.pull(2)
	g.call(5)
	s := g.balanced()
	g.want("lost", s.Lost, 1)
	g.want("concealed", s.ConcealedSamples, 960)
	g.want("played", s.Played, 10)
	if d := g.b.delay; d != g.b.est.least() {
		t.Errorf("delay %d after the loss, %d before", d, g.b.est.least())
	}
}

func TestLossRecovered(t *testing.T) {
	g := newRig(t, Config{MinDelay: 30 * time.Millisecond})
	g.pull(1)
	g.call(20)
	base := g.b.Stats()
	g.frame(true) // lost
	g.pull(2)
	g.push(g.frame(true))
	sound := g.pull(3)
	held := g.b.Stats()
	g.pull(4)
	s := g.balanced()
	g.want("lost", s.Lost, 1)
	g.want("recovered", s.FECRecovered, 1)
	g.want("concealed by then", held.ConcealedSamples-base.ConcealedSamples, 0)
	if !slices.Contains(sound, fakeValue(20)) {
		t.Error("the recovered frame is not in the sound")
	}
}

// With loss and copies to be had, the delay grows by the frame that it takes
// to use them.
func TestDelayGrowsForFEC(t *testing.T) {
	recovered := func(fec bool) (share float64, delay int64) {
		g := newRig(t, Config{})
		for i := range 500 {
			p := g.frame(fec)
			if i%20 != 10 {
				g.push(p)
			}
			g.pull(2)
		}
		s := g.balanced()
		return float64(s.FECRecovered) / float64(s.Lost), g.b.delay - g.b.est.least()
	}
	if share, delay := recovered(true); share < 0.8 || delay < 700 || delay > 1500 {
		t.Errorf("with copies: %.2f recovered, delay %d", share, delay)
	}
	if share, delay := recovered(false); share != 0 || delay > 100 {
		t.Errorf("without copies: %.2f recovered, delay %d", share, delay)
	}
}

func TestConcealmentFades(t *testing.T) {
	g := newRig(t, Config{})
	g.call(5)
	sound := g.pull(6)
	if sound[0] == 0 || sound[len(sound)-1] == 0 {
		t.Error("60 ms of concealment are not at full strength")
	}
	sound = g.pull(6)
	for i := 1; i < len(sound); i++ {
		if sound[i] > sound[i-1] {
			t.Fatalf("concealment grows louder at %d", i)
		}
	}
	if !g.res.Active && g.res.Concealed != 6*480 {
		t.Errorf("%+v", g.res)
	}
	sound = g.pull(5)
	if slices.Max(sound) != 0 || slices.Min(sound) != 0 || g.res.Silent != 5*480 || g.res.Active {
		t.Errorf("no silence after 120 ms: %+v", g.res)
	}
	calls := g.dec.conceals
	g.pull(100)
	if g.dec.conceals != calls {
		t.Error("the decoder still conceals in silence")
	}
}

// A late packet is played whole, and the delay is longer for it.
func TestLatePlayedWhole(t *testing.T) {
	g := newRig(t, Config{})
	g.call(5)
	delay := g.b.delay
	p := g.frame(false)
	g.pull(1) // 10 ms without it
	g.push(p)
	g.pull(2)
	g.want("played", g.b.Stats().Played, 6)
	g.want("concealed", g.b.Stats().ConcealedSamples, 480)
	if g.b.delay != delay+480 {
		t.Errorf("delay grew by %d, want 480", g.b.delay-delay)
	}
	g.push(g.frame(false)) // 10 ms later than it could
	g.pull(2)
	g.call(3)
	s := g.balanced()
	g.want("concealed in all", s.ConcealedSamples, 480)
}

func TestTooLate(t *testing.T) {
	g := newRig(t, Config{})
	g.call(5)
	p := g.frame(false)
	g.pull(2)
	g.call(1)
	g.want("lost", g.b.Stats().Lost, 1)
	g.push(p)
	s := g.balanced()
	g.want("late", s.Late, 1)
	g.want("lost after all", s.Lost, 0)
	g.push(p)
	g.want("duplicate", g.balanced().Duplicate, 1)
}

func TestDecodeErrors(t *testing.T) {
	g := newRig(t, Config{})
	g.call(10)
	for i := range 20 {
		p := g.frame(false)
		switch i % 4 {
		case 0:
			p.Payload = []byte("corrupt")
		case 1:
			p.Payload = fakePacket(1, 0, false) // decodes to nothing
		case 2:
			p.Payload = fakePacket(1, 60000, false) // says it is longer than its place
		}
		g.push(p)
		g.pull(2)
	}
	g.call(10)
	s := g.balanced()
	g.want("decode errors", s.DecodeErrors, 15)
	g.want("played", s.Played, 25)
	g.want("lost", s.Lost, 0)
	if s.ConcealedSamples < 14*960 || s.ConcealedSamples > 16*960 {
		t.Errorf("%d concealed for 15 frames", s.ConcealedSamples)
	}
}

func TestGarbageLengths(t *testing.T) {
	g := newRig(t, Config{})
	g.call(2)
	for _, n := range []int{0, 1501, 65535} {
		p := g.frame(false)
		g.seq--
		g.ts -= 960
		p.Payload = make([]byte, n)
		g.push(p)
	}
	g.want("discarded", g.balanced().Discarded, 3)
	g.call(2)
	g.want("played", g.balanced().Played, 4)
}

// Frames of every length in turn.
func TestMixedFrames(t *testing.T) {
	for _, ch := range []int{1, 2} {
		for _, rate := range []int{8000, 16000, 48000} {
			g := newRig(t, Config{SampleRate: rate, Channels: ch})
			units := []int{1, 2, 4, 8, 16, 24, 48, 1, 1, 32, 40}
			var total, due int
			for i := range 300 {
				u := units[i%len(units)]
				p := Packet{SequenceNumber: g.seq, Timestamp: g.ts, Payload: fakePacket(uint32(i), uint16(u), false)}
				g.seq++
				g.ts += uint32(u * 120)
				// It comes when it has been spoken, as from a real sender.
				total += u
				for due+4 <= total {
					due += 4
					g.pull(1)
				}
				g.push(p)
			}
			g.pull(20)
			s := g.balanced()
			if s.Played != 300 || s.Lost != 0 {
				t.Errorf("%d Hz, %d channels: %+v", rate, ch, s)
			}
			if share := float64(s.ConcealedSamples) / float64(s.DecodedSamples); share > 0.08 {
				t.Errorf("%d Hz, %d channels: %.3f concealed", rate, ch, share)
			}
		}
	}
}

func TestLevel(t *testing.T) {
	g := newRig(t, Config{})
	g.dec.tone = 1000 // amplitude 8000: -15.26 dBov
	g.call(10)
	g.pull(0)
	g.push(g.frame(false))
	g.pull(2)
	if !g.res.HasLevel || math.Abs(g.res.Level-(-15.26)) > 0.1 || !g.res.Active {
		t.Errorf("%+v", g.res)
	}
	g.pull(20) // nothing comes
	if g.res.HasLevel || g.res.Active {
		t.Errorf("made-up sound has a level: %+v", g.res)
	}
	// Comfort noise, as Opus packets of two bytes.
	n := newRig(t, Config{})
	n.b.cfg.Decoder = comfortDecoder{n.dec}
	for range 10 {
		p := n.frame(false)
		p.Payload = p.Payload[:2]
		n.push(p)
		n.pull(2)
		if n.res.Active || n.res.HasLevel {
			t.Fatalf("comfort noise is active: %+v", n.res)
		}
	}
	n.want("played", n.balanced().Played, 10)
}

type comfortDecoder struct{ *fakeDecoder }

func (d comfortDecoder) Decode(_ []byte, pcm []int16) (int, error) {
	d.fillPCM(pcm[:960], 0, 0)
	return 960, nil
}

// Packets from before the sink began are old: it starts with the newest.
func TestSinkStartsLate(t *testing.T) {
	g := newRig(t, Config{})
	for range 30 {
		g.push(g.frame(false))
		g.now = g.now.Add(20 * time.Millisecond)
	}
	g.call(20)
	g.balanced()
	if d := g.b.lastTS - g.b.pos(); d > 960 {
		t.Errorf("%d samples wait", d)
	}
	if g.dec.played[0] < 28 {
		t.Errorf("began with packet %d of 30", g.dec.played[0])
	}
}

func TestConfigErrors(t *testing.T) {
	dec := &fakeDecoder{ch: 1, rate: 48000}
	for name, cfg := range map[string]Config{
		"no decoder": {}, "rate": {Decoder: dec, SampleRate: 44100}, "clock": {Decoder: dec, ClockRate: 8000},
		"channels": {Decoder: dec, Channels: 3}, "short": {Decoder: dec, MaxDelay: time.Millisecond},
		"long": {Decoder: dec, MaxDelay: time.Hour}, "min": {Decoder: dec, MinDelay: time.Second},
		"negative": {Decoder: dec, MinDelay: -1},
	} {
		if b, err := New(cfg); !errors.Is(err, ErrConfig) || b != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConcurrent(t *testing.T) {
	g := newRig(t, Config{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 2000 {
			g.b.Push(g.frame(true))
			g.b.Stats()
		}
	}()
	pcm := make([]int16, 480)
	for i := range 2000 {
		g.b.Pull(pcm, time.Time{})
		if i%500 == 0 {
			g.b.Reset()
		}
	}
	<-done
	g.balanced()
}

func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	g := newRig(t, Config{MinDelay: 30 * time.Millisecond})
	g.dec.record, g.dec.tone = false, 220
	pcm := make([]int16, 480)
	payload := fakePacket(1, 8, true)
	p := Packet{Payload: payload}
	i := 0
	step := func() {
		i++
		p.SequenceNumber++
		p.Timestamp += 960
		p.Arrival = g.now.Add(-time.Millisecond)
		if i%13 != 0 { // some are lost
			g.b.Push(p)
		}
		if i%50 == 0 {
			g.b.Push(p) // and some come twice
			g.b.Stats()
		}
		for range 2 {
			g.b.Pull(pcm, g.now)
			g.now = g.now.Add(10 * time.Millisecond)
		}
	}
	for range 200 {
		step()
	}
	if n := testing.AllocsPerRun(500, step); n != 0 {
		t.Errorf("%v allocations per packet and two pulls", n)
	}
}
