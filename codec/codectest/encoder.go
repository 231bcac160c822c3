package codectest

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/codec"
)

const ms = time.Millisecond

// TestEncoder tests a driver's encoders, with its own decoders.
func TestEncoder(t *testing.T, d codec.Driver, o Options) {
	t.Run("encoder/config", func(t *testing.T) { encoderConfig(t, d) })
	t.Run("encoder/speech", func(t *testing.T) { encoderSpeech(t, d) })
	t.Run("encoder/stereo", func(t *testing.T) { encoderStereo(t, d) })
	t.Run("encoder/buffers", func(t *testing.T) { encoderBuffers(t, d) })
	t.Run("encoder/bitrate", func(t *testing.T) { encoderBitrate(t, d) })
	t.Run("encoder/complexity", func(t *testing.T) { encoderComplexity(t, d) })
	t.Run("encoder/dtx", func(t *testing.T) { encoderDTX(t, d) })
	t.Run("encoder/fec", func(t *testing.T) { encoderFEC(t, d, o) })
	t.Run("encoder/reset", func(t *testing.T) { encoderReset(t, d) })
	t.Run("encoder/allocations", func(t *testing.T) { encoderAllocations(t, d) })
}

func newEncoder(t testing.TB, d codec.Driver, cfg codec.EncoderConfig) codec.Encoder {
	t.Helper()
	enc, err := d.NewEncoder(cfg)
	if err != nil {
		t.Fatalf("NewEncoder(%+v): %v", cfg, err)
	}
	return enc
}

// encode encodes all whole frames of pcm. Frames that DTX drops are nil.
func encode(t testing.TB, enc codec.Encoder, cfg codec.EncoderConfig, pcm []int16) [][]byte {
	t.Helper()
	cfg, err := cfg.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	packet := make([]byte, 4*codec.MaxPacketSize)
	for frame := cfg.FrameSamples() * cfg.Channels; len(pcm) >= frame; pcm = pcm[frame:] {
		n, err := enc.Encode(pcm[:frame], packet)
		if err != nil {
			t.Fatalf("%+v: frame %d: %v", cfg, len(all), err)
		}
		if n == 0 {
			all = append(all, nil)
			continue
		}
		all = append(all, bytes.Clone(packet[:n]))
	}
	return all
}

func size(packets [][]byte) int {
	n := 0
	for _, p := range packets {
		n += len(p)
	}
	return n
}

func encoderConfig(t *testing.T, d codec.Driver) {
	for _, cfg := range []codec.EncoderConfig{
		{SampleRate: 44100}, {Channels: 3}, {FrameDuration: 30 * ms}, {FrameDuration: 120 * ms},
		{Bitrate: 5999}, {Bitrate: 510001}, {Complexity: 11}, {Complexity: -1},
		{Application: 3}, {PacketLoss: 101}, {PacketLoss: -1},
	} {
		if _, err := d.NewEncoder(cfg); !errors.Is(err, codec.ErrConfig) {
			t.Errorf("NewEncoder(%+v): %v, want ErrConfig", cfg, err)
		}
	}
	enc := newEncoder(t, d, codec.EncoderConfig{})
	for what, err := range map[string]error{
		"SetBitrate(0)": enc.SetBitrate(0), "SetBitrate(510001)": enc.SetBitrate(510001),
		"SetPacketLoss(-1)": enc.SetPacketLoss(-1), "SetPacketLoss(101)": enc.SetPacketLoss(101),
		"SetComplexity(0)": enc.SetComplexity(0), "SetComplexity(11)": enc.SetComplexity(11),
	} {
		if !errors.Is(err, codec.ErrConfig) {
			t.Errorf("%s: %v, want ErrConfig", what, err)
		}
	}
}

// Every frame length, at every rate, gives packets of that length, and the
// speech comes out of them at the delay that Lookahead says.
func encoderSpeech(t *testing.T, d codec.Driver) {
	for _, frame := range []time.Duration{2500 * time.Microsecond, 5 * ms, 10 * ms, 20 * ms, 40 * ms, 60 * ms} {
		for _, rate := range []int{8000, 12000, 16000, 24000, 48000} {
			app := codec.VoIP
			if rate == 24000 {
				app = codec.LowDelay
			}
			cfg := codec.EncoderConfig{SampleRate: rate, FrameDuration: frame, Bitrate: 48000, Application: app}
			enc := newEncoder(t, d, cfg)
			dec := newDecoder(t, d, codec.DecoderConfig{SampleRate: rate})
			source := Source(rate, 1)
			pcm := make([]int16, codec.MaxFrameSamples)
			var all []int16
			for i, p := range encode(t, enc, cfg, source) {
				if got, err := codec.PacketDuration(p); err != nil || got != frame {
					t.Fatalf("%+v: packet %d holds %v (%v)", cfg, i, got, err)
				}
				n, err := dec.Decode(p, pcm)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, pcm[:n]...)
			}
			at, like := delay(source, all, enc.Lookahead(), rate/500)
			if like < 0.9 || abs(at-enc.Lookahead()) > rate/1000 {
				t.Errorf("%+v: decoded is like its source by %.3f at a delay of %d samples, want 0.9 at %d",
					cfg, like, at, enc.Lookahead())
			}
		}
	}
}

func encoderStereo(t *testing.T, d codec.Driver) {
	for _, app := range []codec.Application{codec.VoIP, codec.Audio, codec.LowDelay} {
		cfg := codec.EncoderConfig{Channels: 2, Bitrate: 96000, Application: app}
		enc := newEncoder(t, d, cfg)
		dec := newDecoder(t, d, codec.DecoderConfig{Channels: 2})
		source := Source(codec.SampleRate, 2)
		pcm := make([]int16, 2*codec.MaxFrameSamples)
		var all []int16
		for _, p := range encode(t, enc, cfg, source) {
			n, err := dec.Decode(p, pcm)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, pcm[:2*n]...)
		}
		for c := range 2 {
			got := channel(all, 2, c)[enc.Lookahead():]
			own := correlation(channel(source, 2, c), got)
			other := correlation(channel(source, 2, 1-c), got)
			if own < 0.9 || math.Abs(other) > 0.3 {
				t.Errorf("application %d: channel %d is like its source by %.3f and like the other's by %.3f", app, c, own, other)
			}
		}
	}
}

func encoderBuffers(t *testing.T, d codec.Driver) {
	for _, channels := range []int{1, 2} {
		enc := newEncoder(t, d, codec.EncoderConfig{Channels: channels})
		source := Source(codec.SampleRate, channels)
		packet := make([]byte, codec.MaxPacketSize)
		for _, n := range []int{0, 1, 960*channels - 1, 960*channels + 1, 1920 * channels} {
			if _, err := enc.Encode(source[:n], packet); !errors.Is(err, codec.ErrBuffer) {
				t.Errorf("Encode of %d values: %v, want ErrBuffer", n, err)
			}
		}
		for n := range 3 {
			if _, err := enc.Encode(source[:960*channels], packet[:n]); !errors.Is(err, codec.ErrBuffer) {
				t.Errorf("Encode into %d bytes: %v, want ErrBuffer", n, err)
			}
		}
		// A short buffer lowers the quality; what is behind it is not touched.
		for _, n := range []int{3, 10, 40} {
			for i := range packet {
				packet[i] = 0x5a
			}
			got, err := enc.Encode(source[48000*channels/2:][:960*channels], packet[:n])
			if err != nil || got > n {
				t.Errorf("Encode into %d bytes: %d, %v", n, got, err)
			}
			for _, b := range packet[n:] {
				if b != 0x5a {
					t.Errorf("Encode into %d bytes wrote beyond them", n)
					break
				}
			}
		}
	}
}

func encoderBitrate(t *testing.T, d codec.Driver) {
	cfg := codec.EncoderConfig{Bitrate: 16000}
	enc := newEncoder(t, d, cfg)
	source := Source(codec.SampleRate, 1)
	for _, bps := range []int{16000, 64000, 24000, 6000} {
		if err := enc.SetBitrate(bps); err != nil {
			t.Fatal(err)
		}
		packets := encode(t, enc, cfg, source)
		got := size(packets) * 8 * 50 / len(packets)
		if got < bps*6/10 || got > bps*16/10 {
			t.Errorf("%d bit/s of speech at a target of %d", got, bps)
		}
	}
	for _, bps := range []int{6000, 510000} {
		newEncoder(t, d, codec.EncoderConfig{Bitrate: bps})
	}
}

func encoderComplexity(t *testing.T, d codec.Driver) {
	source := Source(codec.SampleRate, 1)
	encodeAt := func(c int) []byte {
		enc := newEncoder(t, d, codec.EncoderConfig{})
		if err := enc.SetComplexity(c); err != nil {
			t.Fatal(err)
		}
		return bytes.Join(encode(t, enc, codec.EncoderConfig{}, source), nil)
	}
	low, high := encodeAt(1), encodeAt(10)
	if bytes.Equal(low, high) {
		t.Error("complexity 1 and 10 give the same packets")
	}
	enc := newEncoder(t, d, codec.EncoderConfig{Complexity: 10})
	if !bytes.Equal(high, bytes.Join(encode(t, enc, codec.EncoderConfig{}, source), nil)) {
		t.Error("SetComplexity(10) is not what Complexity: 10 is")
	}
}

// With DTX most frames of silence are not sent; speech is, and comes back at
// once. Without, every frame is.
func encoderDTX(t *testing.T, d codec.Driver) {
	speech := Source(codec.SampleRate, 1)
	silence := make([]int16, codec.SampleRate*2)
	for i := range silence { // room noise at about -80 dBov
		silence[i] = int16(i*7919%7 - 3)
	}
	cfg := codec.EncoderConfig{DTX: true}
	enc := newEncoder(t, d, cfg)
	for range 2 {
		if n := unsent(encode(t, enc, cfg, speech)); n > 5 {
			t.Errorf("%d of 60 frames of speech were not sent", n)
		}
		packets := encode(t, enc, cfg, silence)
		if n := unsent(packets); n < len(packets)*7/10 {
			t.Errorf("%d of %d frames of silence were not sent, want most", n, len(packets))
		}
	}
	if err := enc.SetDTX(false); err != nil {
		t.Fatal(err)
	}
	if n := unsent(encode(t, enc, cfg, silence)); n != 0 {
		t.Errorf("%d frames of silence were not sent with DTX off", n)
	}
	if n := unsent(encode(t, newEncoder(t, d, codec.EncoderConfig{}), codec.EncoderConfig{}, make([]int16, codec.SampleRate))); n != 0 {
		t.Errorf("%d frames of nothing were not sent with DTX off", n)
	}
}

func unsent(packets [][]byte) int {
	n := 0
	for _, p := range packets {
		if p == nil {
			n++
		}
	}
	return n
}

// FEC takes effect where loss is expected, both from the config and set later.
func encoderFEC(t *testing.T, d codec.Driver, o Options) {
	source := Source(16000, 1)
	base := codec.EncoderConfig{SampleRate: 16000, Bitrate: 28000}
	for _, set := range []bool{false, true} {
		cfg := base
		if !set {
			cfg.FEC, cfg.PacketLoss = true, 25
		}
		enc := newEncoder(t, d, cfg)
		if set {
			if err := errors.Join(enc.SetFEC(true), enc.SetPacketLoss(25)); err != nil {
				t.Fatal(err)
			}
		}
		packets := encode(t, enc, cfg, source)
		if o.ConcealOnlyFEC {
			continue
		}
		if like := recovery(t, d, packets); like < 0.75 {
			t.Errorf("set later: %v: every third frame recovered is right by %.3f, want 0.75", set, like)
		}
	}
	plain := encode(t, newEncoder(t, d, base), base, source)
	if like := recovery(t, d, plain); !o.ConcealOnlyFEC && like > 0.75 {
		t.Errorf("without FEC every third frame recovered is right by %.3f: the test sees no difference", like)
	}
}

// recovery loses every third packet, recovers it from the next, and says how
// like the whole the recovered parts are.
func recovery(t *testing.T, d codec.Driver, packets [][]byte) float64 {
	t.Helper()
	clean, dec := newDecoder(t, d, codec.DecoderConfig{}), newDecoder(t, d, codec.DecoderConfig{})
	pcm := make([]int16, 960)
	var want, got []int16
	for i, p := range packets[:len(packets)-1] {
		if _, err := clean.Decode(p, pcm); err != nil {
			t.Fatal(err)
		}
		if i%3 == 2 {
			want = append(want, pcm...)
			if err := dec.DecodeFEC(packets[i+1], pcm); err != nil {
				t.Fatal(err)
			}
			got = append(got, pcm...)
		} else if _, err := dec.Decode(p, pcm); err != nil {
			t.Fatal(err)
		}
	}
	return correlation(want, got)
}

func encoderReset(t *testing.T, d codec.Driver) {
	cfg := codec.EncoderConfig{}
	source := Source(codec.SampleRate, 1)
	used := newEncoder(t, d, cfg)
	if err := used.SetBitrate(20000); err != nil {
		t.Fatal(err)
	}
	encode(t, used, cfg, source)
	if err := used.Reset(); err != nil {
		t.Fatal(err)
	}
	got := encode(t, used, cfg, source)
	want := encode(t, newEncoder(t, d, codec.EncoderConfig{Bitrate: 20000}), cfg, source)
	if !bytes.Equal(bytes.Join(got, nil), bytes.Join(want, nil)) {
		t.Error("after a reset the packets are not what a new encoder with the current settings makes")
	}
}

func encoderAllocations(t *testing.T, d codec.Driver) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, cfg := range []codec.EncoderConfig{{}, {Channels: 2, Bitrate: 64000}, {FEC: true, PacketLoss: 10, DTX: true}, {FrameDuration: 60 * ms}} {
		enc := newEncoder(t, d, cfg)
		cfg, _ = cfg.WithDefaults()
		source := Source(cfg.SampleRate, cfg.Channels)
		frame := cfg.FrameSamples() * cfg.Channels
		packet := make([]byte, 4*codec.MaxPacketSize)
		at := 0
		if n := testing.AllocsPerRun(len(source)/frame-2, func() {
			if _, err := enc.Encode(source[at:at+frame], packet); err != nil {
				t.Error(err)
			}
			at += frame
		}); n != 0 {
			t.Errorf("%+v: Encode allocates %.0f times", cfg, n)
		}
		if n := testing.AllocsPerRun(10, func() {
			if enc.SetBitrate(20000) != nil || enc.SetPacketLoss(5) != nil {
				t.Error("settings failed")
			}
		}); n != 0 {
			t.Errorf("SetBitrate and SetPacketLoss allocate %.0f times", n)
		}
	}
}
