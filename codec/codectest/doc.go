// Package codectest is the conformance suite of codec drivers. A driver's own
// test is
//
//	func TestConformance(t *testing.T) {
//		codectest.TestDecoder(t, mydriver.Driver{}, codectest.Options{})
//		codectest.TestEncoder(t, mydriver.Driver{}, codectest.Options{})
//	}
//
// The decoder part needs no encoder: it decodes packets of every mode, frame
// length and channel count that are kept in testdata (made from internal/speech
// by make.go with libopus) and looks for the speech in what comes out.
package codectest
