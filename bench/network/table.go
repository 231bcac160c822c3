package network

import (
	"fmt"
	"strings"
	"time"
)

// Paths are those of the table: every RTT with every loss and every rate.
func Paths() (paths []Path) {
	for _, rate := range []int64{500e3, 2e6, 0} {
		for _, rtt := range []time.Duration{20, 100, 200} {
			for _, loss := range []float64{0, 0.02, 0.05, 0.1} {
				paths = append(paths, Path{RTT: rtt * time.Millisecond, Loss: loss, Rate: rate})
			}
		}
	}
	return paths
}

// Row is a row of the table.
type Row struct {
	Path
	*Result
}

// Markdown is a table of rows, all with video.
func Markdown(rows []Row) string {
	var b strings.Builder
	b.WriteString("| rate | RTT | loss | concealed | audio p50 | p99 | shown | bitrate | video p50 | p99 | freezes | longest | first frame |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range rows {
		v := r.Video
		first, longest, p50, p99 := "none", "all", "–", "–"
		if v.First >= 0 {
			first, longest, p50, p99 = ms(v.First), ms(v.Longest), ms(v.DelayP50), ms(v.DelayP99)
		}
		fmt.Fprintf(&b, "| %s | %v | %g %% | %.1f %% | %s | %s | %.1f %% | %.0f k | %s | %s | %d | %s | %s |\n",
			rateName(r.Rate), r.RTT, 100*r.Loss, 100*r.Audio.Concealed, ms(r.Audio.DelayP50), ms(r.Audio.DelayP99),
			100*v.Share(), v.Bitrate/1e3, p50, p99, v.Freezes, longest, first)
	}
	return b.String()
}

func ms(d time.Duration) string { return fmt.Sprintf("%.0f ms", d.Seconds()*1e3) }
