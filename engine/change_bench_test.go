package engine_test

import (
	"testing"
	"time"

	"github.com/earshotrtc/earshot/internal/bubble"
)

// BenchmarkNetworkChange prints what is heard of each change of the network,
// of the direction that suffers more. It runs in virtual time: ns/op says
// nothing.
func BenchmarkNetworkChange(b *testing.B) {
	for _, n := range networkChanges() {
		b.Run(n.name, func(b *testing.B) {
			var worst gap
			for b.Loop() {
				var up, down gap
				bubble.Run(b, func(t *testing.T) { up, down = n.run(t) })
				worst = gap{
					silence: max(up.silence, down.silence), made: max(up.made, down.made), back: max(up.back, down.back),
					grew: max(up.grew, down.grew), settled: max(up.settled, down.settled),
				}
			}
			ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
			b.ReportMetric(ms(worst.silence), "ms-silent")
			b.ReportMetric(ms(worst.made), "ms-made-up")
			b.ReportMetric(ms(worst.back), "ms-until-back")
			b.ReportMetric(ms(worst.grew), "ms-delay-grown")
			b.ReportMetric(ms(worst.settled), "ms-settled")
			b.ReportMetric(0, "ns/op")
		})
	}
}
