package bridge_test

import (
	"testing"

	"github.com/earshotrtc/earshot/bench/load"
)

// BenchmarkTick is one tick of a room, all in: jitter buffers, decoding, voice
// detection, mixing, encoding, packets. encodes/s is its cost in encode-times a
// second, an encode-time being one encode of 20 ms of speech (complexity 4, 32
// kbit/s) in the same run.
func BenchmarkTick(b *testing.B) {
	for _, c := range []struct {
		name           string
		users, talkers int
	}{{"100users-5talk", 100, 5}, {"400users-5talk", 400, 5}, {"1000users-5talk", 1000, 5}, {"100users-1talk", 100, 1}, {"100users-16talk", 100, 16}, {"4users-1talk", 4, 1}} {
		b.Run(c.name, func(b *testing.B) {
			m, err := load.NewMixing(c.users, c.talkers)
			if err != nil {
				b.Fatal(err)
			}
			m.Sent = 0
			b.ReportAllocs()
			for b.Loop() {
				m.Tick()
			}
			b.ReportMetric(float64(m.Sent)/float64(b.N), "packets/tick")
			b.ReportMetric(m.EncodeTimes(200), "encodes/s")
		})
	}
}
