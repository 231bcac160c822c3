package webm

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// maxHeader is the largest of the elements that are read whole and are no
// frames, in bytes.
const maxHeader = 1 << 20

// Header is what a file says before its first frame.
type Header struct {
	// DocType is "webm", or "matroska" for a file that may hold more.
	DocType string
	// Duration of the file, 0 if it does not say.
	Duration time.Duration
	// Tracks in the order of the file, those with other codecs, too.
	Tracks []Track
}

// A Reader reads the frames of a WebM file. It is for one goroutine at a time.
type Reader struct {
	in     *bufio.Reader
	offset int64
	header Header
	scale  uint64  // of timestamps, in ns
	ticks  float64 // of the duration
	tracks map[uint64]int

	segmentEnd int64 // unknownSize if unknown
	clusterEnd int64 // likewise; 0 outside of clusters
	cluster    uint64
	timed      bool // the cluster's timestamp is known
	err        error
}

// NewReader reads a file up to its first frames. What r gives is not trusted:
// an error that is ErrFormat says where the file is corrupt, or what it has
// that cannot be read.
func NewReader(r io.Reader) (*Reader, error) {
	d := &Reader{in: bufio.NewReader(r), scale: uint64(time.Millisecond)}
	if err := d.readHead(); err != nil {
		return nil, err
	}
	for d.clusterEnd == 0 {
		err := d.level1()
		if err == io.EOF && d.tracks != nil {
			d.err = err // there is no frame
			break
		}
		if err != nil {
			return nil, d.early(err)
		}
	}
	if d.tracks == nil {
		return nil, d.errorf(d.offset, "frames come before the tracks that they belong to")
	}
	// The unit of time may come after the duration, which counts in it.
	if t := d.ticks * float64(d.scale); t > 0 && t < float64(maxTime) {
		d.header.Duration = time.Duration(t)
	}
	return d, nil
}

// Header returns the file's header. Do not change it.
func (d *Reader) Header() Header { return d.header }

// NextFrame returns the next frame of VP8 or Opus, whatever its track, io.EOF
// after the last; frames of other tracks are passed over. A file that ends too
// early gives its whole frames, then an ErrFormat that is io.ErrUnexpectedEOF,
// too, unless it ends between two frames and never said how long it would be.
// After an error the same error is returned again.
func (d *Reader) NextFrame() (Frame, error) {
	for d.err == nil {
		var f Frame
		var ok bool
		if f, ok, d.err = d.next(); ok {
			return f, nil
		}
	}
	return Frame{}, d.err
}

// readHead reads the EBML header and the beginning of the segment.
func (d *Reader) readHead() error {
	magic, err := d.in.Peek(4)
	if err != nil && err != io.EOF {
		return fmt.Errorf("webm: %w", err)
	}
	if !bytes.Equal(magic, []byte{0x1A, 0x45, 0xDF, 0xA3}) {
		err := d.errorf(0, "the file does not begin as WebM does")
		if len(magic) < 4 {
			err.err = io.ErrUnexpectedEOF
		}
		return err
	}
	start := d.offset
	_, size, err := d.readElement()
	if err != nil {
		return d.early(err)
	}
	b, err := d.readWhole(start, size, maxHeader)
	if err != nil {
		return err
	}
	d.header.DocType = "matroska" // RFC 9559 section 4
	for len(b) > 0 {
		e, rest, ok := nextElement(b)
		if !ok {
			return d.errorf(start, "its header is corrupt")
		}
		b = rest
		v, _ := e.uint()
		switch {
		case e.id == idDocType:
			d.header.DocType = e.string()
		case e.id == idMaxIDLength && v > 4, e.id == idMaxSizeLength && v > 8, e.id == idEBMLReadVer && v > 1:
			return d.errorf(start, "a newer kind of EBML than is known")
		}
	}
	if t := d.header.DocType; t != "webm" && t != "matroska" {
		return d.errorf(start, "a document of type %.20q, want webm", t)
	}
	for {
		start := d.offset
		id, size, err := d.readElement()
		switch {
		case err != nil:
			return d.early(err)
		case id == idSegment:
			d.segmentEnd = end(d.offset, size)
			return nil
		case size == unknownSize:
			return d.errorf(start, "element %X of unknown size before the segment", id)
		}
		if err := d.skip(start, size); err != nil {
			return err
		}
	}
}

// level1 takes one element of the segment. io.EOF is the file's end.
func (d *Reader) level1() error {
	d.clusterEnd = 0
	if d.segmentEnd >= 0 && d.offset >= d.segmentEnd {
		return io.EOF
	}
	start := d.offset
	id, size, err := d.readElement()
	if err != nil {
		if err == io.EOF && d.segmentEnd >= 0 {
			return d.cut(start, "the file ends within its segment")
		}
		return err
	}
	if id == idEBML && d.segmentEnd < 0 {
		return io.EOF // another file follows this one
	}
	if e := end(d.offset, size); d.segmentEnd >= 0 && e > d.segmentEnd {
		return d.errorf(start, "element %X of %d bytes is longer than what it is in", id, size)
	}
	switch {
	case id == idCluster:
		d.clusterEnd, d.timed = end(d.offset, size), false
		if d.clusterEnd < 0 {
			d.clusterEnd = d.segmentEnd // which may be unknown, too
		}
		return nil
	case size == unknownSize:
		return d.errorf(start, "element %X of unknown size", id)
	case id == idInfo && d.tracks == nil, id == idTracks && d.tracks == nil:
		b, err := d.readWhole(start, size, maxHeader)
		if err != nil {
			return err
		}
		if id == idInfo {
			return d.parseInfo(start, b)
		}
		return d.parseTracks(start, b)
	}
	return d.skip(start, size)
}

// next takes one element, and returns the frame if it was one.
func (d *Reader) next() (Frame, bool, error) {
	if d.clusterEnd == 0 || d.clusterEnd > 0 && d.offset >= d.clusterEnd {
		return Frame{}, false, d.level1()
	}
	if d.clusterEnd < 0 || d.clusterEnd == d.segmentEnd {
		// Of unknown size: the next element of the segment ends it. Those have
		// IDs of four bytes, and none in a cluster has.
		b, err := d.in.Peek(1)
		if err == io.EOF && d.segmentEnd < 0 {
			return Frame{}, false, io.EOF
		}
		if err == nil && vintLength(b[0]) == 4 {
			return Frame{}, false, d.level1()
		}
	}
	start := d.offset
	id, size, err := d.readElement()
	switch {
	case err == io.EOF:
		return Frame{}, false, d.cut(start, "the file ends within a cluster")
	case err != nil:
		return Frame{}, false, err
	case size == unknownSize:
		return Frame{}, false, d.errorf(start, "element %X of unknown size", id)
	case d.clusterEnd >= 0 && size > d.clusterEnd-d.offset:
		return Frame{}, false, d.errorf(start, "element %X of %d bytes is longer than what it is in", id, size)
	}
	switch id {
	case idTimestamp:
		b, err := d.readWhole(start, size, 8)
		if err != nil {
			return Frame{}, false, err
		}
		d.cluster, _ = element{id, b}.uint()
		if d.cluster > uint64(maxTime)/d.scale {
			return Frame{}, false, d.errorf(start, "a time out of range")
		}
		d.timed = true
	case idSimpleBlock:
		b, err := d.readWhole(start, size, MaxFrame+maxBlockHeader)
		if err != nil {
			return Frame{}, false, err
		}
		return d.parseBlock(start, b, true)
	case idBlockGroup:
		b, err := d.readWhole(start, size, MaxFrame+maxBlockHeader+maxHeader)
		if err != nil {
			return Frame{}, false, err
		}
		return d.parseGroup(start, b)
	default:
		return Frame{}, false, d.skip(start, size)
	}
	return Frame{}, false, nil
}

// readElement reads the ID and the size of the next element. io.EOF is the end
// of the file before it.
func (d *Reader) readElement() (id uint32, size int64, err error) {
	start := d.offset
	for _, most := range []int{4, 8} {
		b, err := d.in.Peek(1)
		if err == nil {
			n := vintLength(b[0])
			if n > most {
				return 0, 0, d.errorf(start, "no element begins here")
			}
			b, err = d.in.Peek(n)
			if err == nil && most == 8 {
				size = vintValue(b)
			} else if err == nil {
				for _, c := range b {
					id = id<<8 | uint32(c)
				}
			}
			d.in.Discard(len(b))
			d.offset += int64(len(b))
		}
		switch {
		case err == io.EOF && d.offset == start:
			return 0, 0, io.EOF
		case err == io.EOF:
			return 0, 0, d.cut(start, "the file ends within an element's header")
		case err != nil:
			return 0, 0, fmt.Errorf("webm: at offset %d: %w", d.offset, err)
		}
	}
	if size > 1<<62-d.offset {
		return 0, 0, d.errorf(start, "%d bytes", size)
	}
	return id, size, nil
}

// readWhole reads an element's content, of most bytes. What is not there is not
// allocated either, beyond 64 KiB.
func (d *Reader) readWhole(start, size, most int64) ([]byte, error) {
	if size < 0 || size > most {
		return nil, d.errorf(start, "%d bytes: at most %d", size, most)
	}
	if size <= 1<<16 {
		b := make([]byte, size)
		n, err := io.ReadFull(d.in, b)
		d.offset += int64(n)
		return b, d.within(start, err)
	}
	var b bytes.Buffer
	n, err := io.CopyN(&b, d.in, size)
	d.offset += n
	return b.Bytes(), d.within(start, err)
}

func (d *Reader) skip(start, size int64) error {
	n, err := io.CopyN(io.Discard, d.in, size)
	d.offset += n
	return d.within(start, err)
}

// within is the error of reading an element's content.
func (d *Reader) within(start int64, err error) error {
	switch {
	case err == nil:
		return nil
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		return d.cut(start, "the file ends within it")
	}
	return fmt.Errorf("webm: at offset %d: %w", d.offset, err)
}

// end is where an element ends whose content begins at offset.
func end(offset, size int64) int64 {
	if size == unknownSize {
		return unknownSize
	}
	return offset + size
}

func (d *Reader) errorf(offset int64, format string, args ...any) *FormatError {
	return &FormatError{Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

func (d *Reader) cut(offset int64, reason string) error {
	return &FormatError{Offset: offset, Reason: reason, err: io.ErrUnexpectedEOF}
}

// early makes the file's end an error.
func (d *Reader) early(err error) error {
	if err == io.EOF {
		return d.cut(d.offset, "the file ends before its tracks")
	}
	return err
}
