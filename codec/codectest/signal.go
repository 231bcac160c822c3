package codectest

import (
	"bytes"
	"embed"
	"io"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/ogg"
	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/internal/speech"
)

//go:embed testdata/*.ogg
var files embed.FS

const sourceFrom, sourceSamples = codec.SampleRate * 3 / 2, codec.SampleRate * 6 / 5

// Source returns the 1.2 s of real speech that the kept packets were made of:
// alice, and bob on the right if there are two channels.
func Source(rate, channels int) []int16 {
	down := codec.SampleRate / rate
	out := make([]int16, sourceSamples/down*channels)
	for c, x := range [][]int16{alice(), bob()}[:channels] {
		x = lowpass(x, down)
		for i := range sourceSamples / down {
			out[i*channels+c] = x[sourceFrom+i*down]
		}
	}
	return out
}

var (
	alice = sync.OnceValue(func() []int16 { return beginning("alice") })
	bob   = sync.OnceValue(func() []int16 { return beginning("bob") })
)

// beginning is as much of speech.PCM as Source needs: under the race detector
// decoding the whole takes seconds.
func beginning(name string) []int16 {
	dec, err := pionopus.Driver{}.NewDecoder(codec.DecoderConfig{})
	if err != nil {
		panic(err)
	}
	r, err := ogg.NewReader(bytes.NewReader(speech.Ogg(name)))
	if err != nil {
		panic(err)
	}
	skip := r.Header().PreSkip
	pcm := make([]int16, 0, sourceFrom+sourceSamples+2*codec.MaxFrameSamples)
	for len(pcm) < skip+sourceFrom+sourceSamples+960 {
		p, err := r.NextPacket()
		if err != nil {
			panic(err)
		}
		n, err := dec.Decode(p, pcm[len(pcm):cap(pcm)])
		if err != nil {
			panic(err)
		}
		pcm = pcm[:len(pcm)+n]
	}
	return pcm[skip:]
}

// lowpass keeps what can be decimated by down: two box filters of that length,
// moved back by their delay.
func lowpass(x []int16, down int) []int16 {
	if down == 1 {
		return x
	}
	for range 2 {
		y := make([]int16, len(x))
		half := down / 2
		sum := 0
		for i := range len(x) + half {
			if i < len(x) {
				sum += int(x[i])
			}
			if i >= down {
				sum -= int(x[i-down])
			}
			if i >= half {
				y[i-half] = int16(sum / down)
			}
		}
		x = y
	}
	return x
}

// kept is a file of testdata.
type kept struct {
	name    string
	header  ogg.Header
	packets [][]byte
}

func (k kept) fec() bool { return strings.Contains(k.name, "-fec-") }

func keptPackets(t *testing.T) []kept {
	t.Helper()
	entries, err := files.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	var all []kept
	for _, e := range entries {
		b, err := files.ReadFile("testdata/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		r, err := ogg.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		k := kept{name: strings.TrimSuffix(e.Name(), ".ogg"), header: r.Header()}
		for {
			p, err := r.NextPacket()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			k.packets = append(k.packets, bytes.Clone(p))
		}
		if raceEnabled { // ten times slower, and there is nothing concurrent here
			k.packets = k.packets[:len(k.packets)*6/10]
		}
		all = append(all, k)
	}
	if len(all) < 15 {
		t.Fatalf("%d files of packets, want 15", len(all))
	}
	return all
}

func find(t *testing.T, name string) kept {
	t.Helper()
	for _, k := range keptPackets(t) {
		if k.name == name {
			return k
		}
	}
	t.Fatalf("no packets %q", name)
	return kept{}
}

// channel returns one channel of interleaved sound.
func channel(pcm []int16, channels, which int) []int16 {
	out := make([]int16, len(pcm)/channels)
	for i := range out {
		out[i] = pcm[i*channels+which]
	}
	return out
}

// correlation is how alike two sounds are, -1 to 1.
func correlation(a, b []int16) float64 {
	var ab, aa, bb float64
	for i := range min(len(a), len(b)) {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// delay finds got in want: the delay within ±reach samples at which they are
// most alike, and how alike.
func delay(want, got []int16, expect, reach int) (at int, c float64) {
	c = -1
	for d := max(0, expect-reach); d <= expect+reach && d < len(got); d++ {
		if v := correlation(want, got[d:]); v > c {
			at, c = d, v
		}
	}
	return at, c
}

// rms is the root of the mean power.
func rms(pcm []int16) float64 {
	var sum float64
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(max(1, len(pcm))))
}

// steepest is the largest step between neighbours.
func steepest(pcm []int16) int {
	top := 0
	for i := 1; i < len(pcm); i++ {
		top = max(top, abs(int(pcm[i])-int(pcm[i-1])))
	}
	return top
}

func abs(v int) int {
	if v < 0 {
		return -v
	}
	return v
}
