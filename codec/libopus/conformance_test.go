//go:build cgo

package libopus_test

import (
	"testing"

	"github.com/earshotrtc/earshot/codec/codectest"
	"github.com/earshotrtc/earshot/codec/libopus"
)

func TestConformance(t *testing.T) {
	codectest.TestDecoder(t, libopus.Driver{}, codectest.Options{})
	codectest.TestEncoder(t, libopus.Driver{}, codectest.Options{})
}
