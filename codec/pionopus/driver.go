package pionopus

import (
	"fmt"

	"github.com/pion/opus"

	"github.com/earshotrtc/earshot/codec"
)

// Driver makes decoders. The zero value is ready, and may be used
// concurrently.
type Driver struct{}

var _ codec.Driver = Driver{}

// Name returns "pion/opus".
func (Driver) Name() string { return "pion/opus" }

// NewEncoder returns an error that wraps codec.ErrUnsupported.
func (Driver) NewEncoder(codec.EncoderConfig) (codec.Encoder, error) {
	return nil, fmt.Errorf("%w: pion/opus only decodes; use codec/libopus to encode", codec.ErrUnsupported)
}

// NewDecoder returns a decoder.
func (Driver) NewDecoder(cfg codec.DecoderConfig) (codec.Decoder, error) {
	cfg, err := cfg.WithDefaults()
	if err != nil {
		return nil, err
	}
	dec, err := opus.NewDecoderWithOutput(cfg.SampleRate, cfg.Channels)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", codec.ErrConfig, err)
	}
	return &decoder{cfg: cfg, dec: &dec, plc: newConcealer(cfg.SampleRate, cfg.Channels)}, nil
}
