package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// A Source is what is recorded. *engine.Server is one.
type Source interface {
	MayRecord(ctx context.Context, req hooks.RecordRequest) error
	TapPackets(callID, userID string, f func(hooks.TapPacket)) (hooks.Tap, error)
	TapTalker(callID, userID string, f func(hooks.TapSound)) (hooks.Tap, error)
	TapVoices(callID, userID string, f func(hooks.TapSound)) (hooks.Tap, error)
}

// An Encoder makes Opus packets of 20 ms of sound, 48 kHz, with no lookahead
// other than libopus' own. A codec.Encoder is one.
type Encoder interface {
	Encode(pcm []int16, packet []byte) (n int, err error)
}

// Config configures a recording. Source, CallID, and Dir or Create must be set.
type Config struct {
	// Source is the server, and CallID the call, or the world (its ID), that is
	// recorded.
	Source Source
	CallID string
	// Dir is the directory of the files. They are named by call, time and user:
	// call-20060102T150405Z-user.ogg, or .webm, and -all.mix.ogg for all together.
	Dir string
	// Create makes a file of that name instead, which may be anywhere. It is
	// written to in order; if it is an io.Seeker, the length is put into the head
	// of a WebM file at the end. Default: a new file in Dir.
	Create func(name string) (io.WriteCloser, error)
	// NoSpeakers leaves out the Ogg file of each speaker. Default false.
	NoSpeakers bool
	// NoVideo leaves out the WebM files. Default false: one for each user with a
	// camera, their sound in it too, from their first picture on.
	NoVideo bool
	// Encoder, mono, makes the file in which all are heard together, which also
	// needs a decoder on the server (ServerConfig.Codec). Default none, and no such
	// file.
	Encoder Encoder
	// Heard names users of whom it is recorded, too, what they hear: in stereo,
	// everybody whom they hear, from where and as loud as they hear them, but for
	// themselves and those who may not be recorded. They need not be there yet, and
	// are asked themselves when they first hear something. The files are named
	// call-20060102T150405Z-user.heard.ogg. Each takes one of the call's taps, of
	// which there may be 64 (Server.TapVoices), and costs an encode of stereo, and
	// in a world a decode of each talker that the user hears; a call's server must
	// be able to mix, a world's to decode (ServerConfig.Codec). Default nobody.
	Heard []string
	// HeardEncoder makes an encoder for one of Heard: stereo, interleaved; below
	// some 64 kbit/s the sides run together. It is called in Start, once for each,
	// and must be set if there are any. Default none.
	HeardEncoder func() (Encoder, error)
	// OnEvent is told what becomes of the recording, on one goroutine, in order.
	// It may block: it holds nothing up. Beyond 1,024 events that wait they are
	// dropped. Default none.
	OnEvent func(Event)
}

// EventKind says what an event is about.
type EventKind string

// The kinds of events.
const (
	Began   EventKind = "began"   // recording UserID, who has a microphone or camera on, or hears as one of Heard: show it
	Ended   EventKind = "ended"   // recording UserID: by Exclude, Failed, or the recording's end
	Refused EventKind = "refused" // UserID is not recorded; Err is the answer
	Failed  EventKind = "failed"  // Name cannot be written, and nothing more of it is; Err, Code
)

// An Event is something that became of a recording.
type Event struct {
	Kind   EventKind
	Time   time.Time
	CallID string
	// UserID is empty for the file of all, and who hears for one of Heard.
	UserID string
	// Name is that of the file, where it is about one.
	Name string
	// Code is hooks.CodeRecordWrite for Failed.
	Code hooks.Code
	Err  error
}

// ErrConfig is wrapped by the errors of Start that are about the Config.
var ErrConfig = errors.New("record: bad configuration")

// all is how the file of all together is named: a user ID cannot be it.
const all = "all.mix"

const (
	// tickEvery is how often what waits is written.
	tickEvery = 250 * time.Millisecond
	maxEvents = 1024
)

// A Recording goes on until Stop, or the end of its call. Its methods may be
// called from any goroutine.
type Recording struct {
	cfg    Config
	began  time.Time
	ctx    context.Context
	cancel context.CancelFunc
	taps   []hooks.Tap
	events chan Event
	stop   chan struct{}
	done   chan struct{}
	asking sync.WaitGroup

	mu       sync.Mutex // guards what follows, and all files
	speakers map[string]*speaker
	all      *heard             // nil without
	ears     map[string]Encoder // of Heard
	stopped  bool
	files    []string
	errs     []error
}

// Start begins to record a call or a world. Errors: ErrConfig, and those of the
// source's taps: there is no such call, or for Encoder no decoder.
func Start(cfg Config) (*Recording, error) {
	switch {
	case cfg.Source == nil || cfg.CallID == "":
		return nil, fmt.Errorf("%w: Source and CallID must be set", ErrConfig)
	case cfg.Dir == "" && cfg.Create == nil:
		return nil, fmt.Errorf("%w: where to? Dir or Create must be set", ErrConfig)
	case cfg.NoSpeakers && cfg.NoVideo && cfg.Encoder == nil && len(cfg.Heard) == 0:
		return nil, fmt.Errorf("%w: nothing is to be recorded", ErrConfig)
	}
	ears, err := cfg.ears()
	if err != nil {
		return nil, err
	}
	if cfg.Create == nil {
		cfg.Create = func(name string) (io.WriteCloser, error) {
			return os.OpenFile(filepath.Join(cfg.Dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		}
	}
	r := &Recording{
		cfg: cfg, began: time.Now(), events: make(chan Event, maxEvents),
		stop: make(chan struct{}), done: make(chan struct{}), speakers: make(map[string]*speaker), ears: ears,
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if cfg.Encoder != nil {
		r.all = newHeard(r, all, ".ogg", cfg.Encoder, 1)
	}
	if err := r.tap(); err != nil {
		r.closeTaps()
		r.cancel()
		return nil, err
	}
	go r.run()
	return r, nil
}

// tap puts the taps on the call, the one on its packets first.
func (r *Recording) tap() error {
	src, callID := r.cfg.Source, r.cfg.CallID
	add := func(t hooks.Tap, err error) error {
		if err == nil {
			r.taps = append(r.taps, t)
		}
		return err
	}
	if err := add(src.TapPackets(callID, "", r.packet)); err != nil {
		return err
	}
	if r.cfg.Encoder != nil {
		if err := add(src.TapTalker(callID, "", r.sound)); err != nil {
			return err
		}
	}
	for _, user := range r.cfg.Heard {
		if err := add(src.TapVoices(callID, user, func(b hooks.TapSound) { r.hear(user, b) })); err != nil {
			return fmt.Errorf("record: what %.40q hears: %w", user, err)
		}
	}
	return nil
}

func (r *Recording) closeTaps() {
	for _, t := range r.taps {
		t.Close()
		<-t.Done()
	}
}

// run writes what waits, until the end.
func (r *Recording) run() {
	told := make(chan struct{})
	go r.tell(told)
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for over := false; !over; {
		select {
		case now := <-tick.C:
			r.mu.Lock()
			r.tick(now)
			r.mu.Unlock()
		case <-r.taps[0].Done(): // the call has ended
			over = true
		case <-r.stop:
			over = true
		}
	}
	end := time.Now()
	r.cancel()
	r.closeTaps()
	r.asking.Wait()
	r.mu.Lock()
	r.stopped = true
	for _, s := range r.speakers {
		s.end(end)
	}
	if r.all != nil {
		r.all.end(end)
	}
	close(r.events)
	r.mu.Unlock()
	<-told
	close(r.done)
}

// tick writes what waits. mu is held.
func (r *Recording) tick(now time.Time) {
	for _, s := range r.speakers {
		s.tick(now)
	}
	if r.all != nil {
		r.all.tick(now)
	}
}

// Stop ends the recording and completes its files, all to the same length. It
// returns when OnEvent has heard the last of it, so it must not be called there.
// Errors: what could not be written, as told by Failed. More calls return the
// same.
func (r *Recording) Stop() error {
	r.mu.Lock()
	select {
	case <-r.stop:
	default:
		close(r.stop)
	}
	r.mu.Unlock()
	<-r.done
	return r.Err()
}

// Done is closed when the recording has ended, by Stop or with its call, and its
// files are complete.
func (r *Recording) Done() <-chan struct{} { return r.done }

// Err is what could not be written so far, or nil.
func (r *Recording) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.errs...)
}

// Files are the names of the files so far.
func (r *Recording) Files() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.files...)
}

// Dropped is how many packets and blocks did not come to be written, because
// writing was slower than they came.
func (r *Recording) Dropped() (n uint64) {
	for _, t := range r.taps {
		n += t.Dropped()
	}
	return n
}

// packet takes what a user sent. It is the tap's function.
func (r *Recording) packet(p hooks.TapPacket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.speaker(p.UserID); s != nil {
		s.packet(p)
	}
}

// sound takes what a user said, for the file of all.
func (r *Recording) sound(b hooks.TapSound) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.speaker(b.UserID); s != nil && s.state == agreed {
		r.all.add(s, b)
	}
}

// hear takes what one of Heard hears a user say. Both must have agreed.
func (r *Recording) hear(userID string, b hooks.TapSound) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ear, s := r.speaker(userID), r.speaker(b.UserID)
	if ear == nil || s == nil || ear.state != agreed || ear.ended || s.state != agreed || s.ended {
		return
	}
	if ear.heard == nil {
		ear.heard = newHeard(r, userID, ".heard.ogg", r.ears[userID], 2)
	}
	ear.heard.add(s, b)
}

// speaker is that of a user, who is asked if they are new. mu is held.
func (r *Recording) speaker(userID string) *speaker {
	if r.stopped {
		return nil
	}
	s := r.speakers[userID]
	if s == nil {
		s = &speaker{rec: r, user: userID}
		r.speakers[userID] = s
		r.asking.Add(1)
		go r.ask(s)
	}
	return s
}

// event tells the host. mu is held.
func (r *Recording) event(e Event) {
	e.Time, e.CallID = time.Now(), r.cfg.CallID
	select {
	case r.events <- e:
	default:
	}
}

func (r *Recording) tell(told chan struct{}) {
	defer close(told)
	for e := range r.events {
		if r.cfg.OnEvent != nil {
			func() {
				defer func() { recover() }()
				r.cfg.OnEvent(e)
			}()
		}
	}
}
