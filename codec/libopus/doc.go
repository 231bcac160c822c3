// Package libopus encodes and decodes Opus with libopus: decoding through
// github.com/hraban/opus, encoding by a few lines of its own, since an encoder
// whose state can be copied (codec.StateCopier) is what makes mixing cheap. It
// needs cgo, and at build time gcc, pkg-config, libopus-dev and libopusfile-dev.
//
//	driver := libopus.Driver{}
//	enc, err := driver.NewEncoder(codec.EncoderConfig{FEC: true, PacketLoss: 5})
//	...
//	n, err := enc.Encode(pcm, packet) // 960 samples of 48 kHz mono
//	if n > 0 {
//		send(packet[:n])
//	}
//
// In a build without cgo the package compiles, and both New methods return an
// error that wraps codec.ErrUnsupported and says what to install.
// codec/pionopus decodes without cgo.
package libopus
