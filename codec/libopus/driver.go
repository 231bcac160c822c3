//go:build cgo

package libopus

import (
	"errors"
	"fmt"

	"github.com/hraban/opus"

	"github.com/earshotrtc/earshot/codec"
)

// Available reports whether this build has libopus.
const Available = true

// Driver makes encoders and decoders of libopus. The zero value is ready, and
// may be used concurrently.
type Driver struct{}

var _ codec.Driver = Driver{}

// Name returns libopus' own name and version, such as "libopus 1.3.1".
func (Driver) Name() string { return opus.Version() }

// NewEncoder returns an encoder. Its memory, 25 to 45 KB, belongs to Go.
func (Driver) NewEncoder(cfg codec.EncoderConfig) (codec.Encoder, error) {
	return newEncoder(cfg)
}

// NewDecoder returns a decoder. Its memory, 18 to 27 KB, belongs to Go.
func (Driver) NewDecoder(cfg codec.DecoderConfig) (codec.Decoder, error) {
	return newDecoder(cfg)
}

// wrap gives an error of libopus the sentinel of package codec that fits it.
func wrap(err error) error {
	if err == nil { // before e, which escapes
		return nil
	}
	var e opus.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e {
	case opus.ErrInvalidPacket:
		return fmt.Errorf("%w: %w", codec.ErrPacket, err)
	case opus.ErrBufferTooSmall:
		return fmt.Errorf("%w: %w", codec.ErrBuffer, err)
	case opus.ErrBadArg:
		return fmt.Errorf("%w: %w", codec.ErrConfig, err)
	case opus.ErrUnimplemented:
		return fmt.Errorf("%w: %w", codec.ErrUnsupported, err)
	}
	return err
}
