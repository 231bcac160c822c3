package audio

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/internal/speech"
)

func TestPull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		phase := 3 * time.Millisecond
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var rec Recording
		n := int16(0)
		err := Pull(ctx, phase, func(pcm []int16) {
			n++
			for i := range pcm {
				pcm[i] = n
			}
			if n == 50 {
				time.Sleep(7 * time.Millisecond) // a slow pull delays none after it
			}
		}, rec.Add)
		if err != nil {
			t.Fatal(err)
		}
		if len(rec.Times) != 100 || len(rec.PCM) != 100*480 {
			t.Fatalf("%d blocks of %d samples in a second", len(rec.Times), len(rec.PCM))
		}
		for i, at := range rec.Times {
			if want := start.Add(phase + time.Duration(i)*10*time.Millisecond); at != want {
				t.Errorf("block %d pulled at %v, want %v", i, at.Sub(start), want.Sub(start))
			}
			if rec.PCM[i*480] != int16(i+1) || rec.PCM[i*480+479] != int16(i+1) {
				t.Errorf("block %d is another", i)
			}
		}
		if got := rec.Time(480*5 + 48).Sub(start); got != 54*time.Millisecond {
			t.Errorf("sample 5*480+48 was heard at %v", got)
		}
		for _, c := range []struct {
			at   time.Duration
			want int
		}{{0, 0}, {3 * time.Millisecond, 0}, {4 * time.Millisecond, 480}, {time.Hour, 48000}} {
			if got := rec.From(start.Add(c.at)); got != c.want {
				t.Errorf("From(%v) = %d, want %d", c.at, got, c.want)
			}
		}
	})
}

func TestPullUnderrun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		var rec Recording
		n := 0
		Pull(ctx, 0, func([]int16) {
			if n++; n == 10 {
				time.Sleep(time.Second)
			}
		}, rec.Add)
		if got := rec.Times[10].Sub(start); got > 1100*time.Millisecond {
			t.Errorf("first block after the stall at %v", got)
		}
		// No burst of all that was missed: about 10 blocks, then 100 a second.
		if len(rec.Times) > 10+12+100 || len(rec.Times) < 90 {
			t.Errorf("%d blocks in 2 s with a stall of 1 s", len(rec.Times))
		}
	})
}

func TestPullEndsWithPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		err := Pull(t.Context(), 0, func([]int16) {}, func([]int16, time.Time) error { return broken })
		if err != broken {
			t.Errorf("got %v", err)
		}
	})
	for range 1000 {
		if p := RandomPhase(); p < 0 || p >= 10*time.Millisecond {
			t.Fatalf("phase %v", p)
		}
	}
}

// A source heard through a line of known delay gives that delay back, to a
// tenth of a millisecond, at any phase of the puller and over a loop's seam.
func TestMouthToEar(t *testing.T) {
	pcm := speech.PCM("bob")[:4*Rate+123]
	marked, at := Markers(pcm, 400*time.Millisecond)
	if len(at) != 10 {
		t.Fatalf("%d markers in 4 s", len(at))
	}
	if c, _ := Similarity(marked, pcm); c < 0.98 {
		t.Errorf("the markers drown the speech: %.3f", c)
	}
	const line = 37*time.Millisecond + 500*time.Microsecond
	synctest.Test(t, func(t *testing.T) {
		const length = 6 * time.Second
		s := NewSource(SourceConfig{PCM: marked, Loop: true, Limit: length})
		s.Begin()
		began := s.Began()
		ctx, cancel := context.WithTimeout(t.Context(), length)
		defer cancel()
		var rec Recording
		Pull(ctx, 4321*time.Microsecond, func(out []int16) {
			// What came into the line that long ago.
			from := samples(time.Since(began) - line)
			for i := range out {
				out[i] = 0
				if n := from + int64(i); n >= 0 {
					out[i] = marked[n%int64(len(marked))] / 2
				}
			}
			if at := time.Since(began); at > 2*time.Second && at < 2500*time.Millisecond {
				clear(out) // a gap, in which at least one marker is lost
			}
		}, rec.Add)
		d := MouthToEar(marked, at, began, length, &rec)
		if len(d.Found)+d.Missed < 13 || d.Missed == 0 || d.Missed > 3 {
			t.Errorf("%d found, %d missed", len(d.Found), d.Missed)
		}
		for _, got := range d.Found {
			if (got - line).Abs() > 100*time.Microsecond {
				t.Errorf("mouth to ear %v, want %v", got, line)
			}
		}
	})
}

func TestQuantile(t *testing.T) {
	d := Delays{Found: []time.Duration{5, 1, 4, 2, 3}}
	for _, c := range []struct {
		q    float64
		want time.Duration
	}{{0, 1}, {0.5, 3}, {0.99, 5}, {1, 5}} {
		if got := d.Quantile(c.q); got != c.want {
			t.Errorf("quantile %v: %d, want %d", c.q, got, c.want)
		}
	}
	if (Delays{}).Quantile(0.5) != 0 {
		t.Error("quantile of nothing")
	}
}
