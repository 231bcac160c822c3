package engine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/engine/callstate"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer/jitter"
	"github.com/earshotrtc/earshot/transport"
)

// ClientConfig configures a Client. Addr (or Dialer), UserID and UserSig must
// be set.
type ClientConfig struct {
	// Addr is the server's address, "host:port". Default "localhost:4433".
	Addr string
	// Pin is the SHA-256 hash of the server's certificate, in hex or base64, or
	// several with commas between them: all of Server.Pins, for a client that
	// outlives a certificate that the server made for itself. With it, those
	// certificates and no others are trusted. Default none.
	Pin string
	// RootCAs are trusted for the server's certificate. Default the system's.
	RootCAs *x509.CertPool
	// Dialer opens connections; Pin and RootCAs are its own matter then.
	// Server.Pipe gives one for clients in the same process. Default QUIC.
	Dialer transport.Dialer

	// SDKAppID, UserID and UserSig are shown at sign-in.
	SDKAppID uint32
	UserID   string
	UserSig  string
	// Agent names the program, for the server's log. Default "earshot-go".
	Agent string

	// Codec encodes the microphone and decodes what is heard. Default none:
	// the microphone must be Opus then, and nothing is heard.
	Codec codec.Driver
	// Microphone or OpusMicrophone is sent in a call; at most one of them.
	// Default none: the client only hears.
	Microphone     PCMSource
	OpusMicrophone OpusSource
	// MicrophoneRate is the sampling rate of Microphone, 8000 to 48000 Hz: it is
	// read at that rate, and resampled. Default 48000 Hz.
	MicrophoneRate int
	// Encoder configures the encoding of Microphone. Its default is that of
	// codec.EncoderConfig, at 48 kHz mono.
	Encoder codec.EncoderConfig

	// Receive is how the others' voices are to reach the client: ModeMix suits
	// one that can take in and decode but little. Default: as the room has it. In
	// a world they are always forwarded, at most WorldConfig.Voices of them.
	Receive hooks.RoomMode
	// Stereo makes ReadPCM give interleaved stereo, for mixes in which users
	// are heard from where they are (Server.SetPoses). Default off: mono.
	Stereo bool

	// Captured sees, and may change, the microphone before it is encoded, and
	// Remote is asked once for each talker for a hook on what they say; nil
	// hooks see nothing. Defaults none.
	Captured hooks.PCMHook
	Remote   func(userID string) hooks.PCMHook

	// Listener is told what happens. Default none; see SetCallingListener.
	Listener hooks.Listener
	// View shows calls to the person, unless ViewRoute or
	// EnableCustomViewRoute says otherwise. Default none.
	View hooks.View
	// ViewRoute decides which view shows a call. Default: View shows all.
	ViewRoute hooks.ViewRoute
	// Logger takes what a developer should know. Default none.
	Logger *slog.Logger
}

func (c ClientConfig) withDefaults() (ClientConfig, error) {
	setDefault(&c.Addr, "localhost:4433")
	setDefault(&c.Agent, "earshot-go")
	setDefault(&c.MicrophoneRate, codec.SampleRate)
	setDefault(&c.Logger, slog.New(slog.DiscardHandler))
	if err := signal.CheckUserID(c.UserID); err != nil {
		return c, &Error{Code: hooks.CodeUserID, Message: err.Error()}
	}
	if c.UserSig == "" {
		return c, &Error{Code: hooks.CodeUserSig, Message: "UserSig is empty; make one with usersig.Sign or `earshot sign`"}
	}
	if c.Microphone != nil && c.OpusMicrophone != nil {
		return c, &Error{Code: hooks.CodeBadParam, Message: "Microphone and OpusMicrophone are both set"}
	}
	if c.Microphone != nil && c.Codec == nil {
		return c, ErrNoCodec
	}
	if _, err := resampled(nil, c.MicrophoneRate); err != nil {
		return c, &Error{Code: hooks.CodeBadParam, Message: "MicrophoneRate: " + err.Error()}
	}
	if !c.Receive.Valid() {
		return c, &Error{Code: hooks.CodeBadParam, Message: fmt.Sprintf("Receive %.20q is neither forward nor mix", string(c.Receive))}
	}
	enc, err := c.Encoder.WithDefaults()
	if err != nil {
		return c, err
	}
	if enc.SampleRate != codec.SampleRate {
		return c, &Error{Code: hooks.CodeBadParam, Message: "Encoder.SampleRate must be 48000: sources are read at the engine's rate"}
	}
	c.Encoder = enc
	if c.Dialer == nil {
		d := &transport.QUICDialer{Logger: c.Logger}
		if c.Pin != "" {
			if d.Pin, err = transport.ParsePin(c.Pin); err != nil {
				return c, err
			}
		}
		if c.RootCAs != nil {
			d.TLSConfig = &tls.Config{RootCAs: c.RootCAs}
		}
		c.Dialer = d
	}
	return c, nil
}

// A Client is one signed-in device of a user. Its methods may be called from
// any goroutine, also from callbacks.
type Client struct {
	cfg ClientConfig
	log *slog.Logger
	cb  *callbacks

	ctx    context.Context // ends with the client
	cancel context.CancelFunc
	wg     sync.WaitGroup // every goroutine but the callbacks'
	done   chan struct{}

	// link is the connection in use, for the media path.
	link atomic.Pointer[link]
	// audioSent counts the microphone's packets in this call.
	audioSent atomic.Uint64
	// target is the camera's bit rate, 0 without one.
	target atomic.Int64

	mu       sync.Mutex
	err      error // why it ended
	leaving  bool
	nextID   uint64
	pending  []*request // not yet answered, in order of their IDs
	lastN    uint64     // last event seen
	acked    uint64     // last event acknowledged
	token    string
	window   time.Duration
	seat     callstate.Seat     // the call that rings here or that it is in
	begunAt  time.Time          // when talking began in it
	leave    context.CancelFunc // ends what runs for as long as it is in it
	asked    time.Time          // when it last asked to call, accept or join
	dialled  []string           // and whom it called
	mic      *micTrack
	micMuted bool
	mapKey   string         // see SetPrivateMapKey
	receive  hooks.RoomMode // see SetReceiveMode
	camera   *cameraTrack
	opening  bool                     // OpenCamera is at work
	remote   map[uint64]*signal.Track // the others' tracks
	interval time.Duration            // of volume callbacks; 0 is off
	// qualities are those of everyone's connection in this call, and
	// qualityTimer tells the listener again.
	qualities    map[string]hooks.Quality
	qualityTimer *time.Timer

	play  playout
	video remoteVideos
}

// request is a request that waits for its result.
type request struct {
	id    uint64
	frame []byte
	res   chan signal.Result // buffered
}

// Dial connects, signs in and returns a client. Errors: an *Error with the
// original's code when the server refuses (a UserSig that is malformed is
// -3320, one that does not hold -100018), transport.ErrPin, and what dialling
// gives (ctx's end included).
func Dial(ctx context.Context, cfg ClientConfig) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	sess, err := cfg.Dialer.Dial(ctx, cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("earshot: cannot reach %s: %w", cfg.Addr, err)
	}
	l := newLink(sess)
	w, err := l.open(ctx, signal.TypeSignIn, signal.SignIn{
		Version: signal.Version, SDKAppID: cfg.SDKAppID, UserID: cfg.UserID, UserSig: cfg.UserSig, Agent: cfg.Agent,
		Bundles: true,
	})
	if err != nil {
		return nil, err
	}
	c := &Client{
		cfg: cfg, log: cfg.Logger,
		done:     make(chan struct{}),
		token:    w.Token,
		window:   time.Duration(w.WindowMS) * time.Millisecond,
		interval: defaultVolumeInterval,
	}
	c.play.init(cfg, func(userID string, err error) {
		c.log.Error("cannot play a track", "user", userID, "err", err)
		c.cb.post(func(l hooks.Listener) { l.OnError(hooks.CodeFailed, "cannot play "+userID+": "+err.Error()) })
	})
	c.receive = cfg.Receive
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.cb = newCallbacks(c.log, routing{standard: cfg.View, route: cfg.ViewRoute}, func() {
		c.signOut()
		c.end(ErrSlowListener)
	})
	if cfg.Listener != nil {
		c.cb.add(cfg.Listener)
	}
	c.link.Store(l)
	c.listenRTCP(l.sess)
	c.wg.Add(1)
	go c.run(l)
	return c, nil
}

// UserID is the user that the client is signed in as.
func (c *Client) UserID() string { return c.cfg.UserID }

// SetCallingListener adds a listener. One that is set twice is told once.
func (c *Client) SetCallingListener(l hooks.Listener) { c.cb.add(l) }

// RemoveCallingListener removes a listener; a callback in progress goes on.
func (c *Client) RemoveCallingListener(l hooks.Listener) { c.cb.remove(l) }

// Done is closed when the client has ended and its last callback has returned.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is nil while the client lives, and says then why it ended: ErrClosed
// after Destroy, ErrKicked, ErrDisconnected, or what the server said.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Destroy hangs up, signs out and ends the client. It returns when every
// goroutine of the client has ended, except one that is in a callback at the
// time; Done is closed when that has returned, too. It is idempotent.
func (c *Client) Destroy() error {
	c.signOut()
	c.end(ErrClosed)
	c.wg.Wait()
	c.cb.close()
	return nil
}

// signOut tells the server that the client is leaving, so that the others need
// not wait for it to come back. It waits a second at most for the answer.
func (c *Client) signOut() {
	c.mu.Lock()
	first := c.err == nil && !c.leaving
	c.leaving = true
	c.mu.Unlock()
	if first {
		ctx, cancel := context.WithTimeout(c.ctx, time.Second)
		c.request(ctx, signal.TypeSignOut, nil)
		cancel()
	}
}

// end ends the client for a reason; the first one stands.
func (c *Client) end(why error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = why
	pending := c.pending
	c.pending = nil
	c.seat = callstate.Seat{}
	c.mu.Unlock()
	for _, r := range pending {
		close(r.res)
	}
	c.cancel()
	go func() {
		c.wg.Wait()
		c.cb.close()
		<-c.cb.done
		close(c.done)
	}()
}

// request sends a request and waits for its result. It is sent again by itself
// when the connection is lost and resumed.
func (c *Client) request(ctx context.Context, typ signal.Type, body any) (signal.Result, error) {
	if err := ctx.Err(); err != nil {
		return signal.Result{}, err
	}
	c.mu.Lock()
	if c.err != nil {
		err := c.err
		c.mu.Unlock()
		return signal.Result{}, err
	}
	r := &request{id: c.nextID + 1, res: make(chan signal.Result, 1)}
	frame, err := signal.Encode(signal.Message{Type: typ, ID: r.id, Ack: c.lastN}, body)
	if err != nil {
		c.mu.Unlock()
		return signal.Result{}, &Error{Code: hooks.CodeBadParam, Message: err.Error()}
	}
	r.frame = frame
	c.nextID, c.acked = r.id, c.lastN
	c.pending = append(c.pending, r)
	c.link.Load().out.enqueue(frame)
	c.mu.Unlock()

	select {
	case res, ok := <-r.res:
		if !ok {
			return res, c.Err()
		}
		if res.Code != hooks.CodeOK {
			return res, &Error{Code: res.Code, Message: res.Message}
		}
		return res, nil
	case <-ctx.Done():
		return signal.Result{}, ctx.Err()
	}
}

// ClientStats is a snapshot of a client's media.
type ClientStats struct {
	// Session is the connection in use; its counters start anew with each.
	Session transport.Stats
	// AudioSent is how many audio packets were handed to the connection in
	// this call or, after it, in the last.
	AudioSent uint64
	// Tracks are what is being heard.
	Tracks []TrackStats
	// SlowCallbacks are those of the listeners that took longer than 2 s, and
	// CallbackPanics those that panicked, since the client signed in.
	SlowCallbacks, CallbackPanics uint64
}

// TrackStats is a snapshot of one remote track.
type TrackStats struct {
	UserID string
	// Mix: it is everybody else, mixed by the server; there is no UserID.
	Mix bool
	// Refused packets were not of the track: another SSRC or payload type.
	Refused uint64
	// Jitter is what the jitter buffer counts.
	Jitter jitter.Stats
}

// Stats returns a snapshot.
func (c *Client) Stats() ClientStats {
	s := ClientStats{Session: c.link.Load().sess.Stats(), AudioSent: c.audioSent.Load()}
	s.SlowCallbacks, s.CallbackPanics = c.cb.slow.Load(), c.cb.panics.Load()
	for _, t := range *c.play.list.Load() {
		ts := TrackStats{UserID: t.userID, Mix: t.mix, Refused: t.refused.Load()}
		if buf := t.buf.Load(); buf != nil {
			ts.Jitter = buf.Stats()
		}
		s.Tracks = append(s.Tracks, ts)
	}
	return s
}
