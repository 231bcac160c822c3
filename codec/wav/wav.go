// Package wav reads and writes WAV files of 16-bit PCM, of any sample rate and
// channel count.
//
//	r, err := wav.NewReader(file)
//	...
//	n, err := r.Read(pcm) // interleaved; io.EOF at the end
//
//	w, err := wav.NewWriter(file, wav.Config{})
//	...
//	err = w.Write(pcm)
//	...
//	err = w.Close()
//
// go-audio/wav is the reference in the tests, and not used here: it reserves a
// minute of memory per file, allocates for each sample, and believes what a
// corrupt header says of lengths.
package wav

import (
	"errors"
	"fmt"
	"io"
)

// ErrFormat: a file is corrupt, not WAV, or not 16-bit PCM. Every *FormatError
// is one.
var ErrFormat = errors.New("wav: corrupt or unsupported file")

// FormatError says what is wrong with a file, and where.
type FormatError struct {
	// Offset in the file, in bytes.
	Offset int64
	// Reason is what is wrong.
	Reason string

	err error
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("wav: at offset %d: %s", e.Offset, e.Reason)
}

// Is reports that e is an ErrFormat.
func (e *FormatError) Is(target error) bool { return target == ErrFormat }

// Unwrap returns io.ErrUnexpectedEOF for a file that ends too early.
func (e *FormatError) Unwrap() error { return e.err }

func tooShort(offset int64, err error, what string) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return &FormatError{Offset: offset, Reason: "the file ends " + what, err: io.ErrUnexpectedEOF}
	}
	return fmt.Errorf("wav: read at offset %d: %w", offset, err)
}
