package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/engine/callstate"
	"github.com/earshotrtc/earshot/engine/records"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// ServerConfig configures a Server. SignIn, or SDKAppID and Key, must be set.
type ServerConfig struct {
	// Addr is the UDP address to serve QUIC and WebTransport on, as
	// "host:port"; port 0 takes a free one. Default ":4433".
	Addr string
	// Conn is an open socket to serve on instead of Addr; the server closes
	// it. Default none.
	Conn net.PacketConn
	// InProcess serves only clients inside this process (Server.Pipe), and
	// opens no socket. Default false.
	InProcess bool
	// TLS holds the server's certificate. Default: a certificate made at the
	// start, valid for 13 days and renewed while serving, which clients trust
	// by its pin (Server.Pins).
	TLS *tls.Config
	// AllowedOrigins are the origins of pages that may connect, such as
	// "https://example.com"; "*" allows all. Default none.
	AllowedOrigins []string

	// SignIn decides who may sign in. Default: UserSigSignIn(SDKAppID, Key).
	SignIn   hooks.SignInDecider
	SDKAppID uint32
	Key      string

	// SignInTimeout is how long a connection may take to sign in. Default 5 s.
	SignInTimeout time.Duration
	// MaxPending is how many connections that have not signed in there may be,
	// and MaxPendingPerAddr how many from one IP address. From half of
	// MaxPending on, new addresses are validated first (Retry, RFC 9000
	// section 8.1.2). Defaults 1024 and 64.
	MaxPending, MaxPendingPerAddr int
	// SignInsPerSecond is how many sign-ins one IP address may try each
	// second, with bursts of five times as many. Default 20.
	SignInsPerSecond float64
	// MaxUsers is how many devices may be signed in. Default 10000.
	MaxUsers int

	// MultiDevice lets a user be signed in on several devices. Default false: a
	// second sign-in kicks the first (OnKickedOffline).
	MultiDevice bool

	// PrivateMapKeys makes every user show a private-map key for the room of
	// each call that they make or enter (the original's advanced permission
	// control): a UserSig, signed with Key, whose user buffer says what they may
	// do there (usersig.PrivateMap). A call without a room ID is refused then.
	// SDKAppID and Key must be set. Default false.
	PrivateMapKeys bool

	// CallTimeout is how long a call rings. Default 30 s.
	CallTimeout time.Duration
	// MaxCallUsers is how many users one call may have. Default 300.
	MaxCallUsers int
	// ReconnectWindow is for how long after the last packet heard a lost
	// client may come back as if nothing had been. One that closed its
	// connection, as a page does that is closed or loaded again, has 5 s at
	// most. Default 15 s.
	ReconnectWindow time.Duration

	// Mode is how the voices in a room reach those in it, unless SetRoomMode or
	// a client's own wish says otherwise. ModeMix needs a Codec. Default
	// ModeForward.
	Mode hooks.RoomMode
	// Codec decodes talkers and encodes mixes. A server that only forwards needs
	// none. Default none.
	Codec codec.Driver
	// Mix configures how rooms mix.
	Mix MixConfig
	// VolumeInterval is how often plugins are told how loud everybody is
	// (Plugin.Volumes), at least 100 ms. Where a room forwards it is decoded,
	// a packet in five, with Codec (codec/pionopus will do); without one it is
	// what TrustLevels gives. Default 300 ms.
	VolumeInterval time.Duration
	// Voices is how many are heard at a time where a room forwards: the loudest,
	// by the levels that clients put into their packets, with what
	// SetPriorities adds. Default 12.
	Voices int
	// BundleWindow is how long the voices in a room of 8 and more that forwards
	// may wait for one another, so that they leave as one datagram for each
	// receiver, which costs a server much less: 1, 2, 2.5, 4 or 5 ms. Talkers'
	// frames are steered, so that they seldom wait so long. In a world they leave as
	// soon as all have come who sent one a frame before. Negative is not at all (in a
	// world, 1 ms). Default 5 ms.
	BundleWindow time.Duration
	// TrustLevels takes the level that clients put into their packets (RFC 6464)
	// for how loud they are. Default off.
	TrustLevels bool

	// Plugins are asked and told, in this order. Default none.
	Plugins []hooks.Plugin
	// Records keeps what became of calls, for RecentCalls; the host closes it
	// after the server. Default: the newest are kept in memory
	// (records.NewMemory), and no file is written.
	Records records.Store

	// QLog is asked at the beginning of each QUIC connection for where to write its
	// qlog: every packet and what became of it (transport.ListenConfig.QLog says
	// more). nil writes none for this one. Who it is shows only at the sign-in, so a
	// host chooses by the address, which SignInRequest.RemoteAddr tells of a user:
	// their next connection is written down from its first packet. Or its writer
	// keeps what it is given until the sign-in decider has seen that address, and
	// throws away what is not sought. It must return at once; a slow writer holds
	// up its own connection. The server closes the writer with the connection.
	// Default none.
	QLog func(remote net.Addr) io.WriteCloser
	// Logger takes what an operator should know. Its handler may be called
	// with the server's lock held, so it must not call the server. Default none.
	Logger *slog.Logger
}

func (c ServerConfig) withDefaults() (ServerConfig, error) {
	setDefault(&c.Addr, ":4433")
	setDefault(&c.SignInTimeout, 5*time.Second)
	setDefault(&c.MaxPending, 1024)
	setDefault(&c.MaxPendingPerAddr, 64)
	setDefault(&c.SignInsPerSecond, 20)
	setDefault(&c.MaxUsers, 10000)
	setDefault(&c.CallTimeout, 30*time.Second)
	setDefault(&c.ReconnectWindow, 15*time.Second)
	setDefault(&c.MaxCallUsers, 300)
	setDefault(&c.VolumeInterval, defaultVolumeInterval)
	setDefault(&c.Voices, 12)
	setDefault(&c.BundleWindow, 5*time.Millisecond)
	c.VolumeInterval = max(c.VolumeInterval, minVolumeInterval)
	setDefault(&c.Logger, slog.New(slog.DiscardHandler))
	if c.Records == nil {
		c.Records = records.NewMemory(records.MemoryConfig{})
	}
	if c.SignIn == nil && c.Key != "" {
		if c.SDKAppID == 0 {
			return c, fmt.Errorf("%w: Key is set but SDKAppID is 0", ErrNoSignIn)
		}
		c.SignIn = UserSigSignIn(c.SDKAppID, c.Key)
	}
	if c.SignIn == nil {
		return c, ErrNoSignIn
	}
	if !c.Mode.Valid() {
		return c, fmt.Errorf("earshot: Mode %q is neither forward nor mix", c.Mode)
	}
	if w := c.BundleWindow; w > 5*time.Millisecond || w > 0 && (w < time.Millisecond || frameTime%w != 0) {
		return c, fmt.Errorf("earshot: BundleWindow %v is none of 1, 2, 2.5, 4 and 5 ms", w)
	}
	if c.Voices < 0 {
		return c, fmt.Errorf("earshot: Voices %d is negative", c.Voices)
	}
	if c.PrivateMapKeys && (c.Key == "" || c.SDKAppID == 0) {
		return c, errors.New("earshot: PrivateMapKeys needs SDKAppID and Key to check them with")
	}
	return c, nil
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// A Server is the calling server that a program embeds. Its methods may be
// called from any goroutine.
type Server struct {
	cfg  ServerConfig
	log  *slog.Logger
	gate *gate
	pipe *transport.PipeListener
	// clock ticks the rooms that mix, if the server can: mixes.
	clock  *clock
	mixes  bool
	relief relief // the rounds' own
	meters meters // for Snapshot
	// plugins are those of the configuration, with what they are owed.
	plugins []*plugin
	// unkept are records on their way to the store; kept is closed when the
	// last is there.
	unkept chan []records.Record
	kept   chan struct{}

	done    chan struct{} // closed when the server stops accepting
	stopped chan struct{} // closed when everything has ended
	wg      sync.WaitGroup
	tapping sync.WaitGroup // taps' goroutines

	// mu guards all that follows, and all users, calls and rooms. The media
	// path never takes it. Lock order: Server.mu, then device.mu.
	mu       sync.Mutex
	net      *transport.NetListener
	cert     *transport.DevCertificate
	serving  bool
	draining bool
	closed   bool
	conns    map[*conn]struct{}
	devices  map[*device]struct{}
	users    map[string][]*device // by user ID
	byID     map[string]*device
	infos    map[string]hooks.UserInfo // as long as the user is signed in
	tokens   map[token]*device
	calls    map[string]*call
	rooms    map[hooks.RoomID]*call
	busy     map[string]*call // by user ID: dialling, ringing, in a call or a world
	worlds   map[string]*World
	idle     chan struct{} // closed when draining and the last call has ended
	ssrcs    map[uint32]struct{}
	trackID  uint64

	deviceNumber uint64
	mixedBefore  MixStats // of rooms that mix no more
}

// NewServer checks the configuration and makes a server. Nothing runs yet.
// Without a way to tell users apart it returns ErrNoSignIn.
func NewServer(cfg ServerConfig) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:     cfg,
		log:     cfg.Logger,
		pipe:    transport.NewPipeListener(),
		done:    make(chan struct{}),
		stopped: make(chan struct{}),
		conns:   make(map[*conn]struct{}),
		devices: make(map[*device]struct{}),
		users:   make(map[string][]*device),
		byID:    make(map[string]*device),
		infos:   make(map[string]hooks.UserInfo),
		tokens:  make(map[token]*device),
		calls:   make(map[string]*call),
		rooms:   make(map[hooks.RoomID]*call),
		busy:    make(map[string]*call),
		ssrcs:   make(map[uint32]struct{}),
		unkept:  make(chan []records.Record, maxUnkept),
		kept:    make(chan struct{}),
	}
	s.gate = newGate(cfg)
	s.meters.signIn.labels = withHook(context.Background(), "server", hookSignIn)
	s.clock = newClock()
	if err := s.checkMixing(); err != nil {
		return nil, err
	}
	for _, p := range cfg.Plugins {
		s.plugins = append(s.plugins, newPlugin(s, p))
	}
	return s, nil
}

// Listen opens the server's socket, so that Addr and Pins are known before
// Serve. It is for those who need that; Serve calls it by itself.
func (s *Server) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if s.net != nil || s.cfg.InProcess {
		return nil
	}
	tlsConf := s.cfg.TLS
	if tlsConf == nil {
		cert, err := transport.NewDevCertificate(transport.DevCertificateConfig{Hosts: certHosts(s.cfg.Addr)})
		if err != nil {
			return fmt.Errorf("earshot: cannot make a certificate: %w", err)
		}
		s.cert = cert
		tlsConf = &tls.Config{GetCertificate: cert.GetCertificate}
	}
	l, err := transport.Listen(transport.ListenConfig{
		Addr:           s.cfg.Addr,
		Conn:           s.cfg.Conn,
		TLSConfig:      tlsConf,
		AllowedOrigins: s.cfg.AllowedOrigins,
		RequireRetry:   s.gate.requireRetry,
		MaxSessions:    s.cfg.MaxUsers + s.cfg.MaxPending,
		RoQ:            s.cfg.admitsRoQ(),
		// Foreign endpoints cut their video as they like, most to 1200 bytes.
		Session: transport.SessionConfig{DiscoverMTU: s.cfg.admitsRoQ()},
		QLog:    s.cfg.QLog,
		Logger:  s.log,
	})
	if err != nil {
		return err
	}
	s.net = l
	return nil
}

// certHosts are the names a made certificate stands for besides localhost.
func certHosts(addr string) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if host, _, err := net.SplitHostPort(addr); err == nil && host != "" {
		if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// Serve accepts clients until Shutdown or Close, and returns ErrClosed then.
func (s *Server) Serve() error {
	if err := s.Listen(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed || s.serving {
		s.mu.Unlock()
		if s.serving {
			return errors.New("earshot: Serve was called already")
		}
		return ErrClosed
	}
	s.serving = true
	s.wg.Add(2)
	go s.listenFor()
	s.startPlugins()
	go s.runRecords()
	if s.wantsVolumes() {
		s.wg.Add(1)
		go s.runVolumes()
	}
	if s.net != nil {
		s.wg.Add(1)
		go s.accept(s.net)
	}
	s.mu.Unlock()
	s.accept(s.pipe)
	<-s.done
	return ErrClosed
}

func (s *Server) accept(l transport.Listener) {
	defer s.wg.Done()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		sess, err := l.Accept(ctx)
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			sess.Close()
			return
		}
		s.wg.Add(1)
		s.mu.Unlock()
		go func() {
			defer s.wg.Done()
			s.serveSession(sess)
		}()
	}
}

// listenFor rates the connections of those in calls and tells them so, a part
// at a time. That also notes whom the server still hears: a session's LastHeard
// is as good as it is asked for, see lost.
func (s *Server) listenFor() {
	defer s.wg.Done()
	tick := time.NewTicker(qualityEvery / qualitySlices)
	defer tick.Stop()
	r := rounds{srv: s}
	for {
		select {
		case <-s.done:
			return
		case now := <-tick.C:
			s.meters.sample(r.slice)
			r.next(now)
		}
	}
}

// Addr is the address that is served, or nil before Listen and when the server
// is in-process only.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.net == nil {
		return nil
	}
	return s.net.Addr()
}

// Pins are the SHA-256 hashes of the certificates that the server made for
// itself: the one in use and the next. It is empty before Listen, and when
// ServerConfig.TLS is set.
func (s *Server) Pins() [][32]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cert == nil {
		return nil
	}
	return s.cert.Hashes()
}

// Pipe returns the dialer for clients inside this process: set it as
// ClientConfig.Dialer. They sign in like all others. A character of the game's
// own, which is called, speaks and listens, is one; for a sound alone there is
// Play.
func (s *Server) Pipe() transport.Dialer { return s.pipe }

// Shutdown lets calls finish: no new ones start, and when the last has ended,
// or ctx has, everybody is told and the server closes. It returns ctx's error
// if calls had to be ended.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	if s.idle == nil {
		s.idle = make(chan struct{})
		if len(s.calls) == 0 {
			close(s.idle)
		}
	}
	idle := s.idle
	s.mu.Unlock()
	var err error
	select {
	case <-idle:
	case <-s.done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.stop(true)
	return err
}

// Close ends all calls and connections now and returns when every goroutine of
// the server has ended. It is idempotent.
func (s *Server) Close() error {
	s.stop(false)
	return nil
}

// stop ends everything. With words, clients are told and given a moment to hear it.
func (s *Server) stop(words bool) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.stopped
		return
	}
	s.closed = true
	defer close(s.stopped)
	close(s.done)
	for _, c := range s.calls {
		s.apply(c, callstate.End{})
	}
	for _, w := range s.worlds {
		w.close()
	}
	var conns []*conn
	for c := range s.conns {
		conns = append(conns, c)
	}
	for d := range s.devices {
		s.forget(d)
		s.observe(hooks.Event{Kind: hooks.EventSignedOut, UserID: d.userID, Device: d.id, Text: "server"})
	}
	l := s.net
	s.mu.Unlock()

	for _, c := range conns {
		if words {
			c.goodbye(hooks.CodeServerFailed, "the server is shutting down", codeShutdown)
		} else {
			c.out.sess.CloseWithError(codeShutdown, "the server closed")
		}
	}
	if words {
		enough := time.After(time.Second)
		for _, c := range conns {
			select {
			case <-c.out.sess.Done():
			case <-enough:
				c.out.sess.Close()
			}
		}
	}
	if l != nil {
		l.Close()
	}
	s.pipe.Close()
	s.wg.Wait()
	s.closeTaps()
	s.clock.close()
	s.mu.Lock()
	serving := s.serving
	close(s.unkept)
	s.mu.Unlock()
	if serving {
		<-s.kept
	}
	s.closePlugins()
}
