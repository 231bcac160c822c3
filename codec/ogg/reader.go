package ogg

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/earshotrtc/earshot/codec"
)

// maxPacket bounds a packet. Opus audio needs 61 KB at most; comment headers
// with a picture may be larger, and are dropped beyond it.
const maxPacket = 1 << 16

// Header is the identification header of an Ogg Opus file (RFC 7845 section
// 5.1).
type Header struct {
	// Channels is 1 or 2.
	Channels int
	// PreSkip is the number of samples, per channel at 48 kHz, to drop from
	// the start of the decoded sound.
	PreSkip int
	// InputRate is the rate in Hz of what was encoded, 0 if unknown. It says
	// nothing of the packets: Opus decodes at any rate.
	InputRate int
	// Gain is to be applied to the decoded sound, in 1/256 dB.
	Gain int
}

// A Reader reads the packets of the first Opus stream in an Ogg file. It is
// for one goroutine at a time.
type Reader struct {
	r      io.Reader
	offset int64
	header Header
	serial uint32

	page    page
	seg     int // next segment of the page
	pos     int // next byte of its body
	next    uint32
	packet  []byte // one that spans segments which are not side by side
	partial bool   // packet holds the beginning of one
	skip    bool   // drop segments up to the end of a packet

	audio   bool                             // the headers are done
	samples int64                            // of all packets returned, at 48 kHz
	granule int64                            // granule position of the newest page that has one
	last    struct{ granule, samples int64 } // at the end of the page before it
	err     error
}

// NewReader reads the headers of an Ogg Opus file. What r gives is not
// trusted: an error that is ErrFormat says where the file is corrupt.
func NewReader(r io.Reader) (*Reader, error) {
	d := &Reader{r: r}
	for {
		if err := d.page.read(r, d.offset); err != nil {
			if err == io.EOF {
				return nil, &FormatError{Offset: d.offset, Page: -1, Reason: "no Opus stream in the file", err: io.ErrUnexpectedEOF}
			}
			return nil, err
		}
		d.offset += int64(d.page.size())
		// Streams start with their first pages all together (RFC 3533
		// section 4): others than Opus are passed over.
		if d.page.flags&flagFirst == 0 {
			return nil, d.page.error("no Opus stream in the file")
		}
		if len(d.page.body) >= 8 && string(d.page.body[:8]) == "OpusHead" {
			break
		}
	}
	if err := d.parseHead(d.page.body); err != nil {
		return nil, err
	}
	d.serial, d.next = d.page.serial, d.page.index+1
	d.seg = len(d.page.lacing)

	tags, err := d.nextPacket()
	if err != nil {
		if err == io.EOF {
			err = &FormatError{Offset: d.offset, Page: -1, Reason: "no comment header", err: io.ErrUnexpectedEOF}
		}
		return nil, err
	}
	if len(tags) < 8 || string(tags[:8]) != "OpusTags" {
		return nil, d.page.error("no comment header")
	}
	d.audio = true
	return d, nil
}

// Header returns the file's header.
func (d *Reader) Header() Header { return d.header }

// NextPacket returns the next Opus packet, io.EOF after the last. The packet
// is never empty, is valid up to the next call, and its duration is that of
// codec.PacketSamples. After an error the same error is returned again.
func (d *Reader) NextPacket() ([]byte, error) {
	if d.err != nil {
		return nil, d.err
	}
	p, err := d.nextPacket()
	if err == nil {
		var n int
		if n, err = codec.PacketSamples(p); err == nil {
			d.samples += int64(n)
			return p, nil
		}
		err = d.page.error(err.Error())
	}
	d.err = err
	return nil, err
}

// Samples returns the length of the sound in samples per channel at 48 kHz,
// without pre-skip and without what the last page says to cut off at the end
// (RFC 7845 section 4.4). It is known once NextPacket has returned io.EOF, and
// up to then it is that of the packets returned so far.
func (d *Reader) Samples() int64 {
	n := d.samples
	if d.err == io.EOF {
		// Only the last page can cut, and at most what is on it: a stream may
		// start at any granule position, or lose pages.
		onPage := n - d.last.samples
		n -= min(max(0, d.last.granule+onPage-d.granule), onPage)
	}
	return max(0, n-int64(d.header.PreSkip))
}

func (d *Reader) parseHead(b []byte) error {
	if len(b) < 19 {
		return d.page.error(fmt.Sprintf("Opus header of %d bytes, want 19", len(b)))
	}
	if b[8]>>4 != 0 {
		return d.page.error(fmt.Sprintf("version %d of Ogg Opus is unknown", b[8]))
	}
	d.header = Header{
		Channels:  int(b[9]),
		PreSkip:   int(binary.LittleEndian.Uint16(b[10:])),
		InputRate: int(binary.LittleEndian.Uint32(b[12:])),
		Gain:      int(int16(binary.LittleEndian.Uint16(b[16:]))),
	}
	if b[18] != 0 {
		return d.page.error(fmt.Sprintf("channel mapping %d: only mono and stereo (mapping 0) can be read", b[18]))
	}
	if d.header.Channels < 1 || d.header.Channels > 2 {
		return d.page.error(fmt.Sprintf("%d channels: only 1 and 2 are possible", d.header.Channels))
	}
	return nil
}

// nextPacket puts a packet together from segments.
func (d *Reader) nextPacket() ([]byte, error) {
	d.packet = d.packet[:0]
	for {
		if d.seg == len(d.page.lacing) {
			if err := d.nextPage(); err != nil {
				return nil, err
			}
			continue
		}
		start := d.pos
		ended := false
		for d.seg < len(d.page.lacing) && !ended {
			n := int(d.page.lacing[d.seg])
			d.seg++
			d.pos += n
			ended = n < 255
		}
		part := d.page.body[start:d.pos]
		if d.skip {
			d.skip = !ended
			continue
		}
		if ended && !d.partial {
			return part, nil
		}
		if d.partial = !ended; len(d.packet)+len(part) > maxPacket {
			if d.audio {
				return nil, d.page.error(fmt.Sprintf("packet of more than %d bytes", maxPacket))
			}
			part = part[:maxPacket-len(d.packet)] // comments: nobody reads them
		}
		d.packet = append(d.packet, part...)
		if ended {
			return d.packet, nil
		}
	}
}

// nextPage reads the next page of this stream.
func (d *Reader) nextPage() error {
	for {
		if d.page.flags&flagLast != 0 && d.page.serial == d.serial && d.audio {
			return io.EOF // what follows is another stream (chaining)
		}
		if err := d.page.read(d.r, d.offset); err != nil {
			if err == io.EOF && d.partial {
				return &FormatError{Offset: d.offset, Page: -1, Reason: "the file ends within a packet", err: io.ErrUnexpectedEOF}
			}
			d.seg = len(d.page.lacing)
			return err
		}
		d.offset += int64(d.page.size())
		if d.page.serial != d.serial {
			d.seg = len(d.page.lacing)
			continue
		}
		break
	}
	p := &d.page
	if p.flags&flagFirst != 0 {
		return p.error("the stream begins a second time")
	}
	if p.index != d.next {
		return p.error(fmt.Sprintf("%d pages are missing before it", int64(p.index-d.next)))
	}
	d.next++
	d.seg, d.pos = 0, 0
	if continued := p.flags&flagContinue != 0; continued != d.partial && len(p.lacing) > 0 {
		return p.error("a packet and its continuation do not fit")
	}
	if p.granule != noGranule {
		if p.granule > 1<<62 {
			return p.error("granule position out of range")
		}
		d.last.granule, d.last.samples = d.granule, d.samples
		d.granule = int64(p.granule)
	}
	return nil
}

// ReadPCM decodes all that is left of r with dec, which must be a decoder of
// 48 kHz and the given number of channels, and returns the sound without the
// parts that the file says to skip at its start and end. A packet that cannot
// be decoded is an error.
func ReadPCM(r *Reader, dec codec.Decoder, channels int) ([]int16, error) {
	var pcm []int16
	frame := make([]int16, codec.MaxFrameSamples*channels)
	for {
		p, err := r.NextPacket()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		n, err := dec.Decode(p, frame)
		if err != nil {
			return nil, fmt.Errorf("ogg: page %d at offset %d: %w", r.page.index, r.page.offset, err)
		}
		pcm = append(pcm, frame[:n*channels]...)
	}
	skip := min(r.header.PreSkip*channels, len(pcm))
	pcm = pcm[skip:]
	return pcm[:min(len(pcm), int(r.Samples())*channels)], nil
}
