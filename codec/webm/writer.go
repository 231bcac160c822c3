package webm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/earshotrtc/earshot/codec"
)

// Config configures a Writer. Tracks must be set.
type Config struct {
	// Tracks are the file's, each VP8 or Opus; Frame.Track is an index into
	// them. VP8 needs its Width and Height.
	Tracks []Track
	// ClusterDuration is how much is kept before it is written: what is lost at
	// most when the program dies, and half a second more in a file of several
	// tracks. A key frame writes it sooner. At most 30 s. Default 1 s.
	ClusterDuration time.Duration
	// App names the program that writes. Default "earshot".
	App string
}

const (
	// maxCluster is how many bytes are kept at most, a frame beside.
	maxCluster = 4 << 20
	// reorderWindow is how far the tracks may be out of step with each other
	// without a frame losing its time.
	reorderWindow = 500 * time.Millisecond
	maxReordered  = 512
	// clusterHead is the room for a cluster's header: its ID, its size, and its
	// time of up to eight bytes.
	clusterHead = 4 + 8 + 10
)

// A Writer writes a WebM file as it goes on. It is for one goroutine at a time,
// and allocates nothing per frame.
//
// What is written is a segment of unknown size with clusters of known size. If
// the writer below can seek, Close fills in the size and the duration.
type Writer struct {
	w       io.Writer
	seek    io.WriteSeeker // nil if it cannot seek
	cfg     Config
	base    int64 // where the file begins in it
	offset  int64 // bytes written
	segment int64 // offset of the segment's content
	length  int64 // offset of the element with the duration

	waiting []Frame // in order of their times
	free    [][]byte
	last    []time.Duration // of each track, accepted
	ends    []time.Duration // where those frames end
	newest  time.Duration

	buf     []byte        // the cluster, clusterHead bytes first
	start   time.Duration // of the cluster
	written time.Duration // the time of the last frame put into a cluster
	err     error
}

// ErrClosed is returned by a Writer after Close.
var ErrClosed = errors.New("webm: writer is closed")

// ErrFrame: a frame cannot be written. The writer goes on with others.
var ErrFrame = errors.New("webm: bad frame")

// NewWriter writes the header of a WebM file. Close must be called at the end;
// it does not close w. Errors: codec.ErrConfig, and those of w.
func NewWriter(w io.Writer, cfg Config) (*Writer, error) {
	if cfg.ClusterDuration == 0 {
		cfg.ClusterDuration = time.Second
	}
	if cfg.App == "" {
		cfg.App = "earshot"
	}
	switch {
	case len(cfg.Tracks) == 0 || len(cfg.Tracks) > MaxTracks:
		return nil, fmt.Errorf("%w: webm: %d tracks: 1 to %d are possible", codec.ErrConfig, len(cfg.Tracks), MaxTracks)
	case cfg.ClusterDuration < 0 || cfg.ClusterDuration > 30*time.Second:
		return nil, fmt.Errorf("%w: webm: clusters of %v: at most 30s", codec.ErrConfig, cfg.ClusterDuration)
	case len(cfg.App) > 1024:
		return nil, fmt.Errorf("%w: webm: App of %d bytes: at most 1024", codec.ErrConfig, len(cfg.App))
	}
	cfg.Tracks = append([]Track(nil), cfg.Tracks...)
	for i := range cfg.Tracks {
		if err := cfg.Tracks[i].complete(); err != nil {
			return nil, fmt.Errorf("%w: webm: track %d: %w", codec.ErrConfig, i, err)
		}
	}
	o := &Writer{w: w, cfg: cfg, last: make([]time.Duration, len(cfg.Tracks)), ends: make([]time.Duration, len(cfg.Tracks))}
	for i := range o.last {
		o.last[i] = -1
	}
	if s, ok := w.(io.WriteSeeker); ok {
		if at, err := s.Seek(0, io.SeekCurrent); err == nil { // a pipe is a file, too
			o.seek, o.base = s, at
		}
	}
	o.buf = make([]byte, clusterHead, 64<<10)
	if err := o.write(o.head()); err != nil {
		return nil, err
	}
	return o, nil
}

// complete fills in a track's defaults.
func (t *Track) complete() error {
	if len(t.CodecPrivate) > 1<<16 {
		return fmt.Errorf("CodecPrivate of %d bytes: at most 65536", len(t.CodecPrivate))
	}
	switch t.CodecID {
	case VP8:
		if t.Width < 1 || t.Width > 16383 || t.Height < 1 || t.Height > 16383 {
			return fmt.Errorf("a picture of %dx%d: 1 to 16383 are possible", t.Width, t.Height)
		}
	case Opus:
		if t.Channels == 0 {
			t.Channels = 1
		}
		if t.SampleRate == 0 {
			t.SampleRate = codec.SampleRate
		}
		if t.CodecDelay == 0 {
			t.CodecDelay = 312 * time.Second / codec.SampleRate
		}
		if t.SeekPreRoll == 0 {
			t.SeekPreRoll = 80 * time.Millisecond // RFC 7845 section 4.6
		}
		if t.Channels < 1 || t.Channels > 2 {
			return fmt.Errorf("%d channels: only 1 and 2 are possible", t.Channels)
		}
		if t.SampleRate < 8000 || t.SampleRate > codec.SampleRate {
			return fmt.Errorf("a sample rate of %d Hz: 8000 to 48000 are possible", t.SampleRate)
		}
	default:
		return fmt.Errorf("codec %.20q: only %s and %s are possible", t.CodecID, VP8, Opus)
	}
	t.CodecDelay, t.SeekPreRoll = max(t.CodecDelay, 0), max(t.SeekPreRoll, 0)
	if t.CodecDelay > time.Second || t.SeekPreRoll > time.Second {
		return fmt.Errorf("CodecDelay %v, SeekPreRoll %v: at most 1s", t.CodecDelay, t.SeekPreRoll)
	}
	if t.CodecID == Opus && t.CodecPrivate == nil {
		skip := (int64(t.CodecDelay)*codec.SampleRate + int64(time.Second)/2) / int64(time.Second)
		head := append([]byte("OpusHead\x01"), byte(t.Channels))
		head = binary.LittleEndian.AppendUint16(head, uint16(skip))
		head = binary.LittleEndian.AppendUint32(head, uint32(t.SampleRate))
		t.CodecPrivate = append(head, 0, 0, 0) // no gain, mapping 0
	}
	return nil
}

// head is all that comes before the first cluster.
func (o *Writer) head() []byte {
	var e []byte
	e = appendUint(e, idEBMLVersion, 1)
	e = appendUint(e, idEBMLReadVer, 1)
	e = appendUint(e, idMaxIDLength, 4)
	e = appendUint(e, idMaxSizeLength, 8)
	e = appendString(e, idDocType, "webm")
	e = appendUint(e, idDocTypeVersion, 4)
	e = appendUint(e, idDocTypeReadVer, 2)
	b := appendBytes(nil, idEBML, e)
	b = appendSize8(appendID(b, idSegment), unknownSize)
	o.segment = int64(len(b))

	var info []byte
	info = appendUint(info, idTimestampScale, uint64(time.Millisecond))
	info = appendString(info, idMuxingApp, "earshot")
	info = appendString(info, idWritingApp, o.cfg.App)
	info = appendBytes(info, idVoid, make([]byte, 9)) // room for the duration
	b = appendBytes(b, idInfo, info)
	o.length = int64(len(b) - 11)

	var tracks []byte
	for i, t := range o.cfg.Tracks {
		var e []byte
		e = appendUint(e, idTrackNumber, uint64(i+1))
		e = appendUint(e, idTrackUID, uint64(i+1))
		e = appendUint(e, idFlagLacing, 0)
		e = appendString(e, idCodecID, t.CodecID)
		if t.CodecPrivate != nil {
			e = appendBytes(e, idCodecPrivate, t.CodecPrivate)
		}
		if t.CodecID == VP8 {
			e = appendUint(e, idTrackType, trackVideo)
			e = appendBytes(e, idVideo, appendUint(appendUint(nil, idPixelWidth, uint64(t.Width)), idPixelHeight, uint64(t.Height)))
		} else {
			e = appendUint(e, idTrackType, trackAudio)
			e = appendUint(e, idCodecDelay, uint64(t.CodecDelay))
			e = appendUint(e, idSeekPreRoll, uint64(t.SeekPreRoll))
			e = appendBytes(e, idAudio, appendUint(appendFloat(nil, idSampleRate, float64(t.SampleRate)), idChannels, uint64(t.Channels)))
		}
		tracks = appendBytes(tracks, idTrackEntry, e)
	}
	return appendBytes(b, idTracks, tracks)
}

// WriteFrame adds a frame. Those of one track come in the order of their times;
// tracks may be 500 ms out of step, and a frame that comes later yet gets the
// time of the one before it. Errors: ErrFrame for one that cannot be written,
// and one of the writer below, which stays: every later call returns it.
func (o *Writer) WriteFrame(f Frame) error {
	if o.err != nil {
		return o.err
	}
	switch {
	case f.Track < 0 || f.Track >= len(o.last):
		return fmt.Errorf("%w: track %d of %d", ErrFrame, f.Track, len(o.last))
	case len(f.Data) == 0 || len(f.Data) > MaxFrame:
		return fmt.Errorf("%w: %d bytes: want 1 to %d", ErrFrame, len(f.Data), MaxFrame)
	case f.Time < 0 || f.Time > maxTime:
		return fmt.Errorf("%w: a time of %v", ErrFrame, f.Time)
	case f.Time < o.last[f.Track]:
		return fmt.Errorf("%w: it is of %v, and one of %v came before", ErrFrame, f.Time, o.last[f.Track])
	}
	length := time.Duration(0)
	if o.cfg.Tracks[f.Track].CodecID == Opus {
		n, err := codec.PacketDuration(f.Data)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFrame, err)
		}
		f.KeyFrame, length = true, n
	} else if o.last[f.Track] >= 0 {
		length = min(f.Time-o.last[f.Track], time.Second) // as long as the one before
	}
	o.last[f.Track] = f.Time
	o.ends[f.Track] = f.Time + length
	o.newest = max(o.newest, f.Time)
	if len(o.last) == 1 {
		return o.add(f)
	}
	o.wait(f)
	return o.settle(o.newest - reorderWindow)
}

// wait keeps a copy of a frame, in the order of times.
func (o *Writer) wait(f Frame) {
	var b []byte
	if n := len(o.free); n > 0 {
		b, o.free = o.free[n-1], o.free[:n-1]
	}
	f.Data = append(b[:0], f.Data...)
	o.waiting = append(o.waiting, f)
	for i := len(o.waiting) - 1; i > 0 && o.waiting[i-1].Time > o.waiting[i].Time; i-- {
		o.waiting[i-1], o.waiting[i] = o.waiting[i], o.waiting[i-1]
	}
}

// settle puts the frames up to a time into the cluster, and more if too many
// wait.
func (o *Writer) settle(upTo time.Duration) error {
	n, bytes := 0, 0
	for _, f := range o.waiting {
		bytes += len(f.Data)
	}
	for ; n < len(o.waiting); n++ {
		f := o.waiting[n]
		if f.Time > upTo && len(o.waiting)-n <= maxReordered && bytes <= maxCluster {
			break
		}
		if err := o.add(f); err != nil {
			return err
		}
		bytes -= len(f.Data)
		if cap(f.Data) <= 1<<16 { // the large ones are few
			o.free = append(o.free, f.Data)
		}
	}
	o.waiting = append(o.waiting[:0], o.waiting[n:]...)
	return nil
}

// add puts a frame into the cluster as a SimpleBlock, or into the next.
func (o *Writer) add(f Frame) error {
	at := max(f.Time, o.written)
	video := o.cfg.Tracks[f.Track].CodecID == VP8
	if len(o.buf) > clusterHead && (at-o.start >= o.cfg.ClusterDuration || video && f.KeyFrame || len(o.buf)+len(f.Data) > maxCluster) {
		if err := o.flush(); err != nil {
			return err
		}
	}
	if len(o.buf) == clusterHead {
		o.start = at.Round(time.Millisecond)
	}
	o.written = at
	// Rounding is monotonic: it cannot be before the cluster's time.
	rel := (at.Round(time.Millisecond) - o.start) / time.Millisecond
	flags := byte(0)
	if f.KeyFrame {
		flags = 0x80
	}
	o.buf = appendSize(appendID(o.buf, idSimpleBlock), 4+len(f.Data))
	o.buf = append(o.buf, 0x80|byte(f.Track+1), byte(rel>>8), byte(rel), flags)
	o.buf = append(o.buf, f.Data...)
	return nil
}

// flush writes the cluster.
func (o *Writer) flush() error {
	if len(o.buf) == clusterHead {
		return nil
	}
	var head [clusterHead]byte
	e := appendUint(head[:0], idTimestamp, uint64(o.start/time.Millisecond))
	at := clusterHead - len(e)
	copy(o.buf[at:], e)
	at -= 12
	e = appendSize8(appendID(head[:0], idCluster), int64(len(o.buf)-at-12))
	copy(o.buf[at:], e)
	err := o.write(o.buf[at:])
	o.buf = o.buf[:clusterHead]
	return err
}

// Flush writes all that is kept, so that a reader of a growing file sees it.
func (o *Writer) Flush() error {
	if o.err != nil {
		return o.err
	}
	if err := o.settle(math.MaxInt64); err != nil {
		return err
	}
	return o.flush()
}

// Duration of what was written so far.
func (o *Writer) Duration() time.Duration { return slices.Max(o.ends) }

// Close writes all that is kept, and the file's size and duration into its
// header if the writer below can seek. It does not close that.
func (o *Writer) Close() error {
	if o.err == ErrClosed {
		return nil
	}
	if err := o.Flush(); err != nil {
		return err
	}
	var err error
	if o.seek != nil {
		ms := float64(o.Duration()) / float64(time.Millisecond)
		err = errors.Join(
			o.patch(o.segment-8, appendSize8(nil, o.offset-o.segment)),
			o.patch(o.length, appendFloat(nil, idDuration, ms)),
		)
		if _, e := o.seek.Seek(o.base+o.offset, io.SeekStart); e != nil && err == nil {
			err = fmt.Errorf("webm: %w", e)
		}
	}
	o.err = ErrClosed
	return err
}

// patch writes over what was written before.
func (o *Writer) patch(at int64, b []byte) error {
	_, err := o.seek.Seek(o.base+at, io.SeekStart)
	if err == nil {
		_, err = o.seek.Write(b)
	}
	if err != nil {
		return fmt.Errorf("webm: %w", err)
	}
	return nil
}

func (o *Writer) write(b []byte) error {
	n, err := o.w.Write(b)
	o.offset += int64(n)
	if err != nil {
		o.err = fmt.Errorf("webm: %w", err)
	}
	return o.err
}
