package audio

import (
	"math"
	"slices"
	"time"
)

// A marker is a chirp of 12 ms between 800 and 3600 Hz: what every speech codec
// lets through, and no voice does. One goes up and the next goes down, so that
// none is taken for its neighbour.
const (
	markerSamples = Rate * 12 / 1000
	markerMargin  = Rate * 3 / 1000 // of the sound around it that is looked for, too
	markerLevel   = 3000            // peak: about -24 dBov
)

// chirp is sample i of a marker.
//
//go:norace
func chirp(i int, down bool) float64 {
	const from, to = 800.0, 3600.0
	if down {
		i = markerSamples - 1 - i
	}
	t, length := float64(i)/Rate, float64(markerSamples)/Rate
	phase := 2 * math.Pi * (from*t + (to-from)*t*t/2/length)
	return math.Sin(phase) * (0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/(markerSamples-1)))
}

// Markers returns a copy of pcm with a chirp of 12 ms in the quietest place of
// each interval, which should be 200 ms or more, and where the chirps begin. It
// is what MouthToEar finds again.
func Markers(pcm []int16, interval time.Duration) (marked []int16, at []int) {
	marked = slices.Clone(pcm)
	step := int(samples(interval))
	if step < 3*markerSamples {
		return marked, nil
	}
	n := len(pcm) / step
	if n > 1 {
		n &^= 1 // where a loop begins again, up still follows down
	}
	// At both ends of an interval stays room, so that no chirp gets near the
	// next.
	for i := range n {
		start := i * step
		place := quietest(pcm[start+markerSamples:start+step-markerSamples]) + start + markerSamples
		for j := range markerSamples {
			v := float64(pcm[place+j]) + markerLevel*chirp(j, i%2 == 1)
			marked[place+j] = int16(max(-32768, min(32767, v)))
		}
		at = append(at, place)
	}
	return marked, at
}

// quietest is where in pcm the markerSamples with the least energy begin, to a
// millisecond.
//
//go:norace
func quietest(pcm []int16) int {
	best, at := math.Inf(1), 0
	for i := 0; i+markerSamples <= len(pcm); i += Rate / 1000 {
		var e float64
		for _, v := range pcm[i : i+markerSamples] {
			e += float64(v) * float64(v)
		}
		if e < best {
			best, at = e, i
		}
	}
	return at
}

// Delays is what MouthToEar found.
type Delays struct {
	// Found has the delay of each marker that was found, in order of time.
	Found []time.Duration
	// Missed is how many should have been there and were not.
	Missed int
}

// Quantile is the q-quantile of the delays, 0 to 1 (the nearest rank), or 0 of
// none.
func (d Delays) Quantile(q float64) time.Duration {
	if len(d.Found) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d.Found))
	return s[max(0, min(len(s)-1, int(math.Ceil(q*float64(len(s))))-1))]
}

// maxMouthToEar is how far behind its mouth time a marker is looked for.
const maxMouthToEar = 250 * time.Millisecond

// minMarker is the correlation at which a marker counts as found.
const minMarker = 0.5

// MouthToEar measures how long sound takes: marked and at are Markers' results
// and were looped over by a source that began at began and gave length of
// sound; heard is what came out at the other end. A sample leaves the mouth
// when the source captured it, and reaches the ear when its block was pulled
// plus its place in that. Both are on the same clock; nothing else is.
//
// Each marker is looked for by cross-correlation in the 250 ms after it was
// said. Those of the last 250 ms are left out.
func MouthToEar(marked []int16, at []int, began time.Time, length time.Duration, heard *Recording) Delays {
	var d Delays
	for loop := 0; len(marked) > 0; loop += len(marked) {
		for _, place := range at {
			pos := loop + place
			if duration(int64(pos))+maxMouthToEar > length {
				return d
			}
			mouth := began.Add(duration(int64(pos)))
			from := heard.From(mouth.Add(-blockDuration))
			to := heard.From(mouth.Add(maxMouthToEar))
			lo := max(0, place-markerMargin)
			hi := min(len(marked), place+markerSamples+markerMargin)
			n, c := Find(heard.PCM[from:to], marked[lo:hi])
			if c < minMarker {
				d.Missed++
				continue
			}
			ear := heard.Time(from + n + place - lo)
			d.Found = append(d.Found, ear.Sub(mouth))
		}
		if len(at) == 0 {
			break
		}
	}
	return d
}
