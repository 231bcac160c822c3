//go:build !cgo

package libopus

import (
	"fmt"

	"github.com/earshotrtc/earshot/codec"
)

// Available reports whether this build has libopus.
const Available = false

var errNoCgo = fmt.Errorf("%w: built without cgo; install gcc, pkg-config, libopus-dev and libopusfile-dev, and build with CGO_ENABLED=1", codec.ErrUnsupported)

// Driver makes nothing in a build without cgo.
type Driver struct{}

var _ codec.Driver = Driver{}

// Name says that libopus is missing.
func (Driver) Name() string { return "libopus (not built in)" }

// NewEncoder returns an error that wraps codec.ErrUnsupported.
func (Driver) NewEncoder(codec.EncoderConfig) (codec.Encoder, error) { return nil, errNoCgo }

// NewDecoder returns an error that wraps codec.ErrUnsupported.
func (Driver) NewDecoder(codec.DecoderConfig) (codec.Decoder, error) { return nil, errNoCgo }
