package pionopus_test

import (
	"testing"

	"github.com/earshotrtc/earshot/codec/codectest"
	"github.com/earshotrtc/earshot/codec/pionopus"
)

func TestConformance(t *testing.T) {
	codectest.TestDecoder(t, pionopus.Driver{}, codectest.Options{ConcealOnlyFEC: true, DecodeAllocs: 24})
}
