package main

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const raw = `$ go test -run '^$' -bench 'Participants' -benchtime 1x ./bench
goos: linux
pkg: github.com/earshotrtc/earshot/bench
BenchmarkParticipants/forward/100users/5talk-2         	       1	        99.97 %delivered-least	       680.0 participants/core
BenchmarkParticipants/mix/100users/5talk<&-2           	       1	        95.00 %delivered-least	       340.5 participants/core
PASS
pkg: github.com/earshotrtc/earshot/mixer
BenchmarkVoiceDetector-2                	  205456	      5837 ns/op	       0 B/op	       0 allocs/op
BenchmarkVoiceDetector                  	  205456	      5838 ns/op
--- FAIL: BenchmarkOther
BenchmarkNetwork/a-2   1   3.000 cells
BenchmarkNetwork/b-2   1   4.000 ms/p50   5.000 %shown
BenchmarkNetwork/c-2   1   6.000 %shown
`

func TestReport(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "raw.txt")
	if err := os.WriteFile(in, []byte(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(in, dir, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"### Participants that one core serves\n\n`Participants` in ./bench\n\n|  | %delivered-least | participants/core |\n|---|--:|--:|\n| forward/100users/5talk | 99.97 | 680.0 |\n",
		"`VoiceDetector` in ./mixer\n\n|  | ns/op | B/op | allocs/op |\n|---|--:|--:|--:|\n|  | 5837 | 0 | 0 |\n|  | 5838 |  |  |\n",
		"### mixer: Network\n\n|  | cells |\n|---|--:|\n| a | 3.000 |\n\n|  | ms/p50 | %shown |\n|---|--:|--:|\n| b | 4.000 | 5.000 |\n| c |  | 6.000 |\n\n",
		"](participants.svg)",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("there is no %q in\n%s", want, out.String())
		}
	}
	picture, err := os.ReadFile(filepath.Join(dir, "participants.svg"))
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(string(picture)))
	bars := 0
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	if bars != 3 { // two and what is behind them
		t.Errorf("%d rectangles", bars)
	}
}

func TestReportOfNothing(t *testing.T) {
	in := filepath.Join(t.TempDir(), "raw.txt")
	if err := os.WriteFile(in, []byte("PASS\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(in, "", io.Discard); err == nil {
		t.Error("a run without a benchmark makes a report")
	}
}
