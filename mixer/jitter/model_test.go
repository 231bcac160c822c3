package jitter

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// check holds the invariants that no input may break.
func (g *rig) check(t interface{ Fatalf(string, ...any) }) {
	b, s := g.b, g.b.Stats()
	if sum := s.Played + s.Late + s.Duplicate + s.Discarded + s.DecodeErrors + uint64(s.Buffered); sum != s.Received {
		t.Fatalf("%d packets received, %d accounted for: %+v", s.Received, sum, s)
	}
	if s.Lost > 1<<40 || s.ConcealedSamples > 1<<40 {
		t.Fatalf("a counter went below zero: %+v", s)
	}
	full := 0
	for i := range b.ring {
		if b.ring[i].full {
			full++
		}
		if cap(b.ring[i].payload) > maxPayload {
			t.Fatalf("a slot of %d bytes", cap(b.ring[i].payload))
		}
	}
	if full != b.count || full > slots {
		t.Fatalf("%d packets wait, count is %d", full, b.count)
	}
	if len(b.pcm) != 10*b.frame*b.ch || b.r > b.w || b.w > len(b.pcm) {
		t.Fatalf("pcm[%d:%d] of %d", b.r, b.w, len(b.pcm))
	}
}

// TestModel plays any sequence of packets and pulls against the invariants.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ch := rapid.IntRange(1, 2).Draw(t, "channels")
		rate := rapid.SampledFrom([]int{8000, 24000, 48000}).Draw(t, "rate")
		dec := &fakeDecoder{ch: ch, rate: rate, record: true}
		b, err := New(Config{Decoder: dec, Channels: ch, SampleRate: rate, HasFEC: fakeFEC,
			MinDelay: time.Duration(rapid.IntRange(0, 60).Draw(t, "min")) * time.Millisecond,
			MaxDelay: time.Duration(rapid.IntRange(60, 400).Draw(t, "max")) * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		g := &rig{b: b, dec: dec, now: time.Unix(1000, 0)}
		seq := rapid.Uint16().Draw(t, "seq")
		ts := rapid.Uint32().Draw(t, "ts")
		id := uint32(0)
		units := uint16(8)
		var out int
		t.Repeat(map[string]func(*rapid.T){
			"next": func(t *rapid.T) {
				n := rapid.IntRange(1, 8).Draw(t, "packets")
				for range n {
					g.b.Push(Packet{SequenceNumber: seq, Timestamp: ts, Arrival: g.now, Payload: fakePacket(id, units, id%3 == 0)})
					seq, ts, id = seq+1, ts+uint32(units)*120, id+1
				}
			},
			"lose": func(t *rapid.T) {
				n := rapid.IntRange(1, 5).Draw(t, "packets")
				seq, ts, id = seq+uint16(n), ts+uint32(n)*uint32(units)*120, id+uint32(n)
			},
			"pause": func(t *rapid.T) { ts += rapid.Uint32Range(0, 200000).Draw(t, "units") },
			"length": func(t *rapid.T) {
				units = rapid.SampledFrom([]uint16{1, 2, 4, 8, 16, 24, 48}).Draw(t, "units")
			},
			"old": func(t *rapid.T) {
				n := rapid.IntRange(1, 80).Draw(t, "back")
				g.b.Push(Packet{SequenceNumber: seq - uint16(n), Timestamp: ts - uint32(n)*uint32(units)*120,
					Arrival: g.now, Payload: fakePacket(id-uint32(n), units, true)})
			},
			"corrupt": func(t *rapid.T) {
				g.b.Push(Packet{SequenceNumber: seq, Timestamp: ts, Payload: make([]byte, rapid.IntRange(0, 1600).Draw(t, "bytes"))})
				seq, ts = seq+1, ts+uint32(units)*120
			},
			"any": func(t *rapid.T) {
				g.b.Push(Packet{SequenceNumber: rapid.Uint16().Draw(t, "s"), Timestamp: rapid.Uint32().Draw(t, "t"),
					Marker: rapid.Bool().Draw(t, "m"), Arrival: g.now, Payload: fakePacket(id, units, true)})
			},
			"pull": func(t *rapid.T) {
				n := rapid.IntRange(0, 3000).Draw(t, "samples") * ch
				pcm := make([]int16, n)
				for i := range pcm {
					pcm[i] = -12345
				}
				res := g.b.Pull(pcm, g.now)
				g.now = g.now.Add(time.Duration(n/ch) * time.Second / time.Duration(rate))
				out += n / ch
				if slices.Contains(pcm, -12345) {
					t.Fatalf("a pull of %d was not filled: %+v", n, res)
				}
				if res.Decoded+res.Concealed+res.Silent != n/ch {
					t.Fatalf("a pull of %d: %+v", n/ch, res)
				}
				if wait := g.b.lastTS - g.b.pos(); g.b.count > 0 && g.b.playing && n > 0 && wait > g.b.limit {
					t.Fatalf("the newest packet waits %d samples, more than %d", wait, g.b.limit)
				}
			},
			"wait": func(t *rapid.T) {
				g.now = g.now.Add(time.Duration(rapid.IntRange(0, 500).Draw(t, "ms")) * time.Millisecond)
			},
			"reset": func(t *rapid.T) { g.b.Reset() },
			"": func(t *rapid.T) {
				g.check(t)
				s := g.b.Stats()
				if total := s.DecodedSamples + s.ConcealedSamples + s.SilentSamples; total != uint64(out) {
					t.Fatalf("%d samples accounted for, %d pulled", total, out)
				}
				if uint64(len(dec.played)) != s.Played {
					t.Fatalf("%d packets decoded, %d played", len(dec.played), s.Played)
				}
			},
		})
	})
}

// FuzzPush feeds packets and pulls from bytes: 14 a step.
func FuzzPush(f *testing.F) {
	step := func(seq uint16, ts uint32, kind byte, units uint16, pull uint16, wait byte) []byte {
		b := binary.BigEndian.AppendUint16(nil, seq)
		b = binary.BigEndian.AppendUint32(b, ts)
		b = append(b, kind)
		b = binary.BigEndian.AppendUint16(b, units)
		b = binary.BigEndian.AppendUint16(b, pull)
		return append(b, wait)
	}
	var clean, wild []byte
	for i := range uint32(20) {
		clean = append(clean, step(uint16(65530+i), i*960-5000, 0, 8, 960, 20)...)
		wild = append(wild, step(uint16(i*i*700), i*i*i*99991, byte(i), uint16(i*3), uint16(i*97), byte(i*13))...)
	}
	f.Add(clean)
	f.Add(wild)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		dec := &fakeDecoder{ch: 1, rate: 48000}
		b, err := New(Config{Decoder: dec, HasFEC: fakeFEC})
		if err != nil {
			t.Fatal(err)
		}
		g := &rig{b: b, dec: dec, now: time.Unix(1000, 0)}
		pcm := make([]int16, 4096)
		for n := 0; len(data) >= 12 && n < 2000; n++ {
			d := data[:12]
			data = data[12:]
			kind := d[6]
			p := Packet{SequenceNumber: binary.BigEndian.Uint16(d), Timestamp: binary.BigEndian.Uint32(d[2:]), Marker: kind&1 != 0}
			if kind&2 == 0 {
				p.Arrival = g.now
			}
			p.Payload = fakePacket(uint32(n), binary.BigEndian.Uint16(d[7:]), kind&4 != 0)
			if kind&8 != 0 {
				p.Payload = d[:kind>>4&7]
			}
			b.Push(p)
			if pull := int(binary.BigEndian.Uint16(d[9:])) % 4097; kind&128 == 0 {
				res := b.Pull(pcm[:pull], g.now)
				if res.Decoded+res.Concealed+res.Silent != pull {
					t.Fatalf("a pull of %d: %+v", pull, res)
				}
			}
			g.now = g.now.Add(time.Duration(d[11]) * time.Millisecond)
			g.check(t)
		}
	})
}
