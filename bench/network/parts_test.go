package network

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/codec/vp8"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/internal/speech"
)

func TestCameraKeepsItsBitrate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cam := NewCamera(1e6, 1)
		start := time.Now()
		mean := func(seconds, want int) (bps int) {
			bytes := 0
			for i := range seconds * frameRate {
				f, err := cam.ReadFrame(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				h, ok := vp8.ParseFrameHeader(f.Data)
				number, captured, whole := readStamp(f)
				if !ok || h.KeyFrame != f.KeyFrame || h.Width != f.Width || !whole || !captured.Equal(time.Now()) {
					t.Fatalf("frame %d: header %+v, stamp %d %v %v", i, h, number, captured, whole)
				}
				if f.KeyFrame != (i == 0) {
					t.Errorf("frame %d: key frame %v", i, f.KeyFrame)
				}
				if frame := want / 8 / frameRate; f.KeyFrame && (len(f.Data) < 3*frame || len(f.Data) > 7*frame) {
					t.Errorf("a key frame of %d bytes, others of %d", len(f.Data), frame)
				}
				bytes += len(f.Data)
			}
			return 8 * bytes / seconds
		}
		for _, bps := range []int{1e6, 250e3, 5e6, 100} {
			cam.SetBitrate(bps)
			cam.RequestKeyFrame()
			want := max(minBitrate, min(1e6, bps))
			if got := mean(8, want); got < want*96/100 || got > want*104/100 {
				t.Errorf("told %d: %d bit/s, want %d", bps, got, want)
			}
		}
		if took := time.Since(start); took != 32*time.Second-frameStep {
			t.Errorf("32 s of video took %v", took)
		}
		if n := cam.KeyFramesAsked(); n != 4 {
			t.Errorf("%d key frames asked for", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		cam.ReadFrame(t.Context())
		if _, err := cam.ReadFrame(ctx); err != context.Canceled {
			t.Errorf("ctx has ended: %v", err)
		}
	})
}

// A screen counts what a decoder could show, and how long the picture stood.
func TestScreen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cam, s := NewCamera(1e6, 1), new(Screen)
		start := time.Now()
		time.Sleep(30 * time.Millisecond)
		for i := range 100 {
			if i == 60 {
				cam.RequestKeyFrame()
			}
			f, err := cam.ReadFrame(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			switch f.Data = bytes.Clone(f.Data); {
			case i >= 10 && i < 20: // lost
				continue
			case i == 20: // refers to what was lost
			case i > 20 && i < 60:
				continue
			case i == 80:
				f.Data[len(f.Data)-1]++
			case i == 81: // refers to what was damaged
			case i > 81:
				continue
			}
			s.WriteFrame(f)
		}
		v := watched(s, cam, start, time.Now())
		// 100 frames but for the 12 of the last half second, frame 87 is
		// captured at its begin.
		want := Video{Sent: 87, Shown: 30, Broken: 3, First: 30 * time.Millisecond, Freezes: 2, Longest: 51 * frameStep,
			Bitrate: v.Bitrate, KeyFrames: 1}
		if v != want {
			t.Errorf("got  %+v\nwant %+v", v, want)
		}
		if v := watched(new(Screen), cam, start, time.Now()); v.First >= 0 || v.Share() != 0 {
			t.Errorf("nothing shown: %+v", v)
		}
	})
}

// A stamp comes out as it went in, and changes nothing that is heard.
func TestStamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stamps{Driver: libopus.Driver{}}
		cfg := codec.EncoderConfig{Signal: codec.SignalVoice, FEC: true, PacketLoss: 10}
		enc, err := s.NewEncoder(cfg)
		if err != nil {
			t.Fatal(err)
		}
		bare, _ := libopus.Driver{}.NewEncoder(cfg)
		dec, err := s.NewDecoder(codec.DecoderConfig{})
		if err != nil {
			t.Fatal(err)
		}
		bareDec, _ := libopus.Driver{}.NewDecoder(codec.DecoderConfig{})
		start := time.Now()
		pcm := speech.PCM("alice")
		a, b := make([]byte, codec.MaxPacketSize), make([]byte, codec.MaxPacketSize-padding)
		x, y := make([]int16, codec.MaxFrameSamples), make([]int16, codec.MaxFrameSamples)
		for i := range 50 {
			frame := pcm[i*960:][:960]
			n, err := enc.Encode(frame, a)
			if err != nil {
				t.Fatal(err)
			}
			m, _ := bare.Encode(frame, b)
			if n != m+padding {
				t.Fatalf("frame %d: %d bytes, %d without stamp", i, n, m)
			}
			time.Sleep(13 * time.Millisecond)
			k, err := dec.Decode(a[:n], x)
			if err != nil {
				t.Fatal(err)
			}
			if l, _ := bareDec.Decode(b[:m], y); k != l || !slices.Equal(x[:k], y[:l]) {
				t.Fatalf("frame %d sounds different", i)
			}
		}
		d := s.between(start, time.Now().Add(1))
		if len(d) != 50 || slices.Min(d) != 39500*time.Microsecond || slices.Max(d) != slices.Min(d) {
			t.Errorf("%d delays, %v", len(d), d)
		}
		for _, p := range [][]byte{nil, {3}, bytes.Repeat([]byte{0x43}, 20)} {
			if _, ok := stampOf(p); ok {
				t.Errorf("%x has a stamp", p)
			}
		}
	})
}

func TestMarkdown(t *testing.T) {
	if n := len(Paths()); n != 36 {
		t.Errorf("%d paths", n)
	}
	rows := []Row{{judged(0.02), &Result{
		Audio: Audio{Concealed: 0.0123, DelayP50: 98 * time.Millisecond, DelayP99: 120 * time.Millisecond},
		Video: &Video{Sent: 200, Shown: 199, First: 210 * time.Millisecond, Longest: 80 * time.Millisecond, Bitrate: 9e5},
	}}, {Path{}, &Result{Video: &Video{First: -1}}}}
	got := strings.Split(Markdown(rows), "\n")
	for i, want := range map[int]string{
		2: "| 2M | 100ms | 2 % | 1.2 % | 98 ms | 120 ms | 99.5 % | 900 k | 0 ms | 0 ms | 0 | 80 ms | 210 ms |",
		3: "| unlimited | 0s | 0 % | 0.0 % | 0 ms | 0 ms | 0.0 % | 0 k | – | – | 0 | all | none |",
	} {
		if got[i] != want {
			t.Errorf("row %d:\n got %s\nwant %s", i, got[i], want)
		}
	}
}

var _ engine.VideoSink = (*Screen)(nil)
