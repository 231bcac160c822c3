package forward

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/codec/vp8"
)

// stream makes the packets of a video as a sender would: frames of one to four
// packets, a key frame every so often, temporal layers 0 and 1 in turn.
type stream struct {
	layer int
	seq   uint16
	ts    uint32
	desc  vp8.Descriptor
	n     int
}

func newStream(layer int, rng *rand.Rand) *stream {
	return &stream{layer: layer, seq: uint16(rng.Uint32()), ts: rng.Uint32(), desc: vp8.Descriptor{
		PictureIDBits: 15, PictureID: uint16(rng.Uint32()) & 0x7FFF, HasTL0PICIDX: true, TL0PICIDX: uint8(rng.Uint32()), HasTID: true,
	}}
}

// frame appends the packets of the next frame.
func (s *stream) frame(rng *rand.Rand, key bool, into [][]byte) [][]byte {
	s.n++
	s.ts += 3000
	s.desc.PictureID = (s.desc.PictureID + 1) & 0x7FFF
	s.desc.TID, s.desc.Sync = uint8(s.n%2), s.n%2 == 1
	if key {
		s.desc.TID, s.desc.Sync = 0, false
	}
	if s.desc.TID == 0 {
		s.desc.TL0PICIDX++
	}
	count := 1 + rng.IntN(4)
	for i := range count {
		s.seq++
		d := s.desc
		d.Start = i == 0
		p := make([]byte, 12, 60)
		p[0], p[1] = 0x80, 96
		if i == count-1 {
			p[1] |= 0x80
		}
		binary.BigEndian.PutUint16(p[2:], s.seq)
		binary.BigEndian.PutUint32(p[4:], s.ts)
		head, _ := d.Marshal()
		p = append(p, head...)
		first := byte(1)
		if key {
			first = 0
		}
		p = append(p, first, byte(s.layer), byte(s.n), byte(s.n>>8), byte(i), byte(count))
		into = append(into, p)
	}
	return into
}

func (s *stream) meta(t testing.TB, p []byte) Meta {
	m, err := ReadMeta(p, 12, binary.BigEndian.Uint16(p[2:]), binary.BigEndian.Uint32(p[4:]), p[1]&0x80 != 0)
	if err != nil {
		t.Fatal(err)
	}
	m.Layer = s.layer
	return m
}

// TestVideoLooksLikeOneStream switches sizes and temporal layers, drops frames
// and lets packets come late: what is sent has numbers without gaps, whole
// frames, picture ids that count by one, and a clock that goes forward.
func TestVideoLooksLikeOneStream(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 7))
		streams := []*stream{newStream(0, rng), newStream(1, rng), newStream(2, rng)}
		v := NewVideo()
		now := time.Unix(1000, 0)
		var out [][]byte
		congested := false
		switched := 0
		last := -1
		for f := range 600 {
			if rng.IntN(40) == 0 {
				v.Want(rng.IntN(3), uint8(rng.IntN(2)))
			}
			if rng.IntN(50) == 0 {
				congested = !congested
			}
			for _, s := range streams {
				for _, p := range s.frame(rng, f%15 == s.layer, nil) {
					m := s.meta(t, p)
					if v.Packet(&m, congested && m.First, now) {
						v.Rewrite(&m, p)
						out = append(out, p)
						if v.Layer() != last {
							last = v.Layer()
							switched++
						}
					}
				}
			}
			now = now.Add(time.Second / 30)
		}
		if switched < 3 || len(out) < 200 {
			t.Fatalf("seed %d: %d packets sent, %d sizes", seed, len(out), switched)
		}
		var seq, pid uint16
		var ts uint32
		var expect, count byte
		for i, p := range out {
			var d vp8.Descriptor
			n, err := d.Unmarshal(p[12:])
			if err != nil {
				t.Fatal(err)
			}
			body := p[12+n:]
			s, at := binary.BigEndian.Uint16(p[2:]), binary.BigEndian.Uint32(p[4:])
			if i > 0 && s != seq+1 {
				t.Fatalf("seed %d: packet %d has number %d after %d", seed, i, s, seq)
			}
			if d.FirstOfFrame() {
				if expect != count {
					t.Fatalf("seed %d: packet %d begins a frame in the middle of one", seed, i)
				}
				if i > 0 && (d.PictureID != (pid+1)&0x7FFF || int32(at-ts) <= 0) {
					t.Fatalf("seed %d: picture %d at %d after %d at %d", seed, d.PictureID, at, pid, ts)
				}
				if i == 0 && body[0]&1 != 0 {
					t.Fatal("it does not begin with a key frame")
				}
				expect, count, pid, ts = 0, body[5], d.PictureID, at
			}
			if body[4] != expect || at != ts {
				t.Fatalf("seed %d: packet %d is part %d of a frame, want %d", seed, i, body[4], expect)
			}
			expect++
			seq = s
		}
	}
}

// TestVideoAgain: what was sent is found again by its number, whatever happened
// since, and comes out of the cache as it was.
func TestVideoAgain(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	streams := []*stream{newStream(0, rng), newStream(1, rng)}
	caches := []*Cache{NewCache(256), NewCache(256)}
	v := NewVideo()
	now := time.Unix(1000, 0)
	got := map[uint16][]byte{}
	var newest uint16
	for f := range 90 {
		v.Want(f/20%2, 1)
		for _, s := range streams {
			for _, p := range s.frame(rng, f%10 == 0, nil) {
				m := s.meta(t, p)
				caches[s.layer].Put(m, p, now)
				if v.Packet(&m, false, now) {
					v.Rewrite(&m, p)
					newest = binary.BigEndian.Uint16(p[2:])
					got[newest] = p
				}
			}
		}
		now = now.Add(time.Second / 30)
	}
	found := 0
	for back := range uint16(60) {
		out := newest - back
		layer, in, ok := v.Again(out, 20*time.Millisecond, now)
		if !ok {
			t.Fatalf("%d packets back: not known", back)
		}
		m, p, _, ok := caches[layer].Get(in, now)
		if !ok {
			continue
		}
		found++
		p = bytes.Clone(p)
		v.RewriteAgain(out, &m, p)
		if !bytes.Equal(p, got[out]) {
			t.Fatalf("sent again as %x, was %x", p, got[out])
		}
		if _, _, ok := v.Again(out, 20*time.Millisecond, now); ok {
			t.Fatal("sent again twice at once")
		}
	}
	if found < 50 {
		t.Errorf("%d of 60 found", found)
	}
	if _, _, ok := v.Again(newest+1, 0, now); ok {
		t.Error("a packet that was never sent is known")
	}
}

// TestVideoLatePackets: a packet that comes late goes where it belongs, if that
// is still there.
func TestVideoLatePackets(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	s := newStream(0, rng)
	v := NewVideo()
	now := time.Unix(1000, 0)
	var packets [][]byte
	for f := range 20 {
		packets = s.frame(rng, f == 0, packets)
	}
	seqs := map[uint16]bool{}
	send := func(p []byte) {
		m := s.meta(t, p)
		if v.Packet(&m, false, now) {
			v.Rewrite(&m, p)
			if n := binary.BigEndian.Uint16(p[2:]); seqs[n] {
				t.Fatalf("number %d twice", n)
			} else {
				seqs[n] = true
			}
		}
	}
	for i, p := range packets {
		if i%5 != 3 {
			send(p)
		}
		if i%5 == 4 {
			send(packets[i-1])
		}
	}
	if len(seqs) < len(packets)-1 {
		t.Errorf("%d of %d packets passed", len(seqs), len(packets))
	}
}

func TestCacheGroup(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	s := newStream(0, rng)
	c := NewCache(64)
	now := time.Unix(1000, 0)
	if _, _, _, ok := c.Group(64, now); ok {
		t.Error("an empty cache has a group")
	}
	put := func(key bool) {
		for _, p := range s.frame(rng, key, nil) {
			c.Put(s.meta(t, p), p, now)
		}
	}
	put(false)
	if _, _, _, ok := c.Group(64, now); ok {
		t.Error("a group without a key frame")
	}
	put(true)
	for range 5 {
		put(false)
	}
	from, to, age, ok := c.Group(64, now.Add(time.Second))
	if !ok || to != s.seq || age != time.Second {
		t.Fatalf("group %d to %d of age %v, %v", from, to, age, ok)
	}
	if m, _, _, ok := c.Get(from, now); !ok || !m.Key || !m.First {
		t.Errorf("it begins with %+v", m)
	}
	if _, _, _, ok := c.Group(int(to-from), now); ok {
		t.Error("a group above the limit")
	}
	s.seq++ // one is lost
	put(false)
	if _, _, _, ok := c.Group(64, now); ok {
		t.Error("a group with a hole")
	}
	for range 100 {
		put(false)
	}
	first, _, ok := c.Still(0)
	if !ok || first.Seq != from || !first.Key {
		t.Errorf("the key frame is not kept: %+v", first)
	}
	for i := 0; ; i++ {
		m, p, ok := c.Still(i)
		if !ok {
			t.Fatal("the key frame has no end")
		}
		if m.Seq != from+uint16(i) || s.meta(t, p).Seq != m.Seq {
			t.Errorf("packet %d of the key frame is %d", i, m.Seq)
		}
		if m.Last {
			break
		}
	}
	if _, _, _, ok := c.Get(from, now); ok {
		t.Error("a packet that is long gone is still there")
	}
	old := s.seq - 200
	c.Put(Meta{Seq: old}, []byte{1}, now)
	if _, _, _, ok := c.Get(old, now); ok {
		t.Error("an old packet took the place of a new one")
	}
}

func TestGaps(t *testing.T) {
	var g Gaps
	now := time.Unix(1000, 0)
	seq := uint16(65530)
	g.Received(seq, now)
	g.Received(seq+4, now)
	rtt := 50 * time.Millisecond
	if due := g.Due(nil, rtt, now); len(due) != 0 {
		t.Errorf("asked at once for %v: they may be late", due)
	}
	now = now.Add(6 * time.Millisecond)
	due := g.Due(nil, rtt, now)
	if len(due) != 3 || due[0] != seq+1 || due[2] != seq+3 {
		t.Errorf("asked for %v after %d and %d", due, seq, seq+4)
	}
	g.Received(seq+2, now)
	if g.Waits(seq+2) || !g.Waits(seq+1) {
		t.Error("what came is still missing, or what did not is not")
	}
	if due := g.Due(nil, rtt, now.Add(40*time.Millisecond)); len(due) != 0 {
		t.Errorf("asked again for %v before an answer could come", due)
	}
	if due := g.Due(nil, rtt, now.Add(61*time.Millisecond)); len(due) != 2 {
		t.Errorf("asked again for %v", due)
	}
	if due := g.Due(nil, rtt, now.Add(time.Second)); len(due) != 0 || g.Missing() {
		t.Errorf("after a second %v are asked for", due)
	}
	if !g.Received(seq+3000, now) || g.Missing() {
		t.Error("a jump of 3000 is a gap")
	}
	for at := seq + 3000; at != seq+3000+4*300; at += 300 {
		g.Received(at+300, now)
		if !g.Waits(at+299) || !g.Waits(at+300-maxMissing) || g.Waits(at+299-maxMissing) || g.n != maxMissing {
			t.Fatalf("of a gap of 299 %d are missing", g.n)
		}
	}
}

func TestOrder(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 9))
		o := NewOrder(64)
		first := uint16(rng.Uint32())
		var sent []uint16
		for i := range uint16(500) {
			sent = append(sent, first+i)
		}
		for i := 1; i+8 < len(sent); i += 8 { // the first stays the first
			rng.Shuffle(8, func(a, b int) { sent[i+a], sent[i+b] = sent[i+b], sent[i+a] })
		}
		next := first
		for i, seq := range sent {
			if i > 0 && rng.IntN(50) == 0 {
				continue // lost
			}
			o.Push(seq, []byte{byte(seq), byte(seq >> 8)})
			for p, ok := o.Pop(); ok || o.Waiting() > 20; p, ok = o.Pop() {
				if !ok {
					o.Skip()
					continue
				}
				got := uint16(p[0]) | uint16(p[1])<<8
				if int16(got-next) < 0 {
					t.Fatalf("seed %d: %d after %d", seed, got, next)
				}
				next = got + 1
			}
		}
		if int16(first+400-next) > 0 {
			t.Fatalf("seed %d: got as far as %d of %d", seed, next-first, len(sent))
		}
	}
}

func FuzzReadMeta(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 1))
	s := newStream(0, rng)
	for _, p := range s.frame(rng, true, nil) {
		f.Add(p)
	}
	f.Add([]byte{0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x90, 0x80})
	f.Add([]byte{0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x90, 0, 0}) // extended by nothing
	v := NewVideo()
	now := time.Unix(1000, 0)
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) < 13 {
			return
		}
		m, err := ReadMeta(p, 12, binary.BigEndian.Uint16(p[2:]), binary.BigEndian.Uint32(p[4:]), p[1]&0x80 != 0)
		if err != nil {
			return
		}
		before := len(p)
		var was vp8.Descriptor
		size, _ := was.Unmarshal(p[12:])
		v.Restart()
		if v.Packet(&m, false, now) {
			v.Rewrite(&m, p)
			var d vp8.Descriptor
			if n, err := d.Unmarshal(p[12:]); err != nil || n != size || len(p) != before {
				t.Fatalf("rewritten as %x: %v", p, err)
			}
		}
	})
}

func TestForwardingVideoAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	s := newStream(0, rng)
	c, v, o := NewCache(64), NewVideo(), NewOrder(64)
	now := time.Unix(1000, 0)
	packets := s.frame(rng, true, nil)
	for range 300 {
		packets = s.frame(rng, false, packets)
	}
	for _, p := range packets[:200] {
		c.Put(s.meta(t, p), p, now)
		o.Push(s.meta(t, p).Seq, p)
		o.Pop()
	}
	i := 0
	if n := testing.AllocsPerRun(200, func() {
		p := packets[i]
		m, err := ReadMeta(p, 12, binary.BigEndian.Uint16(p[2:]), binary.BigEndian.Uint32(p[4:]), false)
		if err != nil {
			t.Fatal(err)
		}
		c.Put(m, p, now)
		if v.Packet(&m, false, now) {
			v.Rewrite(&m, p)
		}
		i++
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}
