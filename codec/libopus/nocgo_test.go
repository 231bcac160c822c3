//go:build !cgo

package libopus_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
)

func TestWithoutCgo(t *testing.T) {
	_, encErr := libopus.Driver{}.NewEncoder(codec.EncoderConfig{})
	_, decErr := libopus.Driver{}.NewDecoder(codec.DecoderConfig{})
	for _, err := range []error{encErr, decErr} {
		if !errors.Is(err, codec.ErrUnsupported) || !strings.Contains(err.Error(), "libopus-dev") {
			t.Errorf("%v, want ErrUnsupported and what to install", err)
		}
	}
}
