package codec

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// frame is a packet of one frame of 20 ms CELT.
func frame(n int, fill byte) []byte {
	return append([]byte{31 << 3}, bytes.Repeat([]byte{fill}, n)...)
}

func TestJoinPackets(t *testing.T) {
	for name, c := range map[string]struct {
		packets [][]byte
		code    byte
		bytes   int
	}{
		"one":               {[][]byte{frame(80, 1)}, 0, 81},
		"two alike":         {[][]byte{frame(80, 1), frame(80, 2)}, 1, 161},
		"two":               {[][]byte{frame(80, 1), frame(90, 2)}, 2, 172},
		"two, long":         {[][]byte{frame(300, 1), frame(90, 2)}, 2, 393},
		"three alike":       {[][]byte{frame(80, 1), frame(80, 2), frame(80, 3)}, 3, 242},
		"three":             {[][]byte{frame(80, 1), frame(0, 2), frame(251, 3)}, 3, 335},
		"three, the middle": {[][]byte{frame(1, 1), frame(252, 2), frame(1275, 3)}, 3, 1533},
		"six":               {[][]byte{frame(1, 1), frame(2, 2), frame(3, 3), frame(4, 4), frame(5, 5), frame(6, 6)}, 3, 28},
	} {
		p, err := JoinPackets([]byte("x"), c.packets...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p = p[1:]
		if p[0]&3 != c.code || len(p) != c.bytes {
			t.Errorf("%s: code %d and %d bytes, want %d and %d", name, p[0]&3, len(p), c.code, c.bytes)
		}
		frames, err := SplitPacket(nil, p)
		if err != nil || len(frames) != len(c.packets) {
			t.Errorf("%s: %d frames, %v", name, len(frames), err)
			continue
		}
		for i, f := range frames {
			if !bytes.Equal(f, c.packets[i][1:]) {
				t.Errorf("%s: frame %d is another one", name, i)
			}
		}
		// A joined packet can be joined again.
		if len(frames) <= 3 {
			twice, err := JoinPackets(nil, p, p)
			if again, err2 := SplitPacket(nil, twice); err != nil || err2 != nil || len(again) != 2*len(frames) {
				t.Errorf("%s twice: %v, %v", name, err, err2)
			}
		}
	}
	other := frame(80, 1)
	other[0] ^= 4 // stereo
	for name, packets := range map[string][][]byte{
		"nothing": {}, "an empty one": {{}}, "different": {frame(80, 1), other},
		"longer than 120 ms": slices.Repeat([][]byte{frame(1, 1)}, 7),
		"corrupt":            {{31<<3 | 3}, frame(1, 1)},
	} {
		if p, err := JoinPackets([]byte("x"), packets...); !errors.Is(err, ErrPacket) || string(p) != "x" {
			t.Errorf("%s: %q, %v", name, p, err)
		}
	}
	if !Joinable(frame(1, 1), frame(2, 2)) || Joinable(frame(1, 1), other) || Joinable(nil, nil) ||
		Joinable(frame(1, 1), slices.Concat([]byte{31<<3 | 3, 6}, make([]byte, 6))) {
		t.Error("Joinable")
	}
	a, b, dst := frame(80, 1), frame(90, 2), make([]byte, 0, 400)
	if n := testing.AllocsPerRun(100, func() { JoinPackets(dst, a, b, a) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What RFC 6716 section 3.4 forbids is refused.
func TestSplitPacketRefuses(t *testing.T) {
	toc := byte(31 << 3)
	for name, p := range map[string][]byte{
		"R1, empty":                            {},
		"R2, a frame over 1275 bytes":          append([]byte{toc}, make([]byte, 1276)...),
		"R3, code 1 of odd length":             {toc | 1, 1, 2, 3},
		"R4, code 2 without a length":          {toc | 2},
		"R4, code 2 with half a length":        {toc | 2, 252},
		"R4, code 2 longer than the packet":    {toc | 2, 5, 1, 2},
		"R5, code 3 without a count":           {toc | 3},
		"R5, no frames":                        {toc | 3, 0},
		"R5, more than 120 ms":                 {toc | 3, 7, 1, 2, 3, 4, 5, 6, 7},
		"R6, CBR of no whole length":           {toc | 3, 2, 1, 2, 3},
		"R6, padding longer than the packet":   {toc | 3, 0x41, 9, 1},
		"R6, padding without an end":           {toc | 3, 0x41, 255},
		"R7, VBR lengths longer than the rest": {toc | 3, 0x83, 2, 2, 1},
		"R7, VBR without lengths":              {toc | 3, 0x83},
	} {
		if f, err := SplitPacket(nil, p); !errors.Is(err, ErrPacket) || f != nil {
			t.Errorf("%s: %d frames, %v", name, len(f), err)
		}
	}
	// With padding of 254 and 1 bytes, a frame of 2.
	p := append([]byte{toc | 3, 0x41, 255, 1, 7, 8}, make([]byte, 255)...)
	if f, err := SplitPacket(nil, p); err != nil || len(f) != 1 || !bytes.Equal(f[0], []byte{7, 8}) {
		t.Errorf("padding: %v, %v", f, err)
	}
}

// Whatever the bytes: no panic, and what can be taken apart can be put together
// again.
func FuzzSplitPacket(f *testing.F) {
	f.Add(frame(3, 1))
	f.Add([]byte{31<<3 | 1, 1, 2})
	f.Add([]byte{31<<3 | 2, 1, 2, 3})
	f.Add([]byte{31<<3 | 3, 0xC2, 1, 1, 2, 3, 4, 5})
	f.Add([]byte{3, 0x41, 255, 255, 0})
	f.Fuzz(func(t *testing.T, p []byte) {
		frames, err := SplitPacket(nil, p)
		if err != nil {
			return
		}
		var single [][]byte
		for _, fr := range frames {
			single = append(single, append([]byte{p[0] &^ 3}, fr...))
		}
		joined, err := JoinPackets(nil, single...)
		if err != nil {
			t.Fatal(err)
		}
		again, err := SplitPacket(nil, joined)
		if err != nil || !slices.EqualFunc(frames, again, bytes.Equal) {
			t.Fatalf("%v, %v", again, err)
		}
	})
}
