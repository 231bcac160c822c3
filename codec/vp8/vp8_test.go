package vp8_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/pion/rtp/codecs"

	"github.com/earshotrtc/earshot/codec/ivf"
	"github.com/earshotrtc/earshot/codec/vp8"
	"github.com/earshotrtc/earshot/internal/speech"
)

// clip returns the frames of the kept clip: 320×240, key frames at 0 and 30.
func clip(t testing.TB) [][]byte {
	t.Helper()
	r, err := ivf.NewReader(bytes.NewReader(speech.VP8()))
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for {
		f, err := r.NextFrame()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f.Data)
	}
}

// Payloads taken apart by hand from RFC 7741 section 4.2.
var payloads = []struct {
	name    string
	payload []byte
	want    vp8.Descriptor
	size    int
}{
	{"shortest", []byte{0x10, 0xaa}, vp8.Descriptor{Start: true}, 1},
	{"partition", []byte{0x07, 0xaa}, vp8.Descriptor{Partition: 7}, 1},
	{"non-reference", []byte{0x30, 0xaa}, vp8.Descriptor{Start: true, NonReference: true}, 1},
	{"7-bit picture id", []byte{0x90, 0x80, 0x11, 0xaa}, vp8.Descriptor{Start: true, PictureIDBits: 7, PictureID: 17}, 3},
	{"15-bit picture id", []byte{0x90, 0x80, 0x92, 0x34, 0xaa}, vp8.Descriptor{Start: true, PictureIDBits: 15, PictureID: 0x1234}, 4},
	{"small id in 15 bits", []byte{0x90, 0x80, 0x80, 0x05, 0xaa}, vp8.Descriptor{Start: true, PictureIDBits: 15, PictureID: 5}, 4},
	{"TL0PICIDX", []byte{0x80, 0x40, 0xfe, 0xaa}, vp8.Descriptor{HasTL0PICIDX: true, TL0PICIDX: 254}, 3},
	{"temporal layer", []byte{0x80, 0x20, 0xa0, 0xaa}, vp8.Descriptor{HasTID: true, TID: 2, Sync: true}, 3},
	{"KEYIDX", []byte{0x80, 0x10, 0x1f, 0xaa}, vp8.Descriptor{HasKEYIDX: true, KEYIDX: 31}, 3},
	{"everything", []byte{0xb0, 0xf0, 0xff, 0xff, 0x07, 0xff, 0xaa},
		vp8.Descriptor{NonReference: true, Start: true, PictureIDBits: 15, PictureID: 0x7fff, HasTL0PICIDX: true, TL0PICIDX: 7,
			HasTID: true, TID: 3, Sync: true, HasKEYIDX: true, KEYIDX: 31}, 6},
	{"what Chrome sends", []byte{0x90, 0xe0, 0x80, 0x01, 0x2a, 0x40, 0xaa},
		vp8.Descriptor{Start: true, PictureIDBits: 15, PictureID: 1, HasTL0PICIDX: true, TL0PICIDX: 42, HasTID: true, TID: 1}, 6},
	{"X and nothing else", []byte{0x90, 0x00, 0xaa}, vp8.Descriptor{Start: true}, 2},
}

func TestDescriptor(t *testing.T) {
	for _, tc := range payloads {
		t.Run(tc.name, func(t *testing.T) {
			got := vp8.Descriptor{TID: 3, KEYIDX: 9, Partition: 2} // leftovers
			n, err := got.Unmarshal(tc.payload)
			if err != nil || n != tc.size || got != tc.want {
				t.Fatalf("%+v, %d, %v, want %+v, %d", got, n, err, tc.want, tc.size)
			}
			for cut := range n + 1 {
				if _, err := got.Unmarshal(tc.payload[:cut]); !errors.Is(err, vp8.ErrPayload) {
					t.Errorf("cut to %d bytes: %v, want ErrPayload", cut, err)
				}
			}
			if tc.name == "X and nothing else" {
				return // not written that way
			}
			b, err := tc.want.Marshal()
			if err != nil || !bytes.Equal(b, tc.payload[:n]) || tc.want.MarshalSize() != n {
				t.Errorf("written % x (%v), want % x", b, err, tc.payload[:n])
			}
			if _, err := tc.want.MarshalTo(make([]byte, n-1)); !errors.Is(err, vp8.ErrBuffer) {
				t.Errorf("into %d bytes: %v, want ErrBuffer", n-1, err)
			}
		})
	}
	for _, d := range []vp8.Descriptor{
		{Partition: 8}, {PictureIDBits: 8}, {PictureIDBits: 7, PictureID: 128}, {PictureIDBits: 15, PictureID: 1 << 15},
		{HasTID: true, TID: 4}, {HasKEYIDX: true, KEYIDX: 32},
	} {
		if _, err := d.Marshal(); !errors.Is(err, vp8.ErrDescriptor) {
			t.Errorf("%+v: %v, want ErrDescriptor", d, err)
		}
	}
}

func TestFrameHeaders(t *testing.T) {
	frames := clip(t)
	if len(frames) != 60 {
		t.Fatalf("%d frames, want 60", len(frames))
	}
	for i, f := range frames {
		h, ok := vp8.ParseFrameHeader(f)
		if !ok || h.KeyFrame != (i%30 == 0) || !h.Shown || h.FirstPartition <= 0 || h.FirstPartition >= len(f) {
			t.Errorf("frame %d: %+v, %v", i, h, ok)
		}
		if h.KeyFrame && (h.Width != 320 || h.Height != 240 || h.HorizontalScale != 0 || h.VerticalScale != 0) {
			t.Errorf("frame %d: %+v, want 320×240", i, h)
		}
		if !h.KeyFrame && (h.Width != 0 || h.Height != 0) {
			t.Errorf("frame %d: a size of %d×%d", i, h.Width, h.Height)
		}
	}
	key := []byte{0x10, 2, 0, 0x9d, 0x01, 0x2a, 0x80, 0x42, 0x68, 0xc1}
	h, ok := vp8.ParseFrameHeader(key)
	want := vp8.FrameHeader{KeyFrame: true, Shown: true, FirstPartition: 16, Width: 640, HorizontalScale: 1, Height: 360, VerticalScale: 3}
	if !ok || h != want {
		t.Errorf("%+v, %v, want %+v", h, ok, want)
	}
	for cut := range key {
		if _, ok := vp8.ParseFrameHeader(key[:cut]); ok {
			t.Errorf("a key frame cut to %d bytes has a header", cut)
		}
	}
	key[4] = 0
	if _, ok := vp8.ParseFrameHeader(key); ok {
		t.Error("a key frame without its start code has a header")
	}
}

func TestIsKeyFrame(t *testing.T) {
	frames := clip(t)
	var p vp8.Packetizer
	for i, f := range frames {
		first := true
		d := vp8.Descriptor{PictureIDBits: 15, PictureID: uint16(i)}
		if err := p.Packetize(d, f, func(b []byte, _ bool) error {
			if got, want := vp8.IsKeyFrame(b), first && i%30 == 0; got != want {
				t.Errorf("frame %d, first %v: key frame %v, want %v", i, first, got, want)
			}
			var d vp8.Descriptor
			n, err := d.Unmarshal(b)
			if err != nil {
				return err
			}
			if h, ok := d.Header(b[n:]); ok != first || h.KeyFrame != (first && i%30 == 0) {
				t.Errorf("frame %d, first %v: header %+v, %v", i, first, h, ok)
			}
			first = false
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range [][]byte{nil, {}, {0x10}, {0x90, 0x80}, {0x11, 0x10}, {0x00, 0x10}} {
		if vp8.IsKeyFrame(b) {
			t.Errorf("% x is a key frame", b)
		}
	}
}

type packet struct {
	sequence  uint16
	timestamp uint32
	marker    bool
	payload   []byte
}

func packets(t testing.TB, frames [][]byte, limit int) []packet {
	t.Helper()
	p := vp8.Packetizer{MaxPayload: limit}
	var all []packet
	sequence := uint16(65500) // wraps around
	for i, f := range frames {
		d := vp8.Descriptor{PictureIDBits: 15, PictureID: uint16(i), HasTL0PICIDX: true, TL0PICIDX: uint8(i), HasTID: true}
		if err := p.Packetize(d, f, func(b []byte, last bool) error {
			all = append(all, packet{sequence, uint32(i * 6000), last, bytes.Clone(b)})
			sequence++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestPacketizeAndAssemble(t *testing.T) {
	frames := clip(t)
	for _, limit := range []int{0, 20, 200, 1100, 20000} {
		var a vp8.Assembler
		var got [][]byte
		smallest, largest := 1<<30, 0
		for _, p := range packets(t, frames, limit) {
			if want := max(limit, 0); want > 0 && len(p.payload) > want || len(p.payload) > 1100 && limit == 0 {
				t.Fatalf("payload of %d bytes, at most %d", len(p.payload), limit)
			}
			smallest, largest = min(smallest, len(p.payload)), max(largest, len(p.payload))
			f, ok, err := a.Push(p.sequence, p.timestamp, p.marker, p.payload)
			if err != nil {
				t.Fatal(err)
			}
			if ok != p.marker {
				t.Fatalf("frame complete: %v, marker %v", ok, p.marker)
			}
			if ok {
				if int(f.Descriptor.PictureID) != len(got) || f.Timestamp != uint32(6000*len(got)) || !f.Descriptor.FirstOfFrame() {
					t.Fatalf("frame %d: %+v at %d", len(got), f.Descriptor, f.Timestamp)
				}
				got = append(got, bytes.Clone(f.Data))
			}
		}
		if len(got) != len(frames) || a.Dropped() != 0 {
			t.Fatalf("%d frames of %d, %d dropped", len(got), len(frames), a.Dropped())
		}
		for i := range got {
			if !bytes.Equal(got[i], frames[i]) {
				t.Fatalf("frame %d differs", i)
			}
		}
	}
}

// pion takes apart what is made here.
func TestPionReads(t *testing.T) {
	frames := clip(t)[:3]
	var got []byte
	for _, p := range packets(t, frames, 500) {
		var v codecs.VP8Packet
		b, err := v.Unmarshal(p.payload)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b...)
	}
	if !bytes.Equal(got, bytes.Join(frames, nil)) {
		t.Error("pion reads other bytes")
	}
}

// A loss costs the frames it touches, and no other is damaged.
func TestAssembleWithLoss(t *testing.T) {
	frames := clip(t)
	all := packets(t, frames, 300)
	for lost := range all {
		if lost%7 != 0 {
			continue
		}
		var a vp8.Assembler
		complete := map[uint16]bool{}
		for i, p := range all {
			if i == lost {
				continue
			}
			f, ok, err := a.Push(p.sequence, p.timestamp, p.marker, p.payload)
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				complete[f.Descriptor.PictureID] = true
				if !bytes.Equal(f.Data, frames[f.Descriptor.PictureID]) {
					t.Fatalf("packet %d lost: frame %d is damaged", lost, f.Descriptor.PictureID)
				}
			}
		}
		if len(complete) != len(frames)-1 {
			t.Fatalf("packet %d lost: %d frames of %d", lost, len(complete), len(frames))
		}
		first := lost == 0 || all[lost-1].marker
		if want := uint64(1); !first && a.Dropped() != want && !all[lost].marker {
			t.Errorf("packet %d lost: %d dropped, want %d", lost, a.Dropped(), want)
		}
	}
}

func TestAssemblerOddities(t *testing.T) {
	start := func(b ...byte) []byte { return append([]byte{0x10}, b...) }
	more := func(b ...byte) []byte { return append([]byte{0x00}, b...) }
	var a vp8.Assembler
	push := func(sequence uint16, timestamp uint32, marker bool, payload []byte, want string) {
		t.Helper()
		f, ok, err := a.Push(sequence, timestamp, marker, payload)
		got := fmt.Sprintf("%s %v %v", f.Data, ok, errors.Is(err, vp8.ErrPayload))
		if got != want {
			t.Errorf("packet %d: %s, want %s", sequence, got, want)
		}
	}
	push(10, 1, false, more('x'), " false false")      // joined in the middle
	push(11, 1, true, more('y'), " false false")       //
	push(12, 2, false, start('a'), " false false")     //
	push(12, 2, false, start('a'), " false false")     // twice
	push(11, 1, true, more('y'), " false false")       // late
	push(13, 2, true, more('b'), "ab true false")      //
	push(14, 3, false, start('c'), " false false")     //
	push(15, 4, true, start('d'), "d true false")      // c never ended
	push(16, 5, false, start('e'), " false false")     //
	push(17, 6, true, more('f'), " false false")       // of another frame
	push(18, 7, false, start('g'), " false false")     //
	push(19, 7, false, nil, " false true")             // corrupt
	push(20, 7, true, more('h'), " false false")       // so g is gone
	push(21, 8, true, start('i'), "i true false")      //
	push(40000, 9, true, start('j'), "j true false")   // far ahead
	push(20000, 10, true, start('k'), "k true false")  // started anew
	push(19000, 11, true, start('l'), "l true false")  // again
	push(19001, 12, false, start('m'), " false false") //
	if a.Dropped() != 3 {
		t.Errorf("%d frames dropped, want 3", a.Dropped())
	}
	a.Reset()
	push(1, 1, true, start('n'), "n true false")
	a.MaxFrame = 4
	push(2, 2, false, start([]byte("abc")...), " false false")
	push(3, 2, false, more([]byte("de")...), " false true")
	push(4, 2, true, more('f'), " false false")
	push(5, 3, true, start([]byte("abcd")...), "abcd true false")
}

func TestPacketizerErrors(t *testing.T) {
	var p vp8.Packetizer
	never := func([]byte, bool) error { t.Error("emitted"); return nil }
	if err := p.Packetize(vp8.Descriptor{}, nil, never); !errors.Is(err, vp8.ErrPayload) {
		t.Errorf("empty frame: %v", err)
	}
	if err := p.Packetize(vp8.Descriptor{HasTID: true, TID: 9}, []byte{1}, never); !errors.Is(err, vp8.ErrDescriptor) {
		t.Errorf("bad descriptor: %v", err)
	}
	p.MaxPayload = 3
	if err := p.Packetize(vp8.Descriptor{PictureIDBits: 7}, []byte{1}, never); !errors.Is(err, vp8.ErrBuffer) {
		t.Errorf("no room: %v", err)
	}
	p.MaxPayload = 2
	calls := 0
	stop := errors.New("stop")
	if err := p.Packetize(vp8.Descriptor{}, []byte{1, 2, 3}, func([]byte, bool) error { calls++; return stop }); err != stop || calls != 1 {
		t.Errorf("%v after %d calls, want the error of the first", err, calls)
	}
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	frames := clip(t)
	all := packets(t, frames, 0)
	var a vp8.Assembler
	var p vp8.Packetizer
	run := func() {
		for _, p := range all {
			if _, _, err := a.Push(p.sequence, p.timestamp, p.marker, p.payload); err != nil {
				t.Fatal(err)
			}
			vp8.IsKeyFrame(p.payload)
		}
		a.Reset()
		for _, f := range frames {
			if err := p.Packetize(vp8.Descriptor{}, f, func([]byte, bool) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	run()
	if n := testing.AllocsPerRun(5, run); n != 0 {
		t.Errorf("a clip through Packetizer and Assembler allocates %.0f times", n)
	}
	var d vp8.Descriptor
	if n := testing.AllocsPerRun(100, func() { _, _ = d.Unmarshal(nil) }); n != 0 {
		t.Errorf("a corrupt payload allocates %.0f times", n)
	}
}

func FuzzDescriptor(f *testing.F) {
	for _, tc := range payloads {
		f.Add(tc.payload)
	}
	f.Add([]byte{})
	f.Add([]byte{0x90, 0xf0, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		var d vp8.Descriptor
		n, err := d.Unmarshal(b)
		vp8.IsKeyFrame(b)
		if err != nil {
			if !errors.Is(err, vp8.ErrPayload) {
				t.Fatal(err)
			}
			return
		}
		d.Header(b[n:])
		out, err := d.Marshal()
		if err != nil {
			t.Fatalf("%+v: %v", d, err)
		}
		var again vp8.Descriptor
		if _, err := again.Unmarshal(append(out, 0)); err != nil || again != d {
			t.Fatalf("%+v became %+v (%v)", d, again, err)
		}
		if len(out) > n {
			t.Fatalf("%d bytes became %d", n, len(out))
		}
	})
}

// FuzzAssembler is given packets as length, flags and payload.
func FuzzAssembler(f *testing.F) {
	f.Add([]byte{3, 0, 0x10, 1, 2, 2, 1, 0, 9})
	f.Add([]byte{2, 0, 0x10, 1, 0, 1, 2, 3, 0x10, 7})
	f.Fuzz(func(t *testing.T, b []byte) {
		a := vp8.Assembler{MaxFrame: 1000}
		sequence, timestamp := uint16(0), uint32(0)
		for len(b) >= 2 {
			n, flags := int(b[0]), b[1]
			b = b[2:]
			n = min(n, len(b))
			if flags&2 == 0 {
				sequence++
			} else {
				sequence += uint16(flags) << 8
			}
			timestamp += uint32(flags >> 2 & 1)
			frame, ok, err := a.Push(sequence, timestamp, flags&1 != 0, b[:n])
			if err != nil && !errors.Is(err, vp8.ErrPayload) {
				t.Fatal(err)
			}
			if ok != (len(frame.Data) > 0) || len(frame.Data) > 1000 {
				t.Fatalf("frame of %d bytes, %v", len(frame.Data), ok)
			}
			b = b[n:]
		}
	})
}

func BenchmarkUnmarshal(b *testing.B) {
	payload := append([]byte{0x90, 0xe0, 0x80, 0x01, 0x2a, 0x40}, make([]byte, 1000)...)
	var d vp8.Descriptor
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Unmarshal(payload); err != nil {
			b.Fatal(err)
		}
	}
}
