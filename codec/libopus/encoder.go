//go:build cgo

package libopus

/*
#cgo pkg-config: opus
#include <opus.h>

// opus_encoder_ctl is variadic, which cgo does not call.
static int earshot_set(OpusEncoder *e, int request, opus_int32 value) {
	return opus_encoder_ctl(e, request, value);
}

static int earshot_lookahead(OpusEncoder *e) {
	opus_int32 n = 0;
	int err = opus_encoder_ctl(e, OPUS_GET_LOOKAHEAD(&n));
	return err < 0 ? err : (int)n;
}

static int earshot_reset(OpusEncoder *e) { return opus_encoder_ctl(e, OPUS_RESET_STATE); }
*/
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/hraban/opus"

	"github.com/earshotrtc/earshot/codec"
)

// dtxBytes is the size up to which a packet of a DTX encoder holds no sound
// and need not be sent (opus_encode's documentation: "2 bytes or less").
const dtxBytes = 2

// An encoder is libopus' own: hraban/opus keeps its encoder's state to itself,
// and that is what CopyState needs. The state is one piece of memory without
// pointers into itself or to anything but libopus' constants, so it may lie in
// Go's memory, and a copy of its bytes is an encoder that stands where the
// original does.
type encoder struct {
	state     []uint64 // opus_encoder_get_size bytes, aligned
	cfg       codec.EncoderConfig
	values    int // of one frame, all channels
	lookahead int
}

func newEncoder(cfg codec.EncoderConfig) (*encoder, error) {
	cfg, err := cfg.WithDefaults()
	if err != nil {
		return nil, err
	}
	app := C.int(C.OPUS_APPLICATION_VOIP)
	switch cfg.Application {
	case codec.Audio:
		app = C.OPUS_APPLICATION_AUDIO
	case codec.LowDelay:
		app = C.OPUS_APPLICATION_RESTRICTED_LOWDELAY
	}
	size := int(C.opus_encoder_get_size(C.int(cfg.Channels)))
	e := &encoder{cfg: cfg, values: cfg.FrameSamples() * cfg.Channels, state: make([]uint64, (size+7)/8)}
	if code := C.opus_encoder_init(e.c(), C.opus_int32(cfg.SampleRate), C.int(cfg.Channels), app); code < 0 {
		return nil, wrap(opus.Error(code))
	}
	n := int(C.earshot_lookahead(e.c()))
	if n < 0 {
		return nil, wrap(opus.Error(n))
	}
	e.lookahead = n
	for _, err := range []error{
		e.SetBitrate(cfg.Bitrate),
		e.SetComplexity(cfg.Complexity),
		e.SetPacketLoss(cfg.PacketLoss),
		e.SetFEC(cfg.FEC),
		e.SetDTX(cfg.DTX),
		e.SetSignal(cfg.Signal),
	} {
		if err != nil {
			return nil, err
		}
	}
	return e, nil
}

func (e *encoder) c() *C.OpusEncoder { return (*C.OpusEncoder)(unsafe.Pointer(&e.state[0])) }

// set changes a setting of libopus.
func (e *encoder) set(request C.int, value int) error {
	if code := C.earshot_set(e.c(), request, C.opus_int32(value)); code < 0 {
		return wrap(opus.Error(code))
	}
	return nil
}

func (e *encoder) Encode(pcm []int16, packet []byte) (int, error) {
	if len(pcm) != e.values {
		return 0, fmt.Errorf("%w: %d values of pcm, want %d (%d samples of %d channels)",
			codec.ErrBuffer, len(pcm), e.values, e.cfg.FrameSamples(), e.cfg.Channels)
	}
	// libopus writes a packet of one byte where it cannot do better: it would
	// look like DTX.
	if len(packet) <= dtxBytes {
		return 0, fmt.Errorf("%w: %d bytes for a packet: use codec.MaxPacketSize", codec.ErrBuffer, len(packet))
	}
	n := int(C.opus_encode(e.c(), (*C.opus_int16)(unsafe.Pointer(&pcm[0])), C.int(len(pcm)/e.cfg.Channels),
		(*C.uchar)(unsafe.Pointer(&packet[0])), C.opus_int32(len(packet))))
	if n < 0 {
		return 0, wrap(opus.Error(n))
	}
	if e.cfg.DTX && n <= dtxBytes {
		return 0, nil
	}
	return n, nil
}

func (e *encoder) SetBitrate(bps int) error {
	if bps < 6000 || bps > 510000 {
		return fmt.Errorf("%w: bitrate %d is not within 6000 to 510000 bit/s", codec.ErrConfig, bps)
	}
	return e.set(C.OPUS_SET_BITRATE_REQUEST, bps)
}

func (e *encoder) SetPacketLoss(percent int) error {
	if percent < 0 || percent > 100 {
		return fmt.Errorf("%w: packet loss %d is not within 0 to 100 percent", codec.ErrConfig, percent)
	}
	return e.set(C.OPUS_SET_PACKET_LOSS_PERC_REQUEST, percent)
}

func (e *encoder) SetFEC(on bool) error { return e.set(C.OPUS_SET_INBAND_FEC_REQUEST, flag(on)) }

func (e *encoder) SetDTX(on bool) error {
	if err := e.set(C.OPUS_SET_DTX_REQUEST, flag(on)); err != nil {
		return err
	}
	e.cfg.DTX = on
	return nil
}

func (e *encoder) SetComplexity(c int) error {
	if c < 1 || c > 10 {
		return fmt.Errorf("%w: complexity %d is not within 1 to 10", codec.ErrConfig, c)
	}
	return e.set(C.OPUS_SET_COMPLEXITY_REQUEST, c)
}

func (e *encoder) SetSignal(s codec.Signal) error {
	value := C.OPUS_AUTO
	switch s {
	case codec.SignalAuto:
	case codec.SignalVoice:
		value = C.OPUS_SIGNAL_VOICE
	case codec.SignalMusic:
		value = C.OPUS_SIGNAL_MUSIC
	default:
		return fmt.Errorf("%w: no signal %d", codec.ErrConfig, s)
	}
	return e.set(C.OPUS_SET_SIGNAL_REQUEST, int(value))
}

func (e *encoder) Lookahead() int { return e.lookahead }

func (e *encoder) Reset() error {
	if code := C.earshot_reset(e.c()); code < 0 {
		return wrap(opus.Error(code))
	}
	return nil
}

// CopyState copies the state, and the settings that are in it.
func (e *encoder) CopyState(from codec.Encoder) error {
	f, ok := from.(*encoder)
	switch {
	case !ok:
		return fmt.Errorf("%w: the other encoder is no libopus one", codec.ErrUnsupported)
	case f.cfg.SampleRate != e.cfg.SampleRate, f.cfg.Channels != e.cfg.Channels, f.cfg.Application != e.cfg.Application,
		f.cfg.FrameDuration != e.cfg.FrameDuration:
		return fmt.Errorf("%w: encoders of different rate, channels, application or frame duration", codec.ErrConfig)
	}
	copy(e.state, f.state)
	e.cfg = f.cfg
	return nil
}

func flag(on bool) int {
	if on {
		return 1
	}
	return 0
}
