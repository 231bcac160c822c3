package network

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// The call that is judged: a camera of 1 Mbit/s on a line of 2 Mbit/s with an
// RTT of 100 ms.
const filming = 1e6

func judged(loss float64) Path {
	return Path{RTT: 100 * time.Millisecond, Loss: loss, Rate: 2e6}
}

// seeds is how often a figure of which the worst counts is measured.
const seeds = 3

// BenchmarkNetwork is calls over bad networks. table makes the whole table, of
// the hearer's path and of the talker's, and prints it, or writes it to the
// file named by NETWORK_TABLE; the others are the figures that this engine is
// judged by, the worst of three calls each, and relay is cells of the table
// over real sockets in real time.
func BenchmarkNetwork(b *testing.B) {
	b.Run("table", benchmarkTable)
	b.Run("audio-beside-video", benchmarkBeside)
	b.Run("video-5%", benchmarkLossy)
	b.Run("2M-500k-2M", benchmarkSqueeze)
	b.Run("latecomers", benchmarkLatecomers)
	b.Run("relay", benchmarkRelay)
}

func benchmarkTable(b *testing.B) {
	for b.Loop() {
		var calls []func(context.Context) (*Result, error)
		var paths []Path
		for _, up := range []bool{false, true} {
			for _, p := range Paths() {
				paths = append(paths, p)
				calls = append(calls, func(ctx context.Context) (*Result, error) {
					return Run(ctx, Config{Path: p, Video: filming, Uplink: up})
				})
			}
		}
		began := time.Now()
		results := inVirtual(b, calls)
		took := time.Since(began)
		var rows []Row
		for i, r := range results {
			rows = append(rows, Row{paths[i], r})
		}
		n := len(rows) / 2
		var out strings.Builder
		out.WriteString("### The path of who hears and watches\n\n" + Markdown(rows[:n]))
		out.WriteString("\n### The path of who talks and films\n\n" + Markdown(rows[n:]))
		if file := os.Getenv("NETWORK_TABLE"); file != "" {
			if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
				b.Fatal(err)
			}
		} else {
			fmt.Fprintln(os.Stderr, "\n"+out.String()) // a benchmark's log is cut
		}
		b.ReportMetric(float64(len(rows)), "cells")
		b.ReportMetric(took.Seconds()*1e3/float64(len(rows)), "ms/cell")
	}
	b.ReportMetric(0, "ns/op")
}

func benchmarkBeside(b *testing.B) {
	for b.Loop() {
		var calls []func(context.Context) (*Result, error)
		for seed := range uint64(seeds) {
			for _, video := range []int{0, filming} {
				calls = append(calls, func(ctx context.Context) (*Result, error) {
					return Run(ctx, Config{Path: judged(0.02), Video: video, Seed: seed})
				})
			}
		}
		results := inVirtual(b, calls)
		added, alone, concealed := time.Duration(-1<<62), time.Duration(0), 0.0
		for i := 0; i < len(results); i += 2 {
			without, with := results[i].Audio, results[i+1].Audio
			added = max(added, with.DelayP99-without.DelayP99)
			alone = max(alone, without.DelayP99)
			concealed = max(concealed, with.Concealed)
		}
		b.ReportMetric(millis(added), "ms/audio-p99-added")
		b.ReportMetric(millis(alone), "ms/audio-p99-alone")
		b.ReportMetric(100*concealed, "%concealed")
	}
	b.ReportMetric(0, "ns/op")
}

func benchmarkLossy(b *testing.B) {
	for b.Loop() {
		results := inVirtual(b, perSeed(func(ctx context.Context, seed uint64) (*Result, error) {
			return Run(ctx, Config{Path: judged(0.05), Video: filming, Seed: seed})
		}))
		least := slices.MinFunc(results, func(x, y *Result) int { return x.Video.compare(y.Video) })
		b.ReportMetric(100*least.Video.Share(), "%shown")
		b.ReportMetric(least.Video.Bitrate/1e3, "kbit/s-shown")
		b.ReportMetric(float64(least.Video.Freezes), "freezes")
	}
	b.ReportMetric(0, "ns/op")
}

func (v *Video) compare(w *Video) int {
	switch {
	case v.Share() < w.Share():
		return -1
	case v.Share() > w.Share():
		return 1
	}
	return 0
}

func benchmarkSqueeze(b *testing.B) {
	for b.Loop() {
		results := inVirtual(b, perSeed(func(ctx context.Context, seed uint64) (*Squeeze, error) {
			return RunSqueeze(ctx, Config{Path: judged(0), Video: filming, Seed: seed}, 500e3)
		}))
		var worst Squeeze
		for _, s := range results {
			worst.Audio.DelayMax = max(worst.Audio.DelayMax, s.Audio.DelayMax)
			worst.Audio.Concealed = max(worst.Audio.Concealed, s.Audio.Concealed)
			if s.Back < 0 {
				s.Back = squeezeLength - squeezeTo
			}
			worst.Back = max(worst.Back, s.Back)
		}
		b.ReportMetric(millis(worst.Audio.DelayMax), "ms/audio-max")
		b.ReportMetric(100*worst.Audio.Concealed, "%concealed")
		b.ReportMetric(worst.Back.Seconds(), "s/video-back")
		b.ReportMetric(results[0].Before/1e3, "kbit/s-before")
		b.ReportMetric(results[0].Within/1e3, "kbit/s-within")
	}
	b.ReportMetric(0, "ns/op")
}

func benchmarkLatecomers(b *testing.B) {
	for b.Loop() {
		var first []time.Duration
		for _, f := range inVirtual(b, perSeed(func(ctx context.Context, seed uint64) ([]time.Duration, error) {
			return RunLatecomers(ctx, Path{RTT: 100 * time.Millisecond}, filming, seed)
		})) {
			first = append(first, f...)
		}
		b.ReportMetric(millis(quantile(first, 0.5)), "ms/first-picture-p50")
		b.ReportMetric(millis(quantile(first, 1)), "ms/first-picture-max")
	}
	b.ReportMetric(0, "ns/op")
}

func benchmarkRelay(b *testing.B) {
	for _, p := range []Path{
		{RTT: 20 * time.Millisecond},
		judged(0.02),
		{RTT: 200 * time.Millisecond, Loss: 0.05},
	} {
		b.Run(p.String(), func(b *testing.B) {
			for b.Loop() {
				r, err := Run(b.Context(), Config{Path: p, Video: filming, Relay: true, Duration: 5 * time.Second})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(100*r.Audio.Concealed, "%concealed")
				b.ReportMetric(millis(r.Audio.DelayP50), "ms/audio-p50")
				b.ReportMetric(millis(r.Audio.DelayP99), "ms/audio-p99")
				b.ReportMetric(100*r.Video.Share(), "%shown")
				b.ReportMetric(millis(r.Video.First), "ms/first-frame")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func perSeed[T any](call func(context.Context, uint64) (T, error)) (calls []func(context.Context) (T, error)) {
	for seed := range uint64(seeds) {
		calls = append(calls, func(ctx context.Context) (T, error) { return call(ctx, seed) })
	}
	return calls
}

func millis(d time.Duration) float64 { return d.Seconds() * 1e3 }
