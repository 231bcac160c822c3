package mediafile

import (
	"io"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/ivf"
	"github.com/earshotrtc/earshot/codec/webm"
)

type webmFile struct {
	*webm.Writer
	audio int // its track
}

// newWebMFile has a picture if that has a width, and sound unless there is to be
// none.
func newWebMFile(w io.Writer, cfg Config, width, height int) (container, error) {
	var tracks []webm.Track
	if width > 0 {
		tracks = append(tracks, webm.Track{CodecID: webm.VP8, Width: width, Height: height})
	}
	audio := len(tracks)
	if !cfg.NoAudio {
		tracks = append(tracks, webm.Track{CodecID: webm.Opus, Channels: cfg.Encoder.Channels})
	}
	o, err := webm.NewWriter(w, webm.Config{Tracks: tracks})
	return webmFile{o, audio}, err
}

func (f webmFile) writeVideo(data []byte, at time.Duration, key bool) error {
	return f.WriteFrame(webm.Frame{Track: 0, Time: at, KeyFrame: key, Data: data})
}

func (f webmFile) writeAudio(packet []byte, at time.Duration) error {
	return f.WriteFrame(webm.Frame{Track: f.audio, Time: at, Data: packet})
}

type ivfFile struct{ *ivf.Writer }

func newIVFFile(w io.Writer, width, height int) (container, error) {
	o, err := ivf.NewWriter(w, ivf.Header{Width: width, Height: height})
	return ivfFile{o}, err
}

func (f ivfFile) writeVideo(data []byte, at time.Duration, _ bool) error {
	return f.WriteFrame(ivf.Frame{Data: data, Time: at})
}

func (ivfFile) writeAudio([]byte, time.Duration) error { return codec.ErrUnsupported }
