package webm

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// The IDs of elements (RFC 8794 section 11.2, RFC 9559 section 5.1), with their
// length markers.
const (
	idEBML           = 0x1A45DFA3
	idEBMLVersion    = 0x4286
	idEBMLReadVer    = 0x42F7
	idMaxIDLength    = 0x42F2
	idMaxSizeLength  = 0x42F3
	idDocType        = 0x4282
	idDocTypeVersion = 0x4287
	idDocTypeReadVer = 0x4285
	idVoid           = 0xEC

	idSegment        = 0x18538067
	idSeekHead       = 0x114D9B74
	idInfo           = 0x1549A966
	idTimestampScale = 0x2AD7B1
	idDuration       = 0x4489
	idMuxingApp      = 0x4D80
	idWritingApp     = 0x5741
	idCues           = 0x1C53BB6B
	idChapters       = 0x1043A770
	idTags           = 0x1254C367
	idAttachments    = 0x1941A469

	idTracks           = 0x1654AE6B
	idTrackEntry       = 0xAE
	idTrackNumber      = 0xD7
	idTrackUID         = 0x73C5
	idTrackType        = 0x83
	idFlagLacing       = 0x9C
	idCodecID          = 0x86
	idCodecPrivate     = 0x63A2
	idCodecDelay       = 0x56AA
	idSeekPreRoll      = 0x56BB
	idContentEncodings = 0x6D80
	idVideo            = 0xE0
	idPixelWidth       = 0xB0
	idPixelHeight      = 0xBA
	idAudio            = 0xE1
	idSampleRate       = 0xB5
	idChannels         = 0x9F

	idCluster        = 0x1F43B675
	idTimestamp      = 0xE7
	idSimpleBlock    = 0xA3
	idBlockGroup     = 0xA0
	idBlock          = 0xA1
	idReferenceBlock = 0xFB
)

const (
	trackVideo = 1
	trackAudio = 2
)

// unknownSize is the size of an element that ends where its parent or a
// neighbour says (RFC 8794 section 6.2).
const unknownSize = -1

// vintLength is the length in bytes of a variable-size integer that begins with
// b (RFC 8794 section 4), 9 for none.
func vintLength(b byte) int { return bits.LeadingZeros8(b) + 1 }

// vintValue is the value of a whole variable-size integer, unknownSize if all of
// its bits are ones.
func vintValue(b []byte) int64 {
	v := int64(b[0]) & (1<<(8-len(b)) - 1)
	for _, c := range b[1:] {
		v = v<<8 | int64(c)
	}
	if v == 1<<(7*len(b))-1 {
		return unknownSize
	}
	return v
}

// appendID appends an element's ID, which carries its own length.
func appendID(b []byte, id uint32) []byte {
	for shift := (bits.Len32(id) - 1) / 8 * 8; shift >= 0; shift -= 8 {
		b = append(b, byte(id>>shift))
	}
	return b
}

// appendSize appends a size in as few bytes as it takes.
func appendSize(b []byte, n int) []byte {
	length := 1
	for n >= 1<<(7*length)-1 { // all ones is the unknown size
		length++
	}
	v := uint64(n) | 1<<(7*length)
	for i := length - 1; i >= 0; i-- {
		b = append(b, byte(v>>(8*i)))
	}
	return b
}

// appendSize8 appends a size in eight bytes, to be changed later.
func appendSize8(b []byte, n int64) []byte {
	if n == unknownSize {
		n = 1<<56 - 1
	}
	return binary.BigEndian.AppendUint64(b, uint64(n)|1<<56)
}

func appendBytes(b []byte, id uint32, v []byte) []byte {
	return append(appendSize(appendID(b, id), len(v)), v...)
}

func appendString(b []byte, id uint32, v string) []byte {
	return append(appendSize(appendID(b, id), len(v)), v...)
}

func appendUint(b []byte, id uint32, v uint64) []byte {
	n := max(1, (bits.Len64(v)+7)/8)
	b = appendSize(appendID(b, id), n)
	for i := n - 1; i >= 0; i-- {
		b = append(b, byte(v>>(8*i)))
	}
	return b
}

func appendFloat(b []byte, id uint32, v float64) []byte {
	b = appendSize(appendID(b, id), 8)
	return binary.BigEndian.AppendUint64(b, math.Float64bits(v))
}

// element is one within a master element that was read whole.
type element struct {
	id   uint32
	data []byte
}

// next cuts the first element off b. It reports false if that is corrupt.
func nextElement(b []byte) (e element, rest []byte, ok bool) {
	if len(b) == 0 {
		return e, nil, false
	}
	n := vintLength(b[0])
	if n > 4 || len(b) < n+1 {
		return e, nil, false
	}
	for _, c := range b[:n] {
		e.id = e.id<<8 | uint32(c)
	}
	b = b[n:]
	if n = vintLength(b[0]); n > 8 || len(b) < n {
		return e, nil, false
	}
	size := vintValue(b[:n])
	b = b[n:]
	if size < 0 || size > int64(len(b)) {
		return e, nil, false
	}
	e.data = b[:size]
	return e, b[size:], true
}

// uint reads an unsigned integer (RFC 8794 section 7.2).
func (e element) uint() (v uint64, ok bool) {
	if len(e.data) > 8 {
		return 0, false
	}
	for _, c := range e.data {
		v = v<<8 | uint64(c)
	}
	return v, true
}

// float reads a floating-point number (RFC 8794 section 7.3).
func (e element) float() (v float64, ok bool) {
	switch len(e.data) {
	case 0:
		return 0, true
	case 4:
		v = float64(math.Float32frombits(binary.BigEndian.Uint32(e.data)))
	case 8:
		v = math.Float64frombits(binary.BigEndian.Uint64(e.data))
	default:
		return 0, false
	}
	return v, !math.IsNaN(v) && !math.IsInf(v, 0)
}

// string reads a text, which zeros may follow (RFC 8794 section 7.4).
func (e element) string() string {
	for i, c := range e.data {
		if c == 0 {
			return string(e.data[:i])
		}
	}
	return string(e.data)
}
