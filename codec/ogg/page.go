package ogg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// An Ogg page (RFC 3533 section 6): a header of 27 bytes, a table of up to 255
// segment lengths, and the segments. A packet is the segments up to and
// including the first that is shorter than 255.
const (
	headerSize   = 27
	maxSegments  = 255
	maxPageSize  = headerSize + maxSegments + maxSegments*255
	flagContinue = 0x01
	flagFirst    = 0x02
	flagLast     = 0x04
	noGranule    = ^uint64(0)
)

var crcTable = func() (t [256]uint32) {
	for i := range t {
		r := uint32(i) << 24
		for range 8 {
			if r&0x80000000 != 0 {
				r = r<<1 ^ 0x04c11db7
			} else {
				r <<= 1
			}
		}
		t[i] = r
	}
	return t
}()

// crc is Ogg's checksum: CRC-32 unreflected, from 0 and not inverted, which
// hash/crc32 does not do.
func crc(sum uint32, b []byte) uint32 {
	for _, v := range b {
		sum = sum<<8 ^ crcTable[byte(sum>>24)^v]
	}
	return sum
}

// page is one page of a file. Its slices point into its own buffer.
type page struct {
	flags   byte
	granule uint64
	serial  uint32
	index   uint32
	lacing  []byte
	body    []byte

	offset int64 // of the page in the file
	buf    [maxPageSize]byte
}

// read reads the next page. It returns io.EOF, and nothing else that is
// io.EOF, at a clean end.
func (p *page) read(r io.Reader, offset int64) error {
	p.offset = offset
	p.lacing, p.body = nil, nil
	h := p.buf[:headerSize]
	n, err := io.ReadFull(r, h)
	if n == 0 && err == io.EOF {
		return io.EOF
	}
	if err != nil {
		return p.truncated(err)
	}
	if string(h[:4]) != "OggS" {
		return &FormatError{Offset: offset, Page: -1, Reason: fmt.Sprintf("no page starts here: found %q, want \"OggS\"", h[:4])}
	}
	p.flags = h[5]
	p.granule = binary.LittleEndian.Uint64(h[6:])
	p.serial = binary.LittleEndian.Uint32(h[14:])
	p.index = binary.LittleEndian.Uint32(h[18:])
	if h[4] != 0 {
		return p.error(fmt.Sprintf("version %d is unknown", h[4]))
	}
	table := p.buf[headerSize : headerSize+int(h[26])]
	if _, err := io.ReadFull(r, table); err != nil {
		return p.truncated(err)
	}
	size := 0
	for _, s := range table {
		size += int(s)
	}
	all := p.buf[:len(h)+len(table)+size]
	body := all[len(h)+len(table):]
	if _, err := io.ReadFull(r, body); err != nil {
		return p.truncated(err)
	}
	want := binary.LittleEndian.Uint32(h[22:])
	clear(h[22:26])
	if got := crc(0, all); got != want {
		return p.error(fmt.Sprintf("checksum %08x, want %08x", got, want))
	}
	p.lacing, p.body = table, body
	return nil
}

func (p *page) size() int { return headerSize + len(p.lacing) + len(p.body) }

func (p *page) truncated(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return &FormatError{Offset: p.offset, Page: -1, Reason: "the file ends within the page", err: io.ErrUnexpectedEOF}
	}
	return fmt.Errorf("ogg: read at offset %d: %w", p.offset, err)
}

func (p *page) error(reason string) error {
	return &FormatError{Offset: p.offset, Page: int64(p.index), Reason: reason}
}

// appendPage appends a page whose segments are lacing and whose payload is
// body.
func appendPage(b []byte, flags byte, granule uint64, serial, index uint32, lacing, body []byte) []byte {
	start := len(b)
	b = append(b, "OggS\x00"...)
	b = append(b, flags)
	b = binary.LittleEndian.AppendUint64(b, granule)
	b = binary.LittleEndian.AppendUint32(b, serial)
	b = binary.LittleEndian.AppendUint32(b, index)
	b = append(b, 0, 0, 0, 0, byte(len(lacing)))
	b = append(b, lacing...)
	b = append(b, body...)
	binary.LittleEndian.PutUint32(b[start+22:], crc(0, b[start:]))
	return b
}

// ErrFormat: a file is corrupt, or not Ogg Opus. Every *FormatError is one.
var ErrFormat = errors.New("ogg: corrupt file")

// FormatError says what is wrong with a file, and where.
type FormatError struct {
	// Offset of the page in the file, in bytes.
	Offset int64
	// Page is the page's sequence number, -1 if it could not be read.
	Page int64
	// Reason is what is wrong.
	Reason string

	err error
}

func (e *FormatError) Error() string {
	if e.Page < 0 {
		return fmt.Sprintf("ogg: page at offset %d: %s", e.Offset, e.Reason)
	}
	return fmt.Sprintf("ogg: page %d at offset %d: %s", e.Page, e.Offset, e.Reason)
}

// Is reports that e is an ErrFormat.
func (e *FormatError) Is(target error) bool { return target == ErrFormat }

// Unwrap returns io.ErrUnexpectedEOF for a file that ends too early.
func (e *FormatError) Unwrap() error { return e.err }
