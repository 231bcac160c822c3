// Package mediafile plays files into a call, and records calls to files. It
// takes and gives encoded frames, so it needs no codec for that.
//
//	cam, err := mediafile.OpenVideo("film.webm", mediafile.Options{Loop: true})
//	...
//	defer cam.Close()
//	err = client.OpenCamera(ctx, cam)
//
//	rec, err := mediafile.Create("call.webm", mediafile.Config{Codec: libopus.Driver{}})
//	...
//	err = client.StartRemoteView(ctx, "alice", rec) // her picture
//	// her sound: engine.ClientConfig{Remote: func(user string) hooks.PCMHook { return rec.WritePCM }}
//	// or all that is heard: client.ReadPCM(pcm); rec.WritePCM(pcm)
//	...
//	err = rec.Close()
//
// Whoever records others should have asked them, or the host's MayRecord
// (hooks.Plugin): a client cannot be made to.
//
// The containers are those of codec/webm, codec/ivf and codec/ogg.
package mediafile

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// ErrFormat: a file is of a kind, or has a codec, that cannot be played. What is
// corrupt gives the ErrFormat of its container's package.
var ErrFormat = errors.New("mediafile: cannot be played")

// Options say how a file is played.
type Options struct {
	// Loop begins again at the end. What is played must be able to seek then.
	// Default off: the source ends with io.EOF.
	Loop bool
	// InStep makes a Video ignore requests for key frames, so that it stays in
	// step with the sound of the same file. Default off.
	InStep bool
}

const (
	// maxLate is how late a reader may come and still get all there is at the
	// file's pace. One that comes later finds the file waiting for it.
	maxLate = 200 * time.Millisecond
	// maxLead is how much nothing there may be before the first frame; a file
	// that begins later is played from its first frame on.
	maxLead = 2 * time.Second
	// maxTime bounds a file's times.
	maxTime = 1000 * time.Hour
)

// rewinder gives r from where it stands now, again and again.
func rewinder(r io.Reader, loop bool) (func() (io.Reader, error), error) {
	if !loop {
		return func() (io.Reader, error) { return r, nil }, nil
	}
	s, ok := r.(io.Seeker)
	if !ok {
		return nil, fmt.Errorf("%w: what cannot seek cannot be played again: no Loop, please", ErrFormat)
	}
	start, err := s.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, fmt.Errorf("mediafile: for Loop: %w", err)
	}
	return func() (io.Reader, error) {
		_, err := s.Seek(start, io.SeekStart)
		return r, err
	}, nil
}

// ended reports whether err is the end of a file. A file that was cut off, as
// by a crash of what wrote it, is played up to there.
func ended(err error) bool { return err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) }

// leadOf is what to subtract from a file's times.
func leadOf(first time.Duration) time.Duration {
	if first <= maxLead {
		return 0
	}
	return first
}

// closeFile closes a source and its file, once.
func closeFile(closed *atomic.Bool, file io.Closer) error {
	if closed.Swap(true) || file == nil {
		return nil
	}
	return file.Close()
}
