package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
)

// PlayConfig says what a server plays, and to whom. CallID and one of Opus, PCM
// and Pull must be set.
type PlayConfig struct {
	// CallID is the call, or the world (World.ID), in which it is heard.
	CallID string
	// UserID is who it is shown as: in OnUserAudioAvailable, in volumes, and to
	// SetHearing, SetPriorities, SetPoses and SetRemoteAudioVolume, and in a world
	// to Move and all that is set for players there, which know it while it plays.
	// It must not be that of a user in the call or world, nor of another sound. It
	// is no member: the call's end does not wait for it. Default "sound".
	UserID string

	// Opus gives ready packets, which are passed on as they are, so the server
	// needs no codec: a file opened by mediafile.OpenAudio, for one.
	Opus OpusSource
	// PCM gives sound at its own pace: 48 kHz, mono, 20 ms at a time. It needs
	// ServerConfig.Codec.
	PCM PCMSource
	// Pull is called every 20 ms to fill 960 samples, 48 kHz, mono, at the
	// server's pace. It must not block for long; io.EOF ends the sound, without
	// what is in pcm then. It needs ServerConfig.Codec.
	Pull func(pcm []int16) error

	// To are the users who hear it; the others are not even told of it. It holds
	// for those, too, who come later. Default: everybody.
	To []string
	// Volume is how loud it is, 1 to 150; SetVolume changes it. It needs PCM or
	// Pull. Default 100, as it is.
	Volume int
	// Encoder configures the encoding of PCM and Pull; its rate, channels and
	// frame are as above. Default: that of codec.EncoderConfig.
	Encoder codec.EncoderConfig

	// What follows is for worlds alone.

	// At is where it is, in metres: those hear it who would hear a player talk
	// there, as loud and from the side that it is at. World.Move moves it. Default:
	// it is nowhere, and heard everywhere.
	At *mixer.Vector
	// On is the player on whom it is instead: it goes where they go, and ends when
	// they leave the world. World.Move takes it off them. Default: nobody.
	On string
	// Range is from how far it is heard, in metres; it needs At or On. Default
	// WorldConfig.Range.
	Range float32
	// Category is what kind of sound it is, for volumes. Default
	// audience.Players.
	Category audience.Category
	// Priority makes it heard rather than players, and those of lower priority
	// quieter while it plays: 0 to 10. Default 0.
	Priority int
}

const (
	// maxSounds is how many sounds a call may have at a time.
	maxSounds = 64
	// soundPriority is by how much sounds of the server's are preferred where a
	// room has more voices than are heard, in dB: see SetPriorities.
	soundPriority = 40.0
	// soundTail is for how long a sound that has ended is still known, so that
	// its last packets are played.
	soundTail = 300 * time.Millisecond
)

// A Sound is what a server plays into a call or a world. Its methods may be called
// from any goroutine.
//
// To the room it is one more participant's track: forwarded, mixed, selected,
// seen by plugins (Packet, Processor) and tapped like all others. To a world it is
// one more player who talks: one of those of whom a player hears WorldConfig.Voices,
// muted, blocked, and made louder or quieter by what is said of its UserID or
// Category.
type Sound struct {
	srv    *Server
	cfg    PlayConfig
	device *device // nobody's: it has no connection
	track  *track
	member *member // in a world
	volume atomic.Int32

	cancel context.CancelFunc
	done   chan struct{}
	err    error // readable once done is closed
}

// Play plays a sound into a call or a world, until its source ends, Stop, the end
// of the call, world or server, or ctx's end; in a world also World.Leave. Sources
// are read by one goroutine of the server's; what they return other than io.EOF, and
// their panics, are Sound.Err. Errors: ErrNoCodec if PCM is to be encoded and
// ServerConfig.Codec cannot; ErrClosed; and an *Error that says why for all else: no
// such call, a bad or taken user ID, more than 64 sounds in the call or 1,024 in the
// world, nothing to play, no place, nobody to be on.
func (s *Server) Play(ctx context.Context, cfg PlayConfig) (*Sound, error) {
	if cfg.UserID == "" {
		cfg.UserID = "sound"
	}
	src, err := s.checkPlay(&cfg)
	if err != nil {
		return nil, err
	}
	p := &Sound{srv: s, cfg: cfg, done: make(chan struct{})}
	p.volume.Store(int32(cfg.Volume))
	info := hooks.TrackInfo{CallID: cfg.CallID, UserID: cfg.UserID}
	bound, processors := s.bindPacketHooks(info), s.bindProcessors(info)

	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.mayPlay(&cfg)
	if err != nil {
		return nil, err
	}
	d := s.newDevice(cfg.UserID)
	s.deviceNumber++
	d.number = s.deviceNumber
	s.trackID++
	t := &track{
		id: s.trackID, owner: d, call: c, kind: signal.KindAudio, hooks: bound, processors: processors,
		metered: s.wantsVolumes(), ssrc: s.newSSRC(), pt: audioPayloadType,
		class: classAudio, lifetime: audioLifetime,
	}
	if cfg.To != nil {
		t.audience = make(map[string]bool, len(cfg.To))
		for _, u := range cfg.To {
			t.audience[u] = true
		}
	}
	d.published = append(d.published, t)
	s.meters.addTrack(t)
	p.device, p.track = d, t
	ctx, p.cancel = context.WithCancel(ctx)
	if c.world != nil {
		c.world.play(p)
	} else {
		c.room.play(p)
	}
	s.wg.Add(1)
	go p.run(ctx, src)
	return p, nil
}

// play puts a sound into the room. Server.mu is held.
func (r *room) play(p *Sound) {
	user := p.cfg.UserID
	if _, known := r.priorities[user]; !known {
		if r.priorities == nil {
			r.priorities = make(map[string]float64)
		}
		r.priorities[user] = soundPriority
	}
	r.add(p.track)
	r.sounds = append(r.sounds, p)
}

// checkPlay checks what needs no lock, fills in defaults, and makes the source.
func (s *Server) checkPlay(cfg *PlayConfig) (soundSource, error) {
	if cfg.Volume == 0 {
		cfg.Volume = 100
	}
	bad := func(format string, args ...any) error {
		return &Error{Code: hooks.CodeBadParam, Message: fmt.Sprintf(format, args...)}
	}
	n := 0
	for _, set := range []bool{cfg.Opus != nil, cfg.PCM != nil, cfg.Pull != nil} {
		if set {
			n++
		}
	}
	if n != 1 {
		return nil, bad("one of Opus, PCM and Pull must be set, and %d are", n)
	}
	for _, u := range append([]string{cfg.UserID}, cfg.To...) {
		if err := signal.CheckUserID(u); err != nil {
			return nil, bad("%v", err)
		}
	}
	if err := errors.Join(checkVolume(cfg.Volume), cfg.checkPlace()); err != nil {
		return nil, err
	}
	if cfg.Opus != nil {
		if cfg.Volume != 100 {
			return nil, bad("Volume needs PCM or Pull: Opus packets are passed on as they are")
		}
		return opusFrames{cfg.Opus}, nil
	}
	if s.cfg.Codec == nil {
		return nil, fmt.Errorf("%w: PCM is to be encoded; ready packets (PlayConfig.Opus) need none", ErrNoCodec)
	}
	enc, err := cfg.Encoder.WithDefaults()
	if err != nil {
		return nil, bad("%v", err)
	}
	if enc.SampleRate != codec.SampleRate || enc.Channels != 1 || enc.FrameDuration != frameTime {
		return nil, bad("Encoder: the rate is 48 kHz, one channel, and frames are of 20 ms")
	}
	e, err := s.cfg.Codec.NewEncoder(enc)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoCodec, err)
	}
	src := cfg.PCM
	if src == nil {
		src = &pulled{pull: cfg.Pull}
	}
	return &pcmFrames{src: src, enc: e, pcm: make([]int16, enc.FrameSamples())}, nil
}

func checkVolume(volume int) error {
	if volume < 1 || volume > 150 {
		return &Error{Code: hooks.CodeBadParam, Message: fmt.Sprintf("volume %d is not within 1 to 150", volume)}
	}
	return nil
}

// mayPlay finds the call that a sound is for. Server.mu is held.
func (s *Server) mayPlay(cfg *PlayConfig) (*call, error) {
	if s.closed {
		return nil, ErrClosed
	}
	if w := s.worlds[cfg.CallID]; w != nil {
		return w.call, w.mayPlay(cfg)
	}
	c := s.calls[cfg.CallID]
	switch {
	case c == nil:
		return nil, refuse(hooks.CodeBadParam, "there is no call or world %.40q", cfg.CallID)
	case cfg.At != nil || cfg.On != "" || cfg.Range != 0 || cfg.Category != 0 || cfg.Priority != 0:
		return nil, refuse(hooks.CodeBadParam, "At, On, Range, Category and Priority are for worlds: see SetPoses and SetPriorities")
	case c.state.Member(cfg.UserID) != nil:
		return nil, refuse(hooks.CodeBadParam, "%s is a user in the call", cfg.UserID)
	case c.room.sound(cfg.UserID) != nil:
		return nil, refuse(hooks.CodeRefused, "%s plays already", cfg.UserID)
	case len(c.room.sounds) >= maxSounds:
		return nil, refuse(hooks.CodeRefused, "more than %d sounds", maxSounds)
	}
	return c, nil
}

// sound is that of a user ID, or nil.
func (r *room) sound(userID string) *Sound {
	if i := slices.IndexFunc(r.sounds, func(p *Sound) bool { return p.cfg.UserID == userID }); i >= 0 {
		return r.sounds[i]
	}
	return nil
}

// endSounds is the end of the room's call. Server.mu is held.
func (r *room) endSounds() {
	for _, p := range r.sounds {
		p.cancel()
	}
}

// UserID is who the sound is shown as.
func (p *Sound) UserID() string { return p.cfg.UserID }

// Stop ends the sound. It does not wait: see Done.
func (p *Sound) Stop() { p.cancel() }

// Done is closed when the sound has ended, and its last packet was played.
func (p *Sound) Done() <-chan struct{} { return p.done }

// Err says what went wrong with the source. It is nil before Done, and if the
// source ended (io.EOF), or the sound was stopped.
func (p *Sound) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// SetVolume makes the sound louder or quieter, 1 to 150, gliding over 20 ms.
// Errors: an *Error if the volume is another, or the sound is ready packets.
func (p *Sound) SetVolume(volume int) error {
	if err := checkVolume(volume); err != nil {
		return err
	}
	if p.cfg.Opus != nil {
		return &Error{Code: hooks.CodeBadParam, Message: "Opus packets are passed on as they are"}
	}
	p.volume.Store(int32(volume))
	return nil
}

// run sends the sound until it ends.
func (p *Sound) run(ctx context.Context, src soundSource) {
	s := p.srv
	defer s.wg.Done()
	defer close(p.done)
	defer p.cancel()
	err := p.send(ctx, src)
	if ctx.Err() == nil {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		p.err = err
		tail := time.NewTimer(soundTail)
		defer tail.Stop()
		select {
		case <-tail.C:
		case <-ctx.Done():
		case <-s.done:
		}
	}
	if p.err != nil {
		s.log.Warn("a sound failed", "call", p.cfg.CallID, "user", p.cfg.UserID, "err", p.err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.member != nil {
		p.member.w.silence(p)
		return
	}
	r := p.track.call.room
	r.sounds = without(r.sounds, p)
	r.drop(p.track)
	r.reroute()
}
