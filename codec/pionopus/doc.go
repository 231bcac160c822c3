// Package pionopus decodes Opus in pure Go, through github.com/pion/opus. It
// needs no cgo, and does not encode: NewEncoder returns codec.ErrUnsupported.
//
//	dec, err := pionopus.Driver{}.NewDecoder(codec.DecoderConfig{})
//	...
//	n, err := dec.Decode(packet, pcm)
//
// pion/opus has no concealment and does not give out the in-band copy of a
// lost frame. Concealment is made here by repeating the last pitch period with
// a fade; DecodeFEC always conceals. Where losses matter, codec/libopus sounds
// better.
//
// The library allocates for every packet; this package adds nothing to that.
package pionopus
