package codec

import (
	"errors"
	"testing"
	"time"
)

// RFC 6716 table 2, row by row.
func TestParseTOC(t *testing.T) {
	const ms = time.Millisecond
	rows := []struct {
		from, to  int
		mode      Mode
		bandwidth int
		durations []time.Duration
	}{
		{0, 3, ModeSILK, 4000, []time.Duration{10 * ms, 20 * ms, 40 * ms, 60 * ms}},
		{4, 7, ModeSILK, 6000, []time.Duration{10 * ms, 20 * ms, 40 * ms, 60 * ms}},
		{8, 11, ModeSILK, 8000, []time.Duration{10 * ms, 20 * ms, 40 * ms, 60 * ms}},
		{12, 13, ModeHybrid, 12000, []time.Duration{10 * ms, 20 * ms}},
		{14, 15, ModeHybrid, 20000, []time.Duration{10 * ms, 20 * ms}},
		{16, 19, ModeCELT, 4000, []time.Duration{2500 * time.Microsecond, 5 * ms, 10 * ms, 20 * ms}},
		{20, 23, ModeCELT, 8000, []time.Duration{2500 * time.Microsecond, 5 * ms, 10 * ms, 20 * ms}},
		{24, 27, ModeCELT, 12000, []time.Duration{2500 * time.Microsecond, 5 * ms, 10 * ms, 20 * ms}},
		{28, 31, ModeCELT, 20000, []time.Duration{2500 * time.Microsecond, 5 * ms, 10 * ms, 20 * ms}},
	}
	for _, r := range rows {
		for config := r.from; config <= r.to; config++ {
			for low := range 8 {
				got := ParseTOC(byte(config<<3 | low))
				d := r.durations[config-r.from]
				want := TOC{Mode: r.mode, Bandwidth: r.bandwidth, FrameSamples: int(d * 48 / ms), Channels: 1 + low>>2, Code: uint8(low & 3)}
				if got != want || got.FrameDuration() != d {
					t.Errorf("config %d, low bits %03b: %+v, want %+v", config, low, got, want)
				}
			}
		}
	}
}

func TestPacketSamples(t *testing.T) {
	for _, tc := range []struct {
		packet []byte
		want   int // 0 is an error
	}{
		{nil, 0},
		{[]byte{}, 0},
		{[]byte{0x78}, 960},        // hybrid 20 ms, alone
		{[]byte{0x79, 1, 2}, 1920}, // two
		{[]byte{0x7a}, 1920},
		{[]byte{0x7b}, 0},          // no count
		{[]byte{0x7b, 0}, 0},       // none
		{[]byte{0x7b, 0xc3}, 2880}, // three
		{[]byte{0x7b, 6}, 5760},    // 120 ms
		{[]byte{0x7b, 7}, 0},       // 140 ms
		{[]byte{0x83, 48}, 5760},   // 48 of 2.5 ms
		{[]byte{0x83, 49}, 0},
		{[]byte{0x1b, 2}, 5760}, // two of 60 ms
		{[]byte{0x1b, 3}, 0},
	} {
		got, err := PacketSamples(tc.packet)
		if got != tc.want || (err != nil) != (tc.want == 0) || (err != nil && !errors.Is(err, ErrPacket)) {
			t.Errorf("% x: %d, %v, want %d", tc.packet, got, err, tc.want)
		}
		d, _ := PacketDuration(tc.packet)
		if d != time.Duration(tc.want)*time.Second/48000 {
			t.Errorf("% x: %v", tc.packet, d)
		}
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = PacketSamples([]byte{0x7b, 6}) }); n != 0 {
		t.Errorf("PacketSamples allocates %.0f times", n)
	}
}

func FuzzPacketSamples(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x78, 1})
	f.Add([]byte{0x7b, 6})
	f.Add([]byte{0x83, 48, 0})
	f.Fuzz(func(t *testing.T, p []byte) {
		n, err := PacketSamples(p)
		if err != nil {
			if n != 0 || !errors.Is(err, ErrPacket) {
				t.Fatalf("%d, %v", n, err)
			}
			return
		}
		if n < 120 || n > MaxFrameSamples || n%120 != 0 {
			t.Fatalf("%d samples", n)
		}
		frames, err := PacketFrames(p)
		if err != nil || frames < 1 || frames > 48 {
			t.Fatalf("%d frames, %v", frames, err)
		}
	})
}

func TestEncoderConfigDefaults(t *testing.T) {
	got, err := EncoderConfig{}.WithDefaults()
	want := EncoderConfig{SampleRate: 48000, Channels: 1, FrameDuration: 20 * time.Millisecond, Bitrate: 32000, Complexity: 5}
	if err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if n := got.FrameSamples(); n != 960 {
		t.Errorf("%d samples in a frame, want 960", n)
	}
	got.FrameDuration = 2500 * time.Microsecond
	if n := got.FrameSamples(); n != 120 {
		t.Errorf("%d samples in 2.5 ms, want 120", n)
	}
	for _, bad := range []EncoderConfig{{SampleRate: 1}, {Channels: 3}, {FrameDuration: 1}, {Bitrate: 1}, {Complexity: 11}, {Application: 3}, {PacketLoss: 101}} {
		if _, err := bad.WithDefaults(); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v, want ErrConfig", bad, err)
		}
	}
	if d, err := (DecoderConfig{}).WithDefaults(); err != nil || d != (DecoderConfig{SampleRate: 48000, Channels: 1}) {
		t.Errorf("decoder: %+v, %v", d, err)
	}
}
