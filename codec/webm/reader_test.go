package webm_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/codec/webm"
	"github.com/earshotrtc/earshot/internal/speech"
)

func master(id uint32, children ...[]byte) []byte {
	return webm.AppendBytes(nil, id, bytes.Join(children, nil))
}

// live is a master element of unknown size.
func live(id uint32, children ...[]byte) []byte {
	b := webm.AppendSize8(webm.AppendID(nil, id), webm.UnknownSize)
	return append(b, bytes.Join(children, nil)...)
}

func number(id uint32, v uint64) []byte { return webm.AppendUint(nil, id, v) }

func track(n uint64, codecID string, more ...[]byte) []byte {
	return master(webm.IDTrackEntry, append(more, number(webm.IDTrackNumber, n), master(webm.IDCodecID, []byte(codecID)))...)
}

func block(track, rel, flags byte, data string) []byte {
	return append([]byte{0x80 | track, 0, rel, flags}, data...)
}

func simple(track, rel, flags byte, data string) []byte {
	return master(webm.IDSimpleBlock, block(track, rel, flags, data))
}

var (
	head   = master(webm.IDEBML, master(webm.IDDocType, []byte("webm")))
	tracks = master(webm.IDTracks, track(1, webm.VP8), track(2, webm.Opus), track(3, "S_TEXT/UTF8"))
	void   = master(webm.IDVoid, make([]byte, 100))
	tags   = master(webm.IDTags, make([]byte, 100))
)

func file(parts ...[]byte) []byte { return bytes.Join(append([][]byte{head}, parts...), nil) }

// The forms that a file may have: what MediaRecorder streams, with sizes that
// are known, or not, of segment and clusters, and elements in between.
func TestForms(t *testing.T) {
	first := []byte{
		0xE7, 0x81, 100, // the time
	}
	group := master(webm.IDBlockGroup, master(webm.IDBlock, block(1, 40, 0, "delta")), number(webm.IDReferenceBlock, 1))
	one := [][]byte{first, simple(1, 0, 0x80, "key"), void, simple(2, 10, 0, "sound"), simple(3, 11, 0x04, "laced, and nobody's"), simple(9, 11, 0, "no track's"), simple(1, 12, 0, "")}
	two := [][]byte{number(webm.IDTimestamp, 1000), group, master(webm.IDBlockGroup, master(webm.IDBlock, block(1, 80, 0, "key")))}
	want := []webm.Frame{
		{Track: 0, Time: 100 * time.Millisecond, KeyFrame: true, Data: []byte("key")},
		{Track: 1, Time: 110 * time.Millisecond, KeyFrame: true, Data: []byte("sound")},
		{Track: 0, Time: 1040 * time.Millisecond, Data: []byte("delta")},
		{Track: 0, Time: 1080 * time.Millisecond, KeyFrame: true, Data: []byte("key")},
	}
	for name, f := range map[string][]byte{
		"live":                      file(void, live(webm.IDSegment, tracks, live(webm.IDCluster, one...), live(webm.IDCluster, two...))),
		"live with tags":            file(live(webm.IDSegment, void, tags, tracks, live(webm.IDCluster, one...), tags, live(webm.IDCluster, two...), tags)),
		"known clusters":            file(live(webm.IDSegment, tracks, master(webm.IDCluster, one...), void, master(webm.IDCluster, two...))),
		"all known":                 file(master(webm.IDSegment, tracks, master(webm.IDCluster, one...), tracks, master(webm.IDCluster, two...), tags)),
		"known segment":             file(master(webm.IDSegment, tracks, live(webm.IDCluster, one...), live(webm.IDCluster, two...), tags)),
		"something after":           file(master(webm.IDSegment, tracks, live(webm.IDCluster, one...), live(webm.IDCluster, two...)), []byte("\x00junk")),
		"another file after":        file(live(webm.IDSegment, tracks, live(webm.IDCluster, one...), live(webm.IDCluster, two...)), file(live(webm.IDSegment, tracks))),
		"other clock, listed first": file(live(webm.IDSegment, master(webm.IDInfo, number(webm.IDTimestampScale, 1000000)), tracks, master(webm.IDCluster, one...), live(webm.IDCluster, two...))),
	} {
		t.Run(name, func(t *testing.T) {
			h, got, err := readAll(t, f)
			if err != io.EOF {
				t.Fatal(err)
			}
			wantFrames(t, got, want)
			if len(h.Tracks) != 3 || h.Tracks[2].CodecID != "S_TEXT/UTF8" {
				t.Errorf("tracks %+v", h.Tracks)
			}
		})
	}
}

func TestNoFrames(t *testing.T) {
	if _, got, err := readAll(t, file(live(webm.IDSegment, tracks))); err != io.EOF || len(got) != 0 {
		t.Errorf("%d frames, %v", len(got), err)
	}
}

func TestCorrupt(t *testing.T) {
	cluster := func(parts ...[]byte) []byte {
		return file(live(webm.IDSegment, tracks, live(webm.IDCluster, parts...)))
	}
	at := number(webm.IDTimestamp, 0)
	huge := func(id uint32) []byte { return webm.AppendSize8(webm.AppendID(nil, id), 1<<50) }
	many := make([][]byte, 65)
	for i := range many {
		many[i] = track(uint64(i+1), webm.Opus)
	}
	for name, tc := range map[string]struct {
		file   []byte
		reason string
		cut    bool
	}{
		"empty":              {nil, "does not begin", true},
		"Ogg":                {speech.Ogg("alice"), "does not begin", false},
		"head alone":         {head, "ends before its tracks", true},
		"cut head":           {head[:6], "ends within it", true},
		"huge head":          {huge(webm.IDEBML), "at most", false},
		"corrupt head":       {master(webm.IDEBML, []byte{0}), "header is corrupt", false},
		"other type":         {master(webm.IDEBML, master(webm.IDDocType, []byte("avi"))), "avi", false},
		"new kind":           {master(webm.IDEBML, number(webm.IDReadVersion, 2)), "newer kind", false},
		"live before":        {file(live(webm.IDVoid)), "unknown size before", false},
		"no tracks":          {file(live(webm.IDSegment)), "ends before its tracks", true},
		"tracks late":        {file(live(webm.IDSegment, live(webm.IDCluster))), "before the tracks", false},
		"empty tracks":       {file(live(webm.IDSegment, master(webm.IDTracks))), "no track", false},
		"huge tracks":        {file(live(webm.IDSegment, huge(webm.IDTracks))), "at most", false},
		"live tracks":        {file(live(webm.IDSegment, live(webm.IDTracks))), "unknown size", false},
		"corrupt tracks":     {file(live(webm.IDSegment, master(webm.IDTracks, []byte{0xAE, 0x90}))), "list of tracks is corrupt", false},
		"corrupt track":      {file(live(webm.IDSegment, master(webm.IDTracks, master(webm.IDTrackEntry, []byte{0xAE, 0x90})))), "track is corrupt", false},
		"no number":          {file(live(webm.IDSegment, master(webm.IDTracks, track(0, webm.VP8)))), "without a number", false},
		"number twice":       {file(live(webm.IDSegment, master(webm.IDTracks, track(1, webm.VP8), track(1, webm.Opus)))), "one number", false},
		"many tracks":        {file(live(webm.IDSegment, master(webm.IDTracks, many...))), "more tracks", false},
		"encrypted":          {file(live(webm.IDSegment, master(webm.IDTracks, track(1, webm.VP8, master(webm.IDContentEncodings))))), "encrypted", false},
		"scale 0":            {file(live(webm.IDSegment, master(webm.IDInfo, number(webm.IDTimestampScale, 0)))), "unit of time", false},
		"huge scale":         {file(live(webm.IDSegment, master(webm.IDInfo, number(webm.IDTimestampScale, 1<<60)))), "unit of time", false},
		"longer than parent": {file(master(webm.IDSegment, huge(webm.IDTags))), "longer than", false},
		"cut segment":        {file(webm.AppendSize8(webm.AppendID(nil, webm.IDSegment), 1000), tracks), "within its segment", true},
		"skipped huge":       {file(live(webm.IDSegment, huge(webm.IDTags))), "ends within it", true},
		"laced":              {cluster(at, simple(1, 0, 0x02, "x")), "laced", false},
		"no time":            {cluster(simple(1, 0, 0, "x")), "before its cluster's time", false},
		"late time":          {cluster(number(webm.IDTimestamp, 1<<62)), "out of range", false},
		"long time":          {cluster(master(webm.IDTimestamp, make([]byte, 9))), "at most 8", false},
		"short block":        {cluster(at, master(webm.IDSimpleBlock, []byte{0x81, 0, 0})), "block of 3 bytes", false},
		"huge block":         {cluster(at, huge(webm.IDSimpleBlock)), "at most", false},
		"large block":        {cluster(at, simple(1, 0, 0, strings.Repeat("x", webm.MaxFrame+1))), "at most", false},
		"live block":         {cluster(at, live(webm.IDSimpleBlock)), "unknown size", false},
		"empty group":        {cluster(at, master(webm.IDBlockGroup)), "without a block", false},
		"two in a group":     {cluster(at, master(webm.IDBlockGroup, master(webm.IDBlock), master(webm.IDBlock))), "two blocks", false},
		"corrupt group":      {cluster(at, master(webm.IDBlockGroup, []byte{0})), "corrupt", false},
		"no ID":              {cluster(at, []byte{0x01, 0x80}), "no element", false},
		"no size":            {cluster(at, []byte{0xEC, 0x00}), "no element", false},
		"half an element":    {cluster(at, []byte{0xEC}), "within an element's header", true},
		"block too long":     {file(live(webm.IDSegment, tracks, master(webm.IDCluster, at, []byte{0xA3, 0xA0}))), "longer than", false},
		"cut cluster":        {file(live(webm.IDSegment, tracks, webm.AppendSize8(webm.AppendID(nil, webm.IDCluster), 100), at)), "within a cluster", true},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := webm.NewReader(bytes.NewReader(tc.file))
			for err == nil {
				_, err = r.NextFrame()
			}
			var fe *webm.FormatError
			if !errors.Is(err, webm.ErrFormat) || !errors.As(err, &fe) || !strings.Contains(err.Error(), tc.reason) {
				t.Fatalf("%v, want ErrFormat and %q", err, tc.reason)
			}
			if errors.Is(err, io.ErrUnexpectedEOF) != tc.cut {
				t.Errorf("%v: cut off %v, want %v", err, !tc.cut, tc.cut)
			}
		})
	}
}

var errDisk = errors.New("the disk is broken")

// A reader's own error is told as it is, wherever it comes.
func TestReadError(t *testing.T) {
	whole := file(live(webm.IDSegment, tracks, live(webm.IDCluster, number(webm.IDTimestamp, 0), simple(1, 0, 0x80, "key"))))
	for n := range whole {
		r, err := webm.NewReader(io.MultiReader(bytes.NewReader(whole[:n]), brokenDisk{}))
		for err == nil {
			_, err = r.NextFrame()
		}
		if !errors.Is(err, errDisk) || errors.Is(err, webm.ErrFormat) {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
}

type brokenDisk struct{}

func (brokenDisk) Read([]byte) (int, error) { return 0, errDisk }

func FuzzReader(f *testing.F) {
	at := number(webm.IDTimestamp, 9)
	f.Add(file(live(webm.IDSegment, tracks, live(webm.IDCluster, at, simple(1, 0, 0x80, "key"), simple(2, 1, 0, "sound")), live(webm.IDCluster, at, simple(1, 0, 0, "x")))))
	f.Add(file(master(webm.IDSegment, void, tracks, master(webm.IDCluster, at, master(webm.IDBlockGroup, master(webm.IDBlock, block(1, 0, 0, "x")), number(webm.IDReferenceBlock, 1))), tags)))
	f.Add(file(live(webm.IDSegment, master(webm.IDInfo, number(webm.IDTimestampScale, 1000)), tracks, master(webm.IDCluster, at, simple(1, 0, 6, "laced")))))
	var whole bytes.Buffer
	w := write(f, &whole, webm.Config{Tracks: bothTracks}, nil)
	for i, p := range speech.Packets("alice")[:5] {
		if err := w.WriteFrame(webm.Frame{Track: 1, Time: time.Duration(i) * 20 * time.Millisecond, Data: p}); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := webm.NewReader(bytes.NewReader(file))
		for err == nil {
			var fr webm.Frame
			if fr, err = r.NextFrame(); err == nil && (len(fr.Data) == 0 || len(fr.Data) > len(file) || fr.Time < 0 || fr.Track >= len(r.Header().Tracks)) {
				t.Fatalf("frame of %d bytes at %v in track %d", len(fr.Data), fr.Time, fr.Track)
			}
		}
		if err != io.EOF && !errors.Is(err, webm.ErrFormat) {
			t.Fatalf("%v, want EOF or ErrFormat", err)
		}
	})
}
