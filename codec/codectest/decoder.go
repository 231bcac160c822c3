package codectest

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/earshotrtc/earshot/codec"
)

// Options says what a driver is known not to do.
type Options struct {
	// ConcealOnlyFEC: DecodeFEC always conceals. Default false.
	ConcealOnlyFEC bool
	// DecodeAllocs is how many allocations a Decode may do, on average, for
	// the sake of a library. Default 0.
	DecodeAllocs float64
}

// sentinel is what buffers hold before they are filled, and must hold after
// beyond what was filled.
const sentinel = 0x5a5a

var outputs = []codec.DecoderConfig{
	{}, {Channels: 2},
	{SampleRate: 24000}, {SampleRate: 16000, Channels: 2}, {SampleRate: 12000}, {SampleRate: 8000},
}

// TestDecoder tests a driver's decoders.
func TestDecoder(t *testing.T, d codec.Driver, o Options) {
	t.Run("decoder/config", func(t *testing.T) { decoderConfig(t, d) })
	t.Run("decoder/speech", func(t *testing.T) { decoderSpeech(t, d) })
	t.Run("decoder/buffers", func(t *testing.T) { decoderBuffers(t, d) })
	t.Run("decoder/hostile", func(t *testing.T) { decoderHostile(t, d) })
	t.Run("decoder/conceal", func(t *testing.T) { decoderConceal(t, d) })
	t.Run("decoder/fec", func(t *testing.T) { decoderFEC(t, d, o) })
	t.Run("decoder/reset", func(t *testing.T) { decoderReset(t, d) })
	t.Run("decoder/allocations", func(t *testing.T) { decoderAllocations(t, d, o) })
}

func newDecoder(t testing.TB, d codec.Driver, cfg codec.DecoderConfig) codec.Decoder {
	t.Helper()
	dec, err := d.NewDecoder(cfg)
	if err != nil {
		t.Fatalf("NewDecoder(%+v): %v", cfg, err)
	}
	return dec
}

func decoderConfig(t *testing.T, d codec.Driver) {
	if d.Name() == "" {
		t.Error("no name")
	}
	for _, cfg := range []codec.DecoderConfig{{SampleRate: 44100}, {SampleRate: -1}, {Channels: 3}, {Channels: -1}} {
		if _, err := d.NewDecoder(cfg); !errors.Is(err, codec.ErrConfig) {
			t.Errorf("NewDecoder(%+v): %v, want ErrConfig", cfg, err)
		}
	}
}

// Every kind of packet gives the speech it was made of, at every rate and
// channel count, and is as long as its first bytes say.
func decoderSpeech(t *testing.T, d codec.Driver) {
	for _, k := range keptPackets(t) {
		outputs := outputs
		if raceEnabled {
			outputs = outputs[1:2]
		}
		for _, cfg := range outputs {
			dec := newDecoder(t, d, cfg)
			cfg, _ = cfg.WithDefaults()
			pcm := make([]int16, codec.MaxFrameSamples*cfg.Channels)
			var all []int16
			for i, p := range k.packets {
				n, err := dec.Decode(p, pcm)
				if err != nil {
					t.Fatalf("%s %+v: packet %d: %v", k.name, cfg, i, err)
				}
				if want, _ := codec.PacketSamples(p); n != want*cfg.SampleRate/codec.SampleRate {
					t.Fatalf("%s %+v: packet %d: %d samples for %d at 48 kHz", k.name, cfg, i, n, want)
				}
				all = append(all, pcm[:n*cfg.Channels]...)
			}
			source := Source(cfg.SampleRate, k.header.Channels)
			expect := k.header.PreSkip * cfg.SampleRate / codec.SampleRate
			for c := range cfg.Channels {
				want := channel(source, k.header.Channels, min(c, k.header.Channels-1))
				if k.header.Channels == 2 && cfg.Channels == 1 {
					right := channel(source, 2, 1)
					for i := range want {
						want[i] = int16((int(want[i]) + int(right[i])) / 2)
					}
				}
				got := channel(all, cfg.Channels, c)
				if at, like := delay(want, got, expect, cfg.SampleRate/4000); like < 0.85 {
					t.Errorf("%s %+v: channel %d is like its source by %.3f at a delay of %d samples, want 0.85 at %d",
						k.name, cfg, c, like, at, expect)
				}
			}
		}
	}
}

func decoderBuffers(t *testing.T, d codec.Driver) {
	k := find(t, "hybrid-20")
	for _, channels := range []int{1, 2} {
		dec := newDecoder(t, d, codec.DecoderConfig{Channels: channels})
		for _, n := range []int{0, 1, 960*channels - 1} {
			if _, err := dec.Decode(k.packets[0], make([]int16, n)); !errors.Is(err, codec.ErrBuffer) {
				t.Errorf("Decode into %d values: %v, want ErrBuffer", n, err)
			}
		}
		// An odd length is fine if it is long enough; nothing beyond what was
		// decoded is touched, within the slice or behind it.
		for _, n := range []int{960 * channels, 960*channels + 1, codec.MaxFrameSamples * channels} {
			pcm := filled(codec.MaxFrameSamples*channels + 100)
			got, err := dec.Decode(k.packets[0], pcm[:n])
			if err != nil || got != 960 {
				t.Errorf("Decode into %d values: %d, %v, want 960", n, got, err)
			}
			untouched(t, pcm[960*channels:])
		}
		step := 120 * channels
		for _, n := range []int{0, 1, step - 1, step + 1, 48*step + 1, 49 * step} {
			if err := dec.Conceal(make([]int16, n)); !errors.Is(err, codec.ErrBuffer) {
				t.Errorf("Conceal %d values: %v, want ErrBuffer", n, err)
			}
			if err := dec.DecodeFEC(k.packets[0], make([]int16, n)); !errors.Is(err, codec.ErrBuffer) {
				t.Errorf("DecodeFEC %d values: %v, want ErrBuffer", n, err)
			}
		}
		for i := 1; i <= 48; i++ {
			pcm := filled(49 * step)
			if err := dec.Conceal(pcm[:i*step]); err != nil {
				t.Errorf("Conceal %d steps: %v", i, err)
			}
			untouched(t, pcm[i*step:])
			touched(t, pcm[:i*step])
			pcm = filled(49 * step)
			if err := dec.DecodeFEC(k.packets[1], pcm[:i*step]); err != nil {
				t.Errorf("DecodeFEC %d steps: %v", i, err)
			}
			untouched(t, pcm[i*step:])
			touched(t, pcm[:i*step])
		}
	}
}

func filled(n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = sentinel
	}
	return pcm
}

func untouched(t *testing.T, pcm []int16) {
	t.Helper()
	for i, v := range pcm {
		if v != sentinel {
			t.Errorf("value %d beyond the end was written", i)
			return
		}
	}
}

func touched(t *testing.T, pcm []int16) {
	t.Helper()
	if i := slices.Index(pcm, sentinel); i >= 0 {
		t.Errorf("value %d of %d was not filled", i, len(pcm))
	}
}

// Whatever comes, a decoder returns ErrPacket or sound of the right length,
// and decodes good packets afterwards.
func decoderHostile(t *testing.T, d codec.Driver) {
	dec := newDecoder(t, d, codec.DecoderConfig{Channels: 2})
	pcm := filled(codec.MaxFrameSamples*2 + 100)
	try := func(what string, p []byte) {
		n, err := dec.Decode(p, pcm[:codec.MaxFrameSamples*2])
		want, tocErr := codec.PacketSamples(p)
		switch {
		case err != nil && !errors.Is(err, codec.ErrPacket):
			t.Errorf("%s: % x: %v, want ErrPacket", what, p[:min(8, len(p))], err)
		case err == nil && tocErr != nil:
			t.Errorf("%s: % x: decoded, but %v", what, p[:min(8, len(p))], tocErr)
		case err == nil && n != want:
			t.Errorf("%s: % x: %d samples, want %d", what, p[:min(8, len(p))], n, want)
		}
		if err := dec.DecodeFEC(p, pcm[:1920]); err != nil && !errors.Is(err, codec.ErrPacket) {
			t.Errorf("%s: FEC: % x: %v, want ErrPacket", what, p[:min(8, len(p))], err)
		}
	}
	for _, p := range [][]byte{nil, {}} {
		if _, err := dec.Decode(p, pcm); !errors.Is(err, codec.ErrPacket) {
			t.Errorf("empty packet: %v, want ErrPacket", err)
		}
		if err := dec.DecodeFEC(p, pcm[:1920]); !errors.Is(err, codec.ErrPacket) {
			t.Errorf("FEC of an empty packet: %v, want ErrPacket", err)
		}
	}
	for toc := range 256 {
		if raceEnabled && toc%7 != 0 {
			continue
		}
		b := byte(toc)
		for _, p := range [][]byte{
			{b}, {b, 0}, {b, 1}, {b, 255}, {b, 0x3f}, {b, 0xc1, 255, 255, 255}, {b, 0x41, 255},
			{b, 0x82, 255}, {b, 0x83, 252, 0, 0}, append([]byte{b}, make([]byte, 1275)...),
		} {
			try("made up", p)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	rounds, every := 2000, 4
	if raceEnabled {
		rounds, every = 200, 40
	}
	for range rounds {
		p := make([]byte, 1+random.IntN(200))
		for i := range p {
			p[i] = byte(random.Uint32())
		}
		try("random", p)
	}
	for _, k := range keptPackets(t) {
		for i := 0; i < len(k.packets); i += every {
			p := slices.Clone(k.packets[i])
			try("cut", p[:1+random.IntN(len(p))])
			for range 3 {
				p[random.IntN(len(p))] ^= 1 << random.IntN(8)
			}
			try("flipped", p)
		}
	}
	for _, n := range []int{1277, 61298, 1 << 16, 1<<16 + 1, 1 << 20} {
		try("long", make([]byte, n))
		p := make([]byte, n)
		p[0], p[1] = 0x83, 48
		try("long", p)
	}
	untouched(t, pcm[codec.MaxFrameSamples*2:])

	// And on: half a second later nothing is left of it.
	k := find(t, "hybrid-20")
	clean := newDecoder(t, d, codec.DecoderConfig{Channels: 2})
	want := make([]int16, 1920)
	var a, b []int16
	for i, p := range k.packets {
		n, err := dec.Decode(p, pcm)
		if err != nil {
			t.Fatalf("after corrupt packets: %v", err)
		}
		if _, err := clean.Decode(p, want); err != nil {
			t.Fatal(err)
		}
		if i >= 25 {
			a, b = append(a, pcm[:n*2]...), append(b, want...)
		}
	}
	if c := correlation(a, b); c < 0.98 {
		t.Errorf("after corrupt packets the sound is right by %.3f, want 0.98", c)
	}
}

// Lost frames are filled without a click at either end, and not louder than
// what was heard; long losses fade.
func decoderConceal(t *testing.T, d codec.Driver) {
	dec := newDecoder(t, d, codec.DecoderConfig{})
	pcm := make([]int16, codec.MaxFrameSamples)
	if err := dec.Conceal(pcm[:960]); err != nil || rms(pcm[:960]) > 1 {
		t.Errorf("concealing the first frame: %v, level %.0f, want silence", err, rms(pcm[:960]))
	}
	for _, k := range keptPackets(t) {
		concealOne(t, d, k, 1, codec.MaxFrameSamples, 0)
		concealOne(t, d, k, 1, 120, 0)
		concealOne(t, d, k, 1, 240, 240) // as a playout does that waits
		if k.header.Channels == 2 || !raceEnabled {
			concealOne(t, d, k, 2, codec.MaxFrameSamples, 360)
			concealOne(t, d, k, 2, 360, 0)
		}
		dec := newDecoder(t, d, codec.DecoderConfig{})
		var heard []int16
		for i, p := range k.packets[:len(k.packets)*2/3] {
			n, err := dec.Decode(p, pcm)
			if err != nil {
				t.Fatalf("%s: packet %d: %v", k.name, i, err)
			}
			heard = append(heard, pcm[:n]...)
		}
		loudest, last, top := 0.0, 0.0, 0.0
		for i := 0; i+960 <= len(heard); i += 240 {
			loudest = max(loudest, rms(heard[i:i+960]))
		}
		for range 50 { // 1 s
			if err := dec.Conceal(pcm[:960]); err != nil {
				t.Fatal(err)
			}
			last = rms(pcm[:960])
			top = max(top, last)
		}
		if top > loudest*1.15 { // libopus goes 6 % above
			t.Errorf("%s: concealment is louder (%.0f) than anything before it (%.0f)", k.name, top, loudest)
		}
		if last > loudest/8 {
			t.Errorf("%s: after a second of loss the level is %.0f of %.0f", k.name, last, loudest)
		}
	}
}

// concealOne loses every ninth packet, and conceals it in pieces of so many
// samples, and more besides.
func concealOne(t *testing.T, d codec.Driver, k kept, channels, piece, more int) {
	dec := newDecoder(t, d, codec.DecoderConfig{Channels: channels})
	clean := newDecoder(t, d, codec.DecoderConfig{Channels: channels})
	pcm := make([]int16, codec.MaxFrameSamples*channels)
	var got, want []int16
	var joins [][2]int // where in got, and where that is in want
	for i, p := range k.packets {
		n, err := clean.Decode(p, pcm)
		if err != nil {
			t.Fatal(err)
		}
		n *= channels
		want = append(want, pcm[:n]...)
		if i%9 != 8 {
			_, err = dec.Decode(p, pcm)
		} else {
			n += more * channels
			for at := 0; at < n && err == nil; at += piece * channels {
				joins = append(joins, [2]int{len(got) + at, len(want)})
				err = dec.Conceal(pcm[at:min(n, at+piece*channels)])
			}
			joins = append(joins, [2]int{len(got) + n, len(want)})
		}
		if err != nil {
			t.Fatalf("%s: packet %d: %v", k.name, i, err)
		}
		got = append(got, pcm[:n]...)
	}
	for c := range channels {
		x, clean := channel(got, channels, c), channel(want, channels, c)
		for _, at := range joins {
			j, there := at[0]/channels, at[1]/channels
			if j < 960 || j+2 > len(x) || there < 1920 || there+960 > len(clean) {
				continue
			}
			// A click is a step that speech around it does not make.
			usual := max(steepest(clean[there-1920:there+960]), steepest(x[j-960:j-4]))
			if step := steepest(x[j-2 : j+2]); step > usual*3/2+200 {
				t.Errorf("%s, %d channels, pieces of %d: a step of %d at sample %d, where the steepest is %d: a click",
					k.name, channels, piece, step, j, usual)
			}
		}
	}
	// CELT predicts a frame's energy from the one before: with short frames a
	// loss is heard for long, in libopus too.
	top := 1.2
	if k.name == "celt-2.5" {
		top = 2
	}
	if a, b := rms(got), rms(want); a > top*b || a < 0.7*b {
		t.Errorf("%s, %d channels, pieces of %d: level with losses %.0f, without %.0f", k.name, channels, piece, a, b)
	}
}

// A lost frame comes back from the packet after it.
func decoderFEC(t *testing.T, d codec.Driver, o Options) {
	for _, k := range keptPackets(t) {
		if !k.fec() {
			continue
		}
		frame, _ := codec.PacketSamples(k.packets[0])
		clean := newDecoder(t, d, codec.DecoderConfig{})
		pcm, lost := make([]int16, frame), make([]int16, frame)
		var source, recovered, concealed []int16
		for i := 0; i+2 < len(k.packets); i++ {
			if _, err := clean.Decode(k.packets[i], pcm); err != nil {
				t.Fatal(err)
			}
			if i%5 != 4 {
				continue
			}
			// Two decoders that have heard all but this packet.
			for _, fec := range []bool{true, false} {
				dec := newDecoder(t, d, codec.DecoderConfig{})
				for _, p := range k.packets[:i] {
					if _, err := dec.Decode(p, lost); err != nil {
						t.Fatal(err)
					}
				}
				if !fec {
					if err := dec.Conceal(lost); err != nil {
						t.Fatal(err)
					}
					concealed = append(concealed, lost...)
					continue
				}
				if err := dec.DecodeFEC(k.packets[i+1], lost); err != nil {
					t.Fatal(err)
				}
				recovered = append(recovered, lost...)
			}
			source = append(source, pcm...)
		}
		with, without := correlation(source, recovered), correlation(source, concealed)
		if o.ConcealOnlyFEC {
			if !slices.Equal(recovered, concealed) {
				t.Errorf("%s: DecodeFEC is not Conceal", k.name)
			}
			continue
		}
		if with < 0.8 || with < without+0.05 {
			t.Errorf("%s: recovered frames are right by %.3f, want 0.8; concealed ones by %.3f", k.name, with, without)
		}
	}
	// A packet without a copy: concealed.
	k := find(t, "celt-20")
	dec := newDecoder(t, d, codec.DecoderConfig{})
	pcm := make([]int16, 960)
	for _, p := range k.packets[:20] {
		if _, err := dec.Decode(p, pcm); err != nil {
			t.Fatal(err)
		}
	}
	level := rms(pcm)
	if err := dec.DecodeFEC(k.packets[21], pcm); err != nil {
		t.Errorf("packet without a copy: %v", err)
	}
	if got := rms(pcm); got < level/10 || got > level*1.5 {
		t.Errorf("packet without a copy: level %.0f after %.0f, want concealment", got, level)
	}
}

func decoderReset(t *testing.T, d codec.Driver) {
	a, b := find(t, "hybrid-20"), find(t, "celt-stereo-10")
	used := newDecoder(t, d, codec.DecoderConfig{})
	pcm := make([]int16, codec.MaxFrameSamples)
	for _, p := range a.packets {
		if _, err := used.Decode(p, pcm); err != nil {
			t.Fatal(err)
		}
	}
	if err := used.Conceal(pcm[:960]); err != nil {
		t.Fatal(err)
	}
	if err := used.Reset(); err != nil {
		t.Fatal(err)
	}
	if err := used.Conceal(pcm[:960]); err != nil || rms(pcm[:960]) > 1 {
		t.Errorf("concealing after a reset: %v, level %.0f, want silence", err, rms(pcm[:960]))
	}
	if err := used.Reset(); err != nil {
		t.Fatal(err)
	}
	fresh := newDecoder(t, d, codec.DecoderConfig{})
	want := make([]int16, codec.MaxFrameSamples)
	for i, p := range b.packets {
		n, err := used.Decode(p, pcm)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fresh.Decode(p, want); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(pcm[:n], want[:n]) {
			t.Fatalf("packet %d after a reset is not what a new decoder makes of it", i)
		}
	}
}

func decoderAllocations(t *testing.T, d codec.Driver, o Options) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, k := range keptPackets(t) {
		dec := newDecoder(t, d, codec.DecoderConfig{})
		pcm := make([]int16, codec.MaxFrameSamples)
		for _, p := range k.packets { // grow what grows
			if _, err := dec.Decode(p, pcm); err != nil {
				t.Fatal(err)
			}
		}
		frame, _ := codec.PacketSamples(k.packets[0])
		i := 0
		ops := []struct {
			name  string
			allow float64
			do    func() error
		}{
			{"Decode", o.DecodeAllocs, func() error { _, err := dec.Decode(k.packets[i%len(k.packets)], pcm); return err }},
			{"Conceal", 0, func() error { return dec.Conceal(pcm[:frame]) }},
			{"DecodeFEC", 0, func() error { return dec.DecodeFEC(k.packets[i%len(k.packets)], pcm[:frame]) }},
		}
		for _, op := range ops {
			var failed error
			n := testing.AllocsPerRun(50, func() {
				if err := op.do(); err != nil {
					failed = err
				}
				i++
			})
			if failed != nil {
				t.Errorf("%s: %s: %v", k.name, op.name, failed)
			}
			if n > op.allow {
				t.Errorf("%s: %s allocates %.0f times, want %.0f", k.name, op.name, n, op.allow)
			}
		}
	}
}
