package mediafile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/engine"
)

// Format is a kind of file.
type Format uint8

// The formats. IVF holds a picture and no sound.
const (
	WebM Format = iota
	IVF
)

// Config configures a Recorder. Its zero value records a picture, and sound
// that comes as Opus packets, to WebM.
type Config struct {
	// Format of the file. Default WebM.
	Format Format
	// Codec encodes what WritePCM is given. Default none: WritePCM drops all,
	// and counts it.
	Codec codec.Driver
	// Encoder configures that. Stereo is for a client that hears in stereo. Its
	// default is that of codec.EncoderConfig; the rate must be 48 kHz.
	Encoder codec.EncoderConfig
	// NoVideo and NoAudio leave one of them out. Default both are recorded.
	NoVideo, NoAudio bool
	// VideoWait is how long sound is kept for a picture to begin with. If none
	// has come then, or by Close, the file has sound alone, all of it, and a
	// picture that comes later is dropped. Default 10 s.
	VideoWait time.Duration
	// MaxQueued is how many bytes wait for a slow disk at most. Default 8 MiB.
	MaxQueued int
}

// Errors of a Recorder.
var (
	// ErrNothing: nothing came that could be recorded.
	ErrNothing = errors.New("mediafile: nothing was recorded")
	// ErrRecorderClosed: the recorder was closed before.
	ErrRecorderClosed = errors.New("mediafile: recorder is closed")
)

// Dropped counts what was not recorded.
type Dropped struct {
	// Video frames, and Audio: blocks of PCM or packets.
	Video, Audio uint64
}

// A Recorder writes what one hears and sees to a file. It implements
// engine.VideoSink, and WritePCM is a hooks.PCMHook. Its methods may be called
// from any goroutine, also after Close; what is written must come in order.
// None but Close blocks: a goroutine writes the file, and what waits for it is
// bounded, and dropped and counted beyond that; of the picture up to the next
// key frame.
//
// Picture and sound are laid on one clock, that of their arrival here: they are
// in step as they were seen and heard. Each keeps its own times, which are
// smoother, as long as those are within 200 ms of the arrival. The file begins
// with a key frame, and sound before that is left out.
type Recorder struct {
	cfg  Config
	file io.Closer // nil if it is the caller's

	mu      sync.Mutex
	queue   chan *item // sent to with mu held, so that there is room
	free    []*item
	queued  int  // bytes in queue
	needKey bool // what comes refers to a frame that was dropped
	closed  bool
	err     error
	done    chan struct{}

	video, audio atomic.Uint64 // dropped
	length       atomic.Int64  // of the file, in ns
}

type kind uint8

const (
	kindVideo kind = iota
	kindOpus
	kindPCM
)

// item is one thing to write.
type item struct {
	kind  kind
	at    time.Time // of arrival
	frame engine.VideoFrame
	data  []byte
	pcm   []int16
}

// maxItems is how many items wait at most.
const maxItems = 1024

// Create makes a file, replaces what was there, and records to it. Close closes
// it. Errors: those of NewRecorder and of the file.
func Create(path string, cfg Config) (*Recorder, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	r, err := NewRecorder(f, cfg)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r.file = f
	return r, nil
}

// NewRecorder records to w, to which a goroutine writes until Close. If w can
// seek, Close completes the file's header. Errors: codec.ErrConfig, and those
// of Config.Codec.
func NewRecorder(w io.Writer, cfg Config) (*Recorder, error) {
	if cfg.VideoWait == 0 {
		cfg.VideoWait = 10 * time.Second
	}
	if cfg.MaxQueued == 0 {
		cfg.MaxQueued = 8 << 20
	}
	if cfg.Format == IVF {
		cfg.NoAudio = true
	}
	enc, err := cfg.Encoder.WithDefaults()
	switch {
	case err != nil:
		return nil, err
	case cfg.Format > IVF:
		return nil, fmt.Errorf("%w: mediafile: no format %d", codec.ErrConfig, cfg.Format)
	case cfg.NoVideo && cfg.NoAudio:
		return nil, fmt.Errorf("%w: mediafile: neither picture nor sound is to be recorded", codec.ErrConfig)
	case enc.SampleRate != codec.SampleRate:
		return nil, fmt.Errorf("%w: mediafile: Encoder.SampleRate must be 48000", codec.ErrConfig)
	case cfg.VideoWait < 0 || cfg.MaxQueued < 0:
		return nil, fmt.Errorf("%w: mediafile: VideoWait %v, MaxQueued %d: they must not be negative", codec.ErrConfig, cfg.VideoWait, cfg.MaxQueued)
	}
	cfg.Encoder = enc
	r := &Recorder{cfg: cfg, needKey: true, queue: make(chan *item, maxItems), done: make(chan struct{})}
	t := &timeline{r: r, w: w, cfg: cfg}
	if cfg.Codec != nil && !cfg.NoAudio {
		if t.enc, err = cfg.Codec.NewEncoder(enc); err != nil {
			return nil, err
		}
	}
	go r.run(t)
	return r, nil
}

// WriteFrame records a frame.
func (r *Recorder) WriteFrame(f engine.VideoFrame) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cfg.NoVideo || r.needKey && !f.KeyFrame || !r.room(len(f.Data)) {
		r.needKey = true
		r.video.Add(1)
		return
	}
	r.needKey = false
	it := r.item(kindVideo, now)
	it.data = append(it.data, f.Data...)
	it.frame = f
	it.frame.Data = nil
	r.push(it)
}

// WriteOpus records an Opus packet, whose sound has just ended.
func (r *Recorder) WriteOpus(packet []byte) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cfg.NoAudio || !r.room(len(packet)) {
		r.audio.Add(1)
		return
	}
	it := r.item(kindOpus, now)
	it.data = append(it.data, packet...)
	r.push(it)
}

// WritePCM records a block of sound that has just ended: 48 kHz, signed 16-bit,
// interleaved if Config.Encoder is stereo.
func (r *Recorder) WritePCM(pcm []int16) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cfg.NoAudio || r.cfg.Codec == nil || !r.room(2*len(pcm)) {
		r.audio.Add(1)
		return
	}
	it := r.item(kindPCM, now)
	it.pcm = append(it.pcm, pcm...)
	r.push(it)
}

// room reports whether so many bytes may wait. mu is held.
func (r *Recorder) room(n int) bool {
	return !r.closed && r.err == nil && len(r.queue) < cap(r.queue) && (r.queued == 0 || r.queued+n <= r.cfg.MaxQueued)
}

// item is an empty one. mu is held.
func (r *Recorder) item(k kind, at time.Time) *item {
	it := &item{}
	if n := len(r.free); n > 0 {
		it, r.free = r.free[n-1], r.free[:n-1]
	}
	it.kind, it.at, it.data, it.pcm = k, at, it.data[:0], it.pcm[:0]
	return it
}

// push hands it to the writing goroutine. mu is held.
func (r *Recorder) push(it *item) {
	r.queued += len(it.data) + 2*len(it.pcm)
	r.queue <- it
}

// maxFree is how many items are kept for later, and maxFreeBytes how large.
const (
	maxFree      = 64
	maxFreeBytes = 64 << 10
)

// run writes the file until the queue is closed.
func (r *Recorder) run(t *timeline) {
	defer close(r.done)
	var failed error
	for it := range r.queue {
		if failed == nil {
			failed = t.write(it)
		} else {
			t.drop(it.kind)
		}
		r.mu.Lock()
		r.queued -= len(it.data) + 2*len(it.pcm)
		if len(r.free) < maxFree && cap(it.data) <= maxFreeBytes {
			r.free = append(r.free, it)
		}
		r.err = failed
		r.mu.Unlock()
	}
	if failed == nil {
		failed = t.close()
	}
	r.mu.Lock()
	r.err = failed
	r.mu.Unlock()
}

// Dropped returns what was not recorded so far.
func (r *Recorder) Dropped() Dropped { return Dropped{r.video.Load(), r.audio.Load()} }

// Duration of what is in the file so far.
func (r *Recorder) Duration() time.Duration { return time.Duration(r.length.Load()) }

// Err returns what ended the recording before Close, or nil: an error of the
// file, or of the encoder.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Close writes what waits, completes the file, and closes it if Create made it.
// Errors: what ended the recording; ErrNothing if there is nothing in the file;
// ErrRecorderClosed the second time.
func (r *Recorder) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		<-r.done
		return ErrRecorderClosed
	}
	r.closed = true
	close(r.queue)
	r.mu.Unlock()
	<-r.done
	err := r.Err()
	if r.file != nil {
		err = errors.Join(err, r.file.Close())
	}
	return err
}
