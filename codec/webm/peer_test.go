package webm_test

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/at-wat/ebml-go"
	peer "github.com/at-wat/ebml-go/webm"

	"github.com/earshotrtc/earshot/codec/webm"
)

// What ebml-go, another one's work, reads in our file is what was written.
func TestPeerReads(t *testing.T) {
	want := film(t)
	var file bytes.Buffer
	if err := write(t, &file, webm.Config{Tracks: bothTracks}, want).Close(); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Header  peer.EBMLHeader `ebml:"EBML"`
		Segment peer.Segment    `ebml:"Segment,size=unknown"`
	}
	if err := ebml.Unmarshal(&file, &doc); err != nil {
		t.Fatal(err)
	}
	if n := len(doc.Segment.Tracks.TrackEntry); doc.Header.DocType != "webm" || n != 2 {
		t.Fatalf("a document of type %s with %d tracks", doc.Header.DocType, n)
	}
	if v := doc.Segment.Tracks.TrackEntry[0]; v.Video == nil || v.Video.PixelWidth != 320 || v.CodecID != webm.VP8 || v.TrackType != 1 {
		t.Errorf("video %+v", v)
	}
	if a := doc.Segment.Tracks.TrackEntry[1]; a.Audio == nil || a.Audio.SamplingFrequency != 48000 || a.CodecDelay != 6500000 || a.TrackType != 2 {
		t.Errorf("audio %+v", a)
	}
	var got []webm.Frame
	for i, c := range doc.Segment.Cluster {
		for j, b := range c.SimpleBlock {
			if b.TrackNumber == 1 && b.Keyframe && j != 0 {
				t.Errorf("a key frame is in the middle of cluster %d", i)
			}
			got = append(got, webm.Frame{
				Track: int(b.TrackNumber) - 1, KeyFrame: b.Keyframe, Data: b.Data[0],
				Time: time.Duration(c.Timecode+uint64(b.Timecode)) * time.Millisecond,
			})
		}
	}
	wantFrames(t, got, want)
}

// What ebml-go writes is read.
func TestPeerWrites(t *testing.T) {
	want := film(t)
	var file bytes.Buffer
	ws, err := peer.NewSimpleBlockWriter(nopCloser{&file}, []peer.TrackEntry{
		{TrackNumber: 1, TrackUID: 1, CodecID: webm.VP8, TrackType: 1, Video: &peer.Video{PixelWidth: 320, PixelHeight: 240}},
		{TrackNumber: 2, TrackUID: 2, CodecID: webm.Opus, TrackType: 2, Audio: &peer.Audio{SamplingFrequency: 48000, Channels: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range want {
		if _, err := ws[f.Track].Write(f.KeyFrame, f.Time.Round(time.Millisecond).Milliseconds(), f.Data); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range ws {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	h, got, err := readAll(t, file.Bytes())
	if err != io.EOF {
		t.Fatal(err)
	}
	slices.SortStableFunc(got, byTime) // its tracks have a goroutine each
	if len(h.Tracks) != 2 || h.Tracks[0].Height != 240 {
		t.Errorf("%+v", h)
	}
	for i := range bothTracks {
		of := func(all []webm.Frame) []webm.Frame {
			return slices.DeleteFunc(slices.Clone(all), func(f webm.Frame) bool { return f.Track != i })
		}
		wantFrames(t, of(got), of(want))
	}
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
