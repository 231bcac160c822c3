package engine

import (
	"math"
	"testing"

	"github.com/pion/rtp"
)

// What a packet says of gain and pan is what is heard, from one gain to the next
// without a step; what is malformed changes nothing.
func TestSpace(t *testing.T) {
	s := space{ext: 2}
	pcm := make([]int16, 480)
	for i := range pcm {
		pcm[i] = 10000
	}
	say := func(b ...byte) {
		h := rtp.Header{Version: 2}
		if err := h.SetExtension(2, b); err != nil {
			t.Fatal(err)
		}
		s.note(&h)
	}
	hear := func(stereo bool) (first, last [2]float64) {
		sum := make([]int32, 960)
		s.add(sum, pcm, 1, stereo)
		if !stereo {
			return [2]float64{float64(sum[0])}, [2]float64{float64(sum[479])}
		}
		return [2]float64{float64(sum[0]), float64(sum[1])}, [2]float64{float64(sum[958]), float64(sum[959])}
	}
	near := func(what string, got [2]float64, left, right float64) {
		t.Helper()
		if math.Abs(got[0]-left) > 30 || math.Abs(got[1]-right) > 30 {
			t.Errorf("%s: %v, want %v and %v", what, got, left, right)
		}
	}
	minus := func(db int8) byte { return byte(-db) }
	say(minus(20), 8)
	first, last := hear(true)
	near("at the right, first", first, 0, 1000)
	near("at the right, last", last, 0, 1000)
	say(0, minus(8))
	first, last = hear(true)
	near("it begins where it was", first, 0, 1000)
	near("and glides to the left", last, 10000, 0)
	say(0, 0)
	hear(true)
	first, _ = hear(true)
	near("ahead", first, 7071, 7071)
	say(0)          // too short
	say(0, 0, 0)    // too long
	say(0x80, 0x7f) // beyond what there is
	hear(true)
	first, _ = hear(true)
	near("as quiet as can be, at the right", first, 0, 10)
	say(minus(6), 8)
	hear(false)
	first, _ = hear(false)
	near("mono has no side", first, 5012, 0)
}
