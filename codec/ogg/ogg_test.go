package ogg_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	pion "github.com/pion/opus/pkg/oggreader"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4/pkg/media/oggwriter"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/ogg"
	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/internal/speech"
)

func readAll(t testing.TB, file []byte) (*ogg.Reader, [][]byte) {
	t.Helper()
	r, err := ogg.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for {
		p, err := r.NextPacket()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, bytes.Clone(p))
	}
	if _, err := r.NextPacket(); err != io.EOF {
		t.Errorf("after the end: %v, want EOF again", err)
	}
	return r, all
}

func write(t testing.TB, cfg ogg.Config, packets [][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := ogg.NewWriter(&b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		if err := w.WritePacket(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Files of opusenc: 50 packets in a page, a pre-skip, an end to cut.
func TestReadOpusenc(t *testing.T) {
	for _, name := range speech.Voices() {
		file := speech.Ogg(name)
		r, packets := readAll(t, file)
		if h := r.Header(); h != (ogg.Header{Channels: 1, PreSkip: 312, InputRate: 48000}) {
			t.Errorf("%s: header %+v", name, h)
		}
		for i, p := range packets {
			if n, err := codec.PacketSamples(p); n != 960 || err != nil {
				t.Errorf("%s: packet %d: %d samples, %v", name, i, n, err)
			}
		}
		// What the last page says, read by hand.
		last := file[bytes.LastIndex(file, []byte("OggS")):]
		want := int64(binary.LittleEndian.Uint64(last[6:])) - 312
		if got := r.Samples(); got != want || got >= int64(len(packets)*960-312) {
			t.Errorf("%s: %d samples, want %d, cut from %d", name, got, want, len(packets)*960-312)
		}
		if raceEnabled && name != "bob" { // decoding is ten times slower
			continue
		}
		if got := int64(len(speech.PCM(name))); got != want {
			t.Errorf("%s: decoded to %d samples, want %d", name, got, want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	packets := speech.Packets("alice")
	big := append([]byte{0x7b, 0x43}, bytes.Repeat([]byte{7}, 3000)...) // three frames, 12 segments
	for _, tc := range []struct {
		name    string
		cfg     ogg.Config
		packets [][]byte
		header  ogg.Header
	}{
		{"defaults", ogg.Config{}, packets, ogg.Header{Channels: 1, PreSkip: 312, InputRate: 48000}},
		{"stereo", ogg.Config{Channels: 2, PreSkip: 3840, InputRate: 16000}, packets, ogg.Header{Channels: 2, PreSkip: 3840, InputRate: 16000}},
		{"no pre-skip", ogg.Config{PreSkip: -1}, packets[:10], ogg.Header{Channels: 1, InputRate: 48000}},
		{"a packet a page", ogg.Config{PageDuration: 1}, packets[:100], ogg.Header{Channels: 1, PreSkip: 312, InputRate: 48000}},
		{"large pages", ogg.Config{PageDuration: 1 << 30}, packets, ogg.Header{Channels: 1, PreSkip: 312, InputRate: 48000}},
		{"large packets", ogg.Config{PageDuration: 1 << 30}, [][]byte{big, big, big, packets[0], bytes.Repeat(big[:255], 1), big[:510], big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big},
			ogg.Header{Channels: 1, PreSkip: 312, InputRate: 48000}},
		{"empty", ogg.Config{}, nil, ogg.Header{Channels: 1, PreSkip: 312, InputRate: 48000}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, got := readAll(t, write(t, tc.cfg, tc.packets))
			if r.Header() != tc.header {
				t.Errorf("header %+v, want %+v", r.Header(), tc.header)
			}
			if len(got) != len(tc.packets) {
				t.Fatalf("%d packets, want %d", len(got), len(tc.packets))
			}
			samples := int64(-tc.header.PreSkip)
			for i, p := range tc.packets {
				if !bytes.Equal(got[i], p) {
					t.Fatalf("packet %d differs", i)
				}
				n, _ := codec.PacketSamples(p)
				samples += int64(n)
			}
			if got := r.Samples(); got != max(0, samples) {
				t.Errorf("%d samples, want %d", got, samples)
			}
		})
	}
}

func TestCloseAt(t *testing.T) {
	packets := speech.Packets("bob")[:60]
	for _, want := range []int64{60*960 - 312 - 500, 60*960 - 312, 51*960 - 312} {
		var b bytes.Buffer
		w, err := ogg.NewWriter(&b, ogg.Config{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range packets {
			if err := w.WritePacket(p); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.CloseAt(want); err != nil {
			t.Fatal(err)
		}
		if err := w.WritePacket(packets[0]); !errors.Is(err, ogg.ErrClosed) {
			t.Errorf("after Close: %v, want ErrClosed", err)
		}
		if err := w.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		r, err := ogg.NewReader(&b)
		if err != nil {
			t.Fatal(err)
		}
		dec, _ := pionopus.Driver{}.NewDecoder(codec.DecoderConfig{Channels: 2})
		pcm, err := ogg.ReadPCM(r, dec, 2)
		if err != nil || int64(len(pcm)) != 2*want || r.Samples() != want {
			t.Errorf("%d values, %d samples (%v), want %d samples", len(pcm), r.Samples(), err, want)
		}
	}
}

// pion reads what is written here.
func TestPionReads(t *testing.T) {
	packets := speech.Packets("carol")
	r, h, err := pion.NewWith(bytes.NewReader(write(t, ogg.Config{Channels: 1, PreSkip: 400}, packets)))
	if err != nil {
		t.Fatal(err)
	}
	if h.Channels != 1 || h.PreSkip != 400 {
		t.Errorf("header %+v", h)
	}
	if tags, _, err := r.ParseNextPacket(); err != nil || !bytes.HasPrefix(tags, []byte("OpusTags")) {
		t.Fatalf("tags: %q, %v", tags, err)
	}
	for i, want := range packets {
		got, _, err := r.ParseNextPacket()
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("packet %d: %v", i, err)
		}
	}
	if _, _, err := r.ParseNextPacket(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// And what pion writes is read here.
func TestPionWrites(t *testing.T) {
	packets := speech.Packets("dave")[:100]
	var b bytes.Buffer
	w, err := oggwriter.NewWith(&b, 48000, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range packets {
		if err := w.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: uint16(i), Timestamp: uint32(i * 960)}, Payload: p}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, got := readAll(t, b.Bytes())
	if r.Header().PreSkip != 3840 || len(got) != len(packets) {
		t.Fatalf("header %+v, %d packets, want %d", r.Header(), len(got), len(packets))
	}
	for i := range got {
		if !bytes.Equal(got[i], packets[i]) {
			t.Fatalf("packet %d differs", i)
		}
	}
}

// A packet may go on over pages, and other streams lie between.
func TestPacketOverPages(t *testing.T) {
	file := write(t, ogg.Config{Serial: 7}, speech.Packets("alice")[:20])
	head, rest := splitPage(t, file)
	tags, rest := splitPage(t, rest)
	audio, rest := splitPage(t, rest)
	if len(rest) != 0 {
		t.Fatal("more pages than expected")
	}
	long := append([]byte{0x7b, 0x42}, bytes.Repeat([]byte{9}, 509)...) // 511 = 255 + 255 + 1
	other := makePage(0x02, 0, 99, 0, []byte{4}, []byte("None"))
	var f []byte
	f = append(f, other...)
	f = append(f, head...)
	f = append(f, tags...)
	f = append(f, makePage(0, ^uint64(0), 7, 2, []byte{255}, long[:255])...)
	f = append(f, makePage(0, 0, 99, 1, []byte{4}, []byte("None"))...)
	f = append(f, makePage(1, ^uint64(0), 7, 3, []byte{255}, long[255:510])...)
	f = append(f, makePage(1, 1920, 7, 4, []byte{1, 3}, append(bytes.Clone(long[510:]), 0x78, 1, 2))...)
	f = append(f, makePage(4, 2880, 7, 5, nil, nil)...)
	_, got := readAll(t, f)
	if len(got) != 2 || !bytes.Equal(got[0], long) || !bytes.Equal(got[1], []byte{0x78, 1, 2}) {
		t.Errorf("%d packets: % x", len(got), got)
	}
	_ = audio
}

func splitPage(t testing.TB, b []byte) (page, rest []byte) {
	t.Helper()
	n := 27 + int(b[26])
	for _, s := range b[27:n] {
		n += int(s)
	}
	return b[:n:n], b[n:]
}

func makePage(flags byte, granule uint64, serial, index uint32, lacing, body []byte) []byte {
	return ogg.AppendPage(nil, flags, granule, serial, index, lacing, body)
}

// What is wrong with a file is said, and where.
func TestCorrupt(t *testing.T) {
	file := write(t, ogg.Config{Serial: 7}, speech.Packets("alice")[:200])
	head, rest := splitPage(t, file)
	tags, rest := splitPage(t, rest)
	first, rest := splitPage(t, rest)
	second, _ := splitPage(t, rest)
	at := len(head) + len(tags)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	flip := func(i int) []byte { f := bytes.Clone(file); f[i] ^= 1; return f }
	newHead := func(change func(b []byte)) []byte {
		b := bytes.Clone(head[28:])
		change(b)
		return join(makePage(2, 0, 7, 0, []byte{byte(len(b))}, b), tags, first)
	}
	for _, tc := range []struct {
		name   string
		file   []byte
		offset int
		reason string
	}{
		{"empty", nil, 0, "no Opus stream"},
		{"text", []byte("This is not an Ogg file, but it is longer than a page's header."), 0, "want \"OggS\""},
		{"WAV", speech.WAV(), 0, "RIFF"},
		{"cut in the first header", file[:10], 0, "ends within the page"},
		{"cut in the head", head[:40], 0, "ends within the page"},
		{"head alone", head, len(head), "no comment header"},
		{"no head", file[len(head):], 0, "no Opus stream"},
		{"no tags", join(head, first), 0, "missing"},
		{"version", newHead(func(b []byte) { b[8] = 0x10 }), 0, "version"},
		{"channels", newHead(func(b []byte) { b[9] = 0 }), 0, "0 channels"},
		{"surround", newHead(func(b []byte) { b[9], b[18] = 6, 1 }), 0, "mapping 1"},
		{"short head", join(makePage(2, 0, 7, 0, []byte{9}, head[28:37]), tags), 0, "9 bytes"},
		{"flipped bit in the sound", flip(at + 1000), at, "checksum"},
		{"flipped bit in a granule position", flip(at + 8), at, "checksum"},
		{"flipped capture pattern", flip(at + 1), at, "want \"OggS\""},
		{"cut in a page", file[:at+1000], at, "ends within the page"},
		{"cut in a page's header", file[:at+20], at, "ends within the page"},
		{"a page lost", join(head, tags, second), at, "1 pages are missing"},
		{"a page twice", join(head, tags, first, first), at + len(first), "missing"},
		{"the beginning twice", join(head, tags, head), at, "second time"},
		{"empty packet", join(head, tags, makePage(0, 0, 7, 2, []byte{0}, nil)), at, "empty"},
		{"bad packet", join(head, tags, makePage(0, 0, 7, 2, []byte{2}, []byte{0x7b, 0})), at, "frames"},
		{"continued from nowhere", join(head, tags, makePage(1, 0, 7, 2, []byte{2}, []byte{0x78, 0})), at, "do not fit"},
		{"not continued", join(head, tags, makePage(0, 0, 7, 2, []byte{255}, make([]byte, 255)), makePage(0, 0, 7, 3, []byte{1}, []byte{0x78})), 0, "do not fit"},
		{"end within a packet", join(head, tags, makePage(0, 0, 7, 2, []byte{255}, make([]byte, 255))), 0, "ends within a packet"},
		{"granule position", join(head, tags, makePage(0, 1<<63, 7, 2, []byte{1}, []byte{0x78})), at, "granule"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := ogg.NewReader(bytes.NewReader(tc.file))
			for err == nil {
				_, err = r.NextPacket()
			}
			if !errors.Is(err, ogg.ErrFormat) || !strings.Contains(err.Error(), tc.reason) {
				t.Fatalf("%v, want ErrFormat and %q", err, tc.reason)
			}
			var fe *ogg.FormatError
			if !errors.As(err, &fe) || tc.offset > 0 && fe.Offset != int64(tc.offset) {
				t.Errorf("%v: offset %d, want %d", err, fe.Offset, tc.offset)
			}
			if r != nil {
				if _, again := r.NextPacket(); again != err {
					t.Errorf("the second time: %v, want the same", again)
				}
			}
		})
	}
}

// A packet without end does not fill memory.
func TestEndlessPacket(t *testing.T) {
	file := write(t, ogg.Config{Serial: 7}, nil)
	head, rest := splitPage(t, file)
	tags, _ := splitPage(t, rest)
	lacing, body := bytes.Repeat([]byte{255}, 255), make([]byte, 255*255)
	f := append(bytes.Clone(head), tags...)
	for i := range uint32(20) {
		f = append(f, makePage(byte(min(i, 1)), ^uint64(0), 7, 2+i, lacing, body)...)
	}
	r, err := ogg.NewReader(bytes.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.NextPacket(); !errors.Is(err, ogg.ErrFormat) || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%v, want ErrFormat", err)
	}
}

type brokenWriter struct{ left int }

var errDisk = errors.New("disk full")

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func TestWriterErrors(t *testing.T) {
	for _, cfg := range []ogg.Config{{Channels: 3}, {Channels: -1}, {PreSkip: 70000}, {InputRate: -1}, {PageDuration: -1}, {Vendor: strings.Repeat("x", 2000)}} {
		if _, err := ogg.NewWriter(io.Discard, cfg); !errors.Is(err, codec.ErrConfig) {
			t.Errorf("%+v: %v, want ErrConfig", cfg, err)
		}
	}
	if _, err := ogg.NewWriter(&brokenWriter{10}, ogg.Config{}); !errors.Is(err, errDisk) {
		t.Errorf("headers on a full disk: %v", err)
	}
	w, err := ogg.NewWriter(&brokenWriter{2000}, ogg.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WritePacket(nil); !errors.Is(err, codec.ErrPacket) {
		t.Errorf("empty packet: %v, want ErrPacket", err)
	}
	if err := w.WritePacket(make([]byte, 1<<17)); !errors.Is(err, codec.ErrPacket) {
		t.Errorf("huge packet: %v, want ErrPacket", err)
	}
	for _, p := range speech.Packets("alice") {
		if err = w.WritePacket(p); err != nil {
			break
		}
	}
	if !errors.Is(err, errDisk) || !errors.Is(w.Flush(), errDisk) || !errors.Is(w.Close(), errDisk) {
		t.Errorf("full disk: %v, then %v, %v", err, w.Flush(), w.Close())
	}
}

// Flush makes a growing file readable up to there.
func TestFlush(t *testing.T) {
	var b bytes.Buffer
	w, err := ogg.NewWriter(&b, ogg.Config{})
	if err != nil {
		t.Fatal(err)
	}
	packets := speech.Packets("alice")[:5]
	for _, p := range packets {
		if err := w.WritePacket(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, got := readAll(t, b.Bytes()); len(got) != 5 {
		t.Errorf("%d packets after Flush, want 5", len(got))
	}
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	packets := speech.Packets("alice")
	w, err := ogg.NewWriter(io.Discard, ogg.Config{})
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	step := func() {
		if err := w.WritePacket(packets[i%len(packets)]); err != nil {
			t.Fatal(err)
		}
		i++
	}
	for range 200 {
		step()
	}
	if n := testing.AllocsPerRun(200, step); n != 0 {
		t.Errorf("WritePacket allocates %.2f times", n)
	}
	r, err := ogg.NewReader(bytes.NewReader(speech.Ogg("alice")))
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(200, func() {
		if _, err := r.NextPacket(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("NextPacket allocates %.2f times", n)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(speech.Ogg("alice")[:6000])
	f.Add(write(f, ogg.Config{Serial: 1}, speech.Packets("bob")[:3]))
	f.Add(write(f, ogg.Config{Serial: 1, PageDuration: 1}, speech.Packets("bob")[:3]))
	f.Add([]byte("OggS"))
	f.Fuzz(func(t *testing.T, file []byte) {
		// The checksum keeps a fuzzer out: also read with every one put right.
		for _, file := range [][]byte{file, ogg.FixChecksums(file)} {
			r, err := ogg.NewReader(bytes.NewReader(file))
			packets := 0
			for err == nil {
				var p []byte
				if p, err = r.NextPacket(); err == nil {
					if len(p) == 0 || len(p) > 1<<16 {
						t.Fatalf("packet of %d bytes", len(p))
					}
					if packets++; packets > len(file) {
						t.Fatal("more packets than bytes")
					}
				}
			}
			if err != io.EOF && !errors.Is(err, ogg.ErrFormat) {
				t.Fatalf("%v, want EOF or ErrFormat", err)
			}
			if r != nil && (r.Samples() < 0 || r.Samples() > int64(packets)*codec.MaxFrameSamples) {
				t.Fatalf("%d samples of %d packets", r.Samples(), packets)
			}
		}
	})
}
