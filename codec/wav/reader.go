package wav

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	formatPCM        = 1
	formatFloat      = 3
	formatExtensible = 0xfffe
	// unknownSize is what programs write that cannot go back to the header.
	unknownSize = 0xffffffff
)

// Header is what a file says of its sound.
type Header struct {
	// SampleRate in Hz, above 0.
	SampleRate int
	// Channels, above 0; they are interleaved.
	Channels int
	// Samples per channel; -1 if the header does not say.
	Samples int64
}

// A Reader reads the sound of a WAV file. It is for one goroutine at a time.
type Reader struct {
	r      io.Reader
	offset int64
	header Header
	left   int64 // bytes of sound; -1 if unknown
	buf    []byte
	err    error
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// NewReader reads a file up to its sound. What r gives is not trusted: an
// error that is ErrFormat says where the file is corrupt.
func NewReader(r io.Reader) (*Reader, error) {
	in := &counter{r: r}
	var b [12]byte
	if _, err := io.ReadFull(in, b[:]); err != nil {
		return nil, tooShort(0, err, "within its first 12 bytes: this is not a WAV file")
	}
	if riff, wave := string(b[:4]), string(b[8:]); riff != "RIFF" || wave != "WAVE" {
		return nil, &FormatError{Reason: fmt.Sprintf("this is not a WAV file: found %q and %q, want \"RIFF\" and \"WAVE\"", riff, wave)}
	}
	w := &Reader{r: in}
	for {
		at := in.n
		if _, err := io.ReadFull(in, b[:8]); err != nil {
			return nil, tooShort(at, err, "before the sound")
		}
		id, size := string(b[:4]), binary.LittleEndian.Uint32(b[4:])
		switch id {
		case "fmt ":
			if err := w.parseFormat(in, at, size); err != nil {
				return nil, err
			}
		case "data":
			if w.header.Channels == 0 {
				return nil, &FormatError{Offset: at, Reason: "the sound comes before its format"}
			}
			return w, w.startData(in, at, size)
		default:
			if _, err := io.CopyN(io.Discard, in, int64(size)+int64(size&1)); err != nil {
				return nil, tooShort(at, err, fmt.Sprintf("within chunk %q of %d bytes", id, size))
			}
		}
	}
}

// Header returns the file's header.
func (w *Reader) Header() Header { return w.header }

// Read fills pcm with interleaved sound and returns the number of values. It
// returns fewer than len(pcm) only at the end, and then io.EOF with the next
// call. A file that ends before its header says gives ErrFormat after what
// there is.
func (w *Reader) Read(pcm []int16) (int, error) {
	done := 0
	for done < len(pcm) && w.err == nil {
		buf := w.buf[:min(len(w.buf), 2*(len(pcm)-done))]
		if w.left >= 0 {
			buf = buf[:min(int64(len(buf)), w.left)]
		}
		if len(buf) == 0 {
			w.err = io.EOF
			break
		}
		n, err := io.ReadFull(w.r, buf)
		switch {
		case err == nil:
		case w.left < 0 && (err == io.EOF || err == io.ErrUnexpectedEOF):
			w.err = io.EOF
		default:
			w.err = tooShort(w.offset+int64(n), err, fmt.Sprintf("%d bytes before its header says", w.left-int64(n)))
		}
		w.offset += int64(n)
		if w.left >= 0 {
			w.left -= int64(n)
		}
		for i := 0; i+1 < n; i += 2 {
			pcm[done] = int16(binary.LittleEndian.Uint16(buf[i:]))
			done++
		}
	}
	if done == 0 && len(pcm) > 0 {
		return 0, w.err
	}
	return done, nil
}

// ReadAll returns all the sound that is left, interleaved.
func (w *Reader) ReadAll() ([]int16, error) {
	var pcm []int16
	buf := make([]int16, 1<<14)
	for {
		n, err := w.Read(buf)
		pcm = append(pcm, buf[:n]...)
		if err == io.EOF {
			return pcm, nil
		}
		if err != nil {
			return pcm, err
		}
	}
}

// parseFormat reads the fmt chunk.
func (w *Reader) parseFormat(r io.Reader, at int64, size uint32) error {
	if w.header.Channels != 0 {
		return &FormatError{Offset: at, Reason: "the format comes a second time"}
	}
	if size < 16 || size > 1024 {
		return &FormatError{Offset: at, Reason: fmt.Sprintf("the format is %d bytes long, want 16, 18 or 40", size)}
	}
	b := make([]byte, size+size&1)
	if _, err := io.ReadFull(r, b); err != nil {
		return tooShort(at, err, "within the format")
	}
	format := int(binary.LittleEndian.Uint16(b))
	if format == formatExtensible && size >= 26 {
		format = int(binary.LittleEndian.Uint16(b[24:]))
	}
	w.header.Channels = int(binary.LittleEndian.Uint16(b[2:]))
	rate := binary.LittleEndian.Uint32(b[4:])
	align := int(binary.LittleEndian.Uint16(b[12:]))
	bits := int(binary.LittleEndian.Uint16(b[14:]))
	reason := ""
	switch {
	case format == formatFloat:
		reason = "the sound is floating point: only 16-bit PCM can be read (convert with: sox in.wav -b 16 -e signed out.wav)"
	case format != formatPCM:
		reason = fmt.Sprintf("the sound is compressed (format %d): only 16-bit PCM can be read (convert with: sox in.wav -b 16 -e signed out.wav)", format)
	case bits != 16:
		reason = fmt.Sprintf("the sound has %d bits: only 16-bit PCM can be read (convert with: sox in.wav -b 16 out.wav)", bits)
	case w.header.Channels == 0:
		reason = "there are no channels"
	case rate == 0 || rate > 1<<30:
		reason = fmt.Sprintf("a sample rate of %d Hz", rate)
	case align != 2*w.header.Channels:
		reason = fmt.Sprintf("%d bytes for a sample of %d channels, want %d", align, w.header.Channels, 2*w.header.Channels)
	}
	if reason != "" {
		return &FormatError{Offset: at, Reason: reason}
	}
	w.header.SampleRate = int(rate)
	return nil
}

func (w *Reader) startData(in *counter, at int64, size uint32) error {
	align := int64(2 * w.header.Channels)
	w.offset = in.n
	w.left, w.header.Samples = int64(size), int64(size)/align
	if size == unknownSize {
		w.left, w.header.Samples = -1, -1
	} else if int64(size)%align != 0 {
		return &FormatError{Offset: at, Reason: fmt.Sprintf("%d bytes of sound are not a multiple of %d", size, align)}
	}
	w.buf = make([]byte, 4096)
	return nil
}
