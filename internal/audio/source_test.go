package audio

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/internal/speech"
)

// A frame of the sound from t to t+20 ms comes at t+20 ms, for ten minutes,
// or at once if the reader comes later than that.
func TestSourcePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pcm := make([]int16, 4801) // not a multiple of the frame
		for i := range pcm {
			pcm[i] = int16(i)
		}
		s := NewSource(SourceConfig{PCM: pcm, Loop: true})
		start := time.Now()
		frame := make([]int16, 960)
		for n := range 30000 {
			asked := time.Since(start)
			if err := s.ReadPCM(t.Context(), frame); err != nil {
				t.Fatal(err)
			}
			want := max(asked, time.Duration(n+1)*20*time.Millisecond)
			if got := time.Since(start); got != want {
				t.Fatalf("frame %d came at %v, want %v", n, got, want)
			}
			if want := int16((n*960 + 959) % 4801); frame[959] != want {
				t.Fatalf("frame %d ends with sample %d, want %d", n, frame[959], want)
			}
			if n%7 == 3 {
				time.Sleep(130 * time.Millisecond)
			}
		}
		if s.Began() != start || s.Skipped() != 0 {
			t.Errorf("began at %v, want %v; skipped %d", s.Began(), start, s.Skipped())
		}
	})
}

func TestSourceLateReaderSkips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pcm := make([]int16, 2*Rate)
		for i := range pcm {
			pcm[i] = int16(i / 960)
		}
		s := NewSource(SourceConfig{PCM: pcm})
		frame := make([]int16, 960)
		s.ReadPCM(t.Context(), frame)
		time.Sleep(time.Second)
		s.ReadPCM(t.Context(), frame)
		// 1.02 s have passed: frame 50, from 1.00 to 1.02 s, is the newest.
		if frame[0] != 50 || s.Skipped() != 49*960 {
			t.Errorf("after a second away: frame %d, %d samples skipped", frame[0], s.Skipped())
		}
		start := s.Began()
		s.ReadPCM(t.Context(), frame)
		if got := time.Since(start); frame[0] != 51 || got != 1040*time.Millisecond {
			t.Errorf("then frame %d at %v", frame[0], got)
		}
	})
}

func TestSourceEnds(t *testing.T) {
	frame := make([]int16, 960)
	for _, c := range []struct {
		name   string
		cfg    SourceConfig
		frames int
		last   int // samples of sound in the last frame
	}{
		{"at the end of PCM", SourceConfig{PCM: loud(2000)}, 3, 80},
		{"at a frame's end", SourceConfig{PCM: loud(1920)}, 2, 960},
		{"at the limit", SourceConfig{PCM: loud(100), Loop: true, Limit: 30 * time.Millisecond}, 2, 480},
		{"limit beyond PCM", SourceConfig{PCM: loud(960), Limit: time.Second}, 1, 960},
		{"empty", SourceConfig{Loop: true}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := NewSource(c.cfg)
				for n := range c.frames {
					if err := s.ReadPCM(t.Context(), frame); err != nil {
						t.Fatalf("frame %d: %v", n, err)
					}
				}
				if c.frames > 0 {
					n := 0
					for n < len(frame) && frame[n] != 0 {
						n++
					}
					if n != c.last {
						t.Errorf("%d samples in the last frame, want %d", n, c.last)
					}
				}
				for range 2 {
					if err := s.ReadPCM(t.Context(), frame); err != io.EOF {
						t.Errorf("after the end: %v", err)
					}
				}
			})
		})
	}
}

func loud(n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = 1000
	}
	return pcm
}

func TestSourceHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSource(SourceConfig{PCM: loud(960), Hold: true})
		frame := make([]int16, 960)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.ReadPCM(ctx, frame); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("held: %v", err)
		}
		if !s.Began().IsZero() {
			t.Error("began by a read")
		}
		var at time.Time
		go func() {
			time.Sleep(time.Second)
			at = time.Now()
			s.Begin()
			time.Sleep(5 * time.Millisecond)
			s.Begin() // changes nothing
		}()
		if err := s.ReadPCM(t.Context(), frame); err != nil {
			t.Fatal(err)
		}
		if s.Began() != at || time.Since(at) != 20*time.Millisecond {
			t.Errorf("began %v after Begin, frame came %v after it", s.Began().Sub(at), time.Since(at))
		}
	})
}

func TestSourceStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSource(SourceConfig{PCM: loud(960), Stay: true})
		frame := make([]int16, 960)
		if err := s.ReadPCM(t.Context(), frame); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := s.ReadPCM(ctx, frame); err != context.DeadlineExceeded || time.Since(start) != time.Second {
			t.Errorf("at the end: %v after %v", err, time.Since(start))
		}
	})
}

func TestSourceCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Silence()
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(5 * time.Millisecond)
			cancel()
		}()
		start := time.Now()
		if err := s.ReadPCM(ctx, make([]int16, 960)); err != context.Canceled || time.Since(start) != 5*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		// The next call goes on as if nothing had been.
		if err := s.ReadPCM(t.Context(), make([]int16, 960)); err != nil || time.Since(start) != 20*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestPacketSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		packets := speech.Packets("alice")[:5]
		s := NewPacketSource(packets, true)
		buf := make([]byte, 1150)
		start := time.Now()
		for i := range 12 {
			n, d, err := s.ReadOpus(t.Context(), buf)
			if err != nil || d != 20*time.Millisecond {
				t.Fatal(d, err)
			}
			if !bytes.Equal(buf[:n], packets[i%5]) {
				t.Errorf("packet %d is another", i)
			}
			if got, want := time.Since(start), time.Duration(i+1)*20*time.Millisecond; got != want {
				t.Errorf("packet %d at %v, want %v", i, got, want)
			}
		}
		if _, _, err := s.ReadOpus(t.Context(), buf[:3]); !errors.Is(err, io.ErrShortBuffer) {
			t.Errorf("short buffer: %v", err)
		}
		once := NewPacketSource(packets[:1], false)
		once.ReadOpus(t.Context(), buf)
		if _, _, err := once.ReadOpus(t.Context(), buf); err != io.EOF {
			t.Errorf("after the last: %v", err)
		}
		if _, _, err := NewPacketSource([][]byte{{}}, true).ReadOpus(t.Context(), buf); err == nil {
			t.Error("an empty packet is taken")
		}
	})
}

func TestSourceDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	synctest.Test(t, func(t *testing.T) {
		s, frame := Silence(), make([]int16, 960)
		ctx := t.Context()
		s.ReadPCM(ctx, frame)
		if n := testing.AllocsPerRun(100, func() { s.ReadPCM(ctx, frame) }); n != 0 {
			t.Errorf("%v allocations per frame", n)
		}
	})
}
