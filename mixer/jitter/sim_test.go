package jitter

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"sort"
	"testing"
	"time"
)

// A fakeDecoder plays packets made by fakePacket: every sample of a packet has
// the packet's number as its value, or a tone goes on through all packets.
type fakeDecoder struct {
	ch, rate int
	tone     float64 // Hz; 0 plays numbers
	played   []uint32
	record   bool
	conceals int
	recovers int
	resets   int
	fail     bool
	last     int16
}

// second is one period of a sine in a second at 48 kHz.
var second = func() (s [48000]int16) {
	for i := range s {
		s[i] = int16(8000 * math.Sin(2*math.Pi*float64(i)/float64(len(s))))
	}
	return s
}()

var errFake = errors.New("fake: corrupt")

// fakePacket is 8 bytes: number, length in 2.5 ms, flags.
func fakePacket(id uint32, units uint16, fec bool) []byte {
	p := make([]byte, 8)
	binary.BigEndian.PutUint32(p, id)
	binary.BigEndian.PutUint16(p[4:], units)
	if fec {
		p[6] = 1
	}
	return p
}

func fakeFEC(p []byte) bool { return len(p) == 8 && p[6] == 1 }

func fakeValue(id uint32) int16 { return int16(1000 + id%20000) }

func (d *fakeDecoder) fillPCM(pcm []int16, id uint32, off int) {
	n := len(pcm) / d.ch
	for i := range n {
		v := fakeValue(id)
		if d.tone > 0 {
			t := int64(id)*int64(n) + int64(i+off)
			v = second[t*int64(d.tone)%int64(d.rate)*int64(len(second))/int64(d.rate)]
		}
		for c := range d.ch {
			pcm[i*d.ch+c] = v
		}
	}
	d.last = fakeValue(id)
}

func (d *fakeDecoder) Decode(p []byte, pcm []int16) (int, error) {
	if d.fail || len(p) != 8 {
		return 0, errFake
	}
	n := int(binary.BigEndian.Uint16(p[4:])) * d.rate / 400
	if n == 0 || n > len(pcm)/d.ch {
		return n, nil // a decoder that lies: the buffer must see it
	}
	id := binary.BigEndian.Uint32(p)
	if d.record {
		d.played = append(d.played, id)
	}
	d.fillPCM(pcm[:n*d.ch], id, 0)
	return n, nil
}

func (d *fakeDecoder) DecodeFEC(p []byte, pcm []int16) error {
	if len(p) != 8 {
		return errFake
	}
	d.recovers++
	d.fillPCM(pcm, binary.BigEndian.Uint32(p)-1, 0)
	return nil
}

func (d *fakeDecoder) Conceal(pcm []int16) error {
	d.conceals++
	if len(pcm)%(d.ch*d.rate/400) != 0 || len(pcm) > d.ch*d.rate/400*48 {
		panic("Conceal of an illegal length")
	}
	for i := range pcm {
		pcm[i] = d.last
	}
	return nil
}

func (d *fakeDecoder) Reset() error { d.resets++; return nil }

// A scene is a simulated call: everything in it is virtual time.
type scene struct {
	length   time.Duration
	units    int                              // frame length in 2.5 ms
	pull     time.Duration                    // length of a pull
	pullWait func(r *rand.Rand) time.Duration // how late a pull comes
	netWait  func(r *rand.Rand, t time.Duration) time.Duration
	loss     float64
	fec      bool
	drift    float64 // of the sender's clock, parts per million
	fifo     bool    // the network keeps the order
	quiet    func(t time.Duration) bool
	tone     float64
	seed     uint64
	phase    float64 // of the pulls against the frames, 0 to 1
}

type outcome struct {
	Stats
	waits []float64 // ms from arrival to play, by packet played
	pulls int
}

func (o outcome) mean() float64 {
	var s float64
	for _, w := range o.waits {
		s += w
	}
	return s / float64(max(1, len(o.waits)))
}

func (o outcome) quantile(q float64) float64 {
	w := append([]float64(nil), o.waits...)
	sort.Float64s(w)
	if len(w) == 0 {
		return 0
	}
	return w[min(len(w)-1, int(q*float64(len(w))))]
}

func (o outcome) concealed() float64 {
	return float64(o.ConcealedSamples) / float64(max(1, o.DecodedSamples+o.ConcealedSamples))
}

func (s scene) run(tb testing.TB) outcome {
	tb.Helper()
	r := rand.New(rand.NewPCG(s.seed, 7))
	dec := &fakeDecoder{ch: 1, rate: 48000, tone: s.tone}
	b, err := New(Config{Decoder: dec, HasFEC: fakeFEC})
	if err != nil {
		tb.Fatal(err)
	}
	type arrival struct {
		at time.Duration
		p  Packet
	}
	start := time.Unix(1000, 0)
	frame := time.Duration(s.units) * 2500 * time.Microsecond
	var in []arrival
	last := time.Duration(0)
	seq := uint16(65000)
	ts := uint32(1<<32 - 50000)
	for i := range int(s.length / frame) {
		t := time.Duration(float64(frame) * float64(i) * (1 - s.drift/1e6))
		ts += uint32(s.units * 120)
		if s.quiet != nil && s.quiet(t) {
			continue
		}
		seq++
		at := t + s.netWait(r, t)
		if s.fifo {
			at = max(at, last)
			last = at
		}
		if r.Float64() < s.loss {
			continue
		}
		in = append(in, arrival{at, Packet{SequenceNumber: seq, Timestamp: ts, Arrival: start.Add(at),
			Payload: fakePacket(uint32(i), uint16(s.units), s.fec)}})
	}
	sort.SliceStable(in, func(i, j int) bool { return in[i].at < in[j].at })
	n := int(s.pull * 48000 / time.Second)
	pcm := make([]int16, n)
	phase := time.Duration(s.phase * float64(s.pull))
	var o outcome
	k := 0
	for t := phase; t < s.length; t += s.pull {
		now := t + s.pullWait(r)
		for ; k < len(in) && in[k].at <= now; k++ {
			b.Push(in[k].p)
		}
		before := b.stats.Played
		b.wait = 0
		b.Pull(pcm, start.Add(now))
		if d := b.stats.Played - before; d == 1 {
			o.waits = append(o.waits, b.wait*16/1e6)
		}
		o.pulls++
	}
	o.Stats = b.Stats()
	return o
}

func uniform(most time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration { return time.Duration(r.Float64() * float64(most)) }
}

func netUniform(most time.Duration) func(*rand.Rand, time.Duration) time.Duration {
	return func(r *rand.Rand, _ time.Duration) time.Duration { return time.Duration(r.Float64() * float64(most)) }
}

// spiky is a machine: nearly always quick, now and then not.
func spiky(r *rand.Rand) time.Duration {
	d := time.Duration(r.ExpFloat64() * 0.2e6)
	if r.Float64() < 0.002 {
		d += time.Duration(r.Float64() * 5e6)
	}
	return d
}

// wifi holds everything back for 30 to 120 ms every three seconds or so.
func wifi() func(*rand.Rand, time.Duration) time.Duration {
	var from, to time.Duration
	return func(r *rand.Rand, t time.Duration) time.Duration {
		if t == 0 { // another run
			from, to = 0, 0
		}
		if t >= to {
			from = t + time.Duration(r.ExpFloat64()*3e9)
			to = from + 30*time.Millisecond + time.Duration(r.Float64()*90e6)
		}
		d := time.Duration(r.Float64() * 4e6)
		if t >= from && t < to {
			d += to - t
		}
		return d
	}
}

// TestDelay holds what the buffer is for: how long a packet waits, and how
// rarely the sound breaks. Each scene is played with several phases of sender
// and sink; -v shows the numbers.
func TestDelay(t *testing.T) {
	exact, loopback := netUniform(0), netUniform(2*time.Millisecond)
	machine := func(r *rand.Rand, _ time.Duration) time.Duration { return spiky(r) }
	sink := uniform(2 * time.Millisecond)
	for _, c := range []struct {
		name      string
		s         scene
		mean      float64 // ms from arrival to the turn of the first sample, at most
		concealed float64 // percent, at most
	}{
		// Half a pull on average is the phase, which nobody can choose.
		{"exact", scene{netWait: exact, pullWait: uniform(0)}, 6.5, 0.01},
		{"loopback", scene{netWait: loopback, pullWait: sink}, 10, 0.05},
		{"spiky machine", scene{netWait: machine, pullWait: spiky}, 10, 0.05},
		{"pulls of 5 ms", scene{pull: 5e6, netWait: loopback, pullWait: sink}, 8, 0.05},
		{"pulls of 20 ms", scene{pull: 20e6, netWait: loopback, pullWait: sink}, 16, 0.1},
		{"frames of 60 ms", scene{units: 24, netWait: loopback, pullWait: sink}, 10, 0.05},
		{"frames of 5 ms", scene{units: 2, netWait: loopback, pullWait: sink}, 10, 0.05},
		{"sender 500 ppm fast", scene{drift: 500, netWait: loopback, pullWait: sink}, 16, 0.1},
		{"sender 500 ppm slow", scene{drift: -500, netWait: loopback, pullWait: sink}, 12, 0.1},
		{"jitter 0-30 ms", scene{netWait: netUniform(30e6), pullWait: sink}, 25, 0.2},
		// 29 ms and 1.6 % are measured; the bursts are 2.5 % of the time.
		{"Wi-Fi bursts", scene{fifo: true, netWait: wifi(), pullWait: sink}, 40, 2.2},
		{"5 % lost", scene{loss: 0.05, netWait: loopback, pullWait: sink}, 10, 6},
		{"5 % lost, FEC", scene{loss: 0.05, fec: true, netWait: loopback, pullWait: sink}, 30, 1.3},
		{"longer way from 10 s on", scene{pullWait: sink, netWait: func(r *rand.Rand, t time.Duration) time.Duration {
			if t > 10*time.Second {
				return 100*time.Millisecond + netUniform(20e6)(r, t)
			}
			return loopback(r, t)
		}}, 18, 0.8},
		{"clock stands in a pause", scene{pullWait: sink, netWait: func(r *rand.Rand, t time.Duration) time.Duration {
			return loopback(r, t) + t/(5*time.Second)*300*time.Millisecond
		}}, 10, 3},
		{"pauses", scene{netWait: loopback, pullWait: sink, quiet: func(t time.Duration) bool { return t%(3*time.Second) < time.Second }}, 10, 0.1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var all outcome
			for seed := range uint64(simSeeds) {
				s := c.s
				s.seed, s.length, s.tone = seed, 30*time.Second, 220
				s.phase = (float64(seed) + 0.5) / simSeeds
				if s.units == 0 {
					s.units = 8
				}
				if s.pull == 0 {
					s.pull = 10 * time.Millisecond
				}
				all.add(s.run(t))
			}
			t.Logf("wait mean %.1f p50 %.1f p99 %.1f ms, concealed %.4f %%, cut %.3f %%, stretched %.3f %%, late %d lost %d recovered %d",
				all.mean(), all.quantile(.5), all.quantile(.99), 100*all.concealed(), all.share(all.CutSamples), all.share(all.StretchedSamples),
				all.Late, all.Lost, all.FECRecovered)
			if m := all.mean(); m > c.mean {
				t.Errorf("a packet waits %.1f ms on average, more than %.1f", m, c.mean)
			}
			if p := 100 * all.concealed(); p > c.concealed {
				t.Errorf("%.4f %% concealed, more than %.2f", p, c.concealed)
			}
		})
	}
}

func (o outcome) share(samples uint64) float64 {
	return 100 * float64(samples) / float64(max(1, o.DecodedSamples))
}

func (o *outcome) add(p outcome) {
	o.waits = append(o.waits, p.waits...)
	o.DecodedSamples += p.DecodedSamples
	o.ConcealedSamples += p.ConcealedSamples
	o.CutSamples += p.CutSamples
	o.StretchedSamples += p.StretchedSamples
	o.Late += p.Late
	o.Lost += p.Lost
	o.FECRecovered += p.FECRecovered
}
