package jitter

import (
	"slices"
	"testing"
	"time"
)

// A rig drives a buffer by hand, in virtual time.
type rig struct {
	t    testing.TB
	b    *Buffer
	dec  *fakeDecoder
	now  time.Time
	pcm  []int16
	res  Result // sums of the pulls of the last play
	seq  uint16
	ts   uint32
	next uint32 // number of the next packet
}

func newRig(t testing.TB, cfg Config) *rig {
	t.Helper()
	if cfg.SampleRate == 0 {
		cfg.SampleRate = 48000
	}
	if cfg.Channels == 0 {
		cfg.Channels = 1
	}
	dec := &fakeDecoder{ch: cfg.Channels, rate: cfg.SampleRate, record: true}
	cfg.Decoder = dec
	if cfg.HasFEC == nil {
		cfg.HasFEC = fakeFEC
	}
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, b: b, dec: dec, now: time.Unix(1000, 0), seq: 65530, ts: 1<<32 - 4000}
}

// frame makes the next 20 ms packet and leaves it to the caller to push.
func (g *rig) frame(fec bool) Packet {
	p := Packet{SequenceNumber: g.seq, Timestamp: g.ts, Payload: fakePacket(g.next, 8, fec)}
	g.seq++
	g.ts += 960
	g.next++
	return p
}

func (g *rig) push(p Packet) {
	p.Arrival = g.now.Add(-3 * time.Millisecond)
	g.b.Push(p)
}

// pull plays n pulls of 10 ms and returns the sound.
func (g *rig) pull(n int) []int16 {
	size := g.b.rate / 100 * g.b.ch
	g.res = Result{Level: -127}
	start := len(g.pcm)
	for range n {
		g.pcm = append(g.pcm, make([]int16, size)...)
		out := g.pcm[len(g.pcm)-size:]
		for i := range out {
			out[i] = -12345 // must all be overwritten
		}
		r := g.b.Pull(out, g.now)
		if slices.Contains(out, -12345) {
			g.t.Fatal("a pull was not filled")
		}
		if r.Decoded+r.Concealed+r.Silent != size/g.b.ch {
			g.t.Fatalf("%+v does not add up to %d", r, size/g.b.ch)
		}
		g.res.Active = g.res.Active || r.Active
		g.res.Decoded += r.Decoded
		g.res.Concealed += r.Concealed
		g.res.Silent += r.Silent
		g.res.Timestamp = r.Timestamp // of the last
		if r.HasLevel {
			g.res.HasLevel, g.res.Level = true, max(g.res.Level, r.Level)
		}
		g.now = g.now.Add(10 * time.Millisecond)
	}
	return g.pcm[start:]
}

// call is n frames on time.
func (g *rig) call(n int) {
	for range n {
		g.push(g.frame(false))
		g.pull(2)
	}
}

func (g *rig) want(what string, got, want uint64) {
	g.t.Helper()
	if got != want {
		g.t.Errorf("%s = %d, want %d\n%+v", what, got, want, g.b.Stats())
	}
}

func (g *rig) balanced() Stats {
	g.t.Helper()
	s := g.b.Stats()
	if sum := s.Played + s.Late + s.Duplicate + s.Discarded + s.DecodeErrors + uint64(s.Buffered); sum != s.Received {
		g.t.Fatalf("%d packets received, %d accounted for: %+v", s.Received, sum, s)
	}
	return s
}

// played checks that the packets from first on were decoded in order.
func (g *rig) played(ids ...uint32) {
	g.t.Helper()
	if !slices.Equal(g.dec.played, ids) {
		g.t.Errorf("played %v, want %v", g.dec.played, ids)
	}
}
