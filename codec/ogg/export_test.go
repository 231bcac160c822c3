package ogg

import (
	"bytes"
	"encoding/binary"
)

var AppendPage = appendPage

// FixChecksums puts the checksums of all pages right.
func FixChecksums(file []byte) []byte {
	file = bytes.Clone(file)
	for b := file; len(b) >= headerSize; {
		n := headerSize + int(b[26])
		if n > len(b) {
			break
		}
		for _, s := range b[headerSize:n] {
			n += int(s)
		}
		if n > len(b) {
			break
		}
		clear(b[22:26])
		binary.LittleEndian.PutUint32(b[22:], crc(0, b[:n]))
		b = b[n:]
	}
	return file
}
