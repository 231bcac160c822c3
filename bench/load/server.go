package load

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"os"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/internal/probe"
)

const (
	app = 1400000000
	key = "a key for measurements only"
)

// ready is where a server can be reached, and what UserSigs for it are made of.
type ready struct {
	Addr  string
	Pin   []byte
	AppID uint32
	Key   string
}

// mark is what a server has used and done so far.
type mark struct {
	CPU     time.Duration
	Peak    int64 // bytes
	Heap    uint64
	Mallocs uint64
	// LockWait is how long goroutines waited for locks, all together.
	LockWait time.Duration
	Mix      engine.MixStats
	Delay    Delays
	// Participants is how many devices the server says are in rooms.
	Participants int
}

func takeMark(mix engine.MixStats) mark {
	var m mark
	m.CPU, m.Peak = Usage()
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	m.Heap, m.Mallocs, m.Mix = ms.HeapAlloc, ms.Mallocs, mix
	wait := []metrics.Sample{{Name: "/sync/mutex/wait/total:seconds"}}
	metrics.Read(wait)
	m.LockWait = time.Duration(wait[0].Value.Float64() * float64(time.Second))
	return m
}

// A measured is the server that is measured.
type measured interface {
	// mark says what it has used and done. known is false if it does not say. A
	// server that Run has started is asked when the window opens and when it closes,
	// and profiles what is between.
	mark() (m mark, known bool, err error)
	close()
}

// open starts the server, or looks for the one that there is.
func open(ctx context.Context, cfg Config) (ready, measured, error) {
	if cfg.Server != nil {
		return openElsewhere(ctx, *cfg.Server)
	}
	j, err := json.Marshal(cfg)
	if err != nil {
		return ready{}, nil, err
	}
	p, err := StartProcess(ctx, role+"=server", setup+"="+string(j))
	if err != nil {
		return ready{}, nil, err
	}
	var at ready
	if err := p.Read(&at); err != nil {
		p.Close()
		return ready{}, nil, err
	}
	return at, ownServer{p}, nil
}

// An ownServer is one that Run has started.
type ownServer struct{ p *Process }

func (o ownServer) mark() (m mark, known bool, err error) {
	err = o.p.Ask("mark", &m)
	return m, true, err
}

func (o ownServer) close() { o.p.Close() }

// serverChild is the server's process: it says where it is, and at each line
// of input what it has used.
func serverChild() error {
	var cfg Config
	if err := json.Unmarshal([]byte(os.Getenv(setup)), &cfg); err != nil {
		return err
	}
	stats := func() engine.MixStats { return engine.MixStats{} }
	participants := func() int { return 0 }
	var at ready
	var meter *delayMeter
	if cfg.InServer {
		meter = newDelayMeter()
	}
	if cfg.Bare {
		addr, pin, stop, err := serveBare(cfg, meter)
		if err != nil {
			return err
		}
		defer stop()
		at = ready{Addr: addr, Pin: pin}
	} else {
		var socket net.PacketConn
		if meter != nil {
			udp, err := listenLoopback()
			if err != nil {
				return err
			}
			watched := &probe.Conn{UDPConn: udp}
			meter.probe(watched)
			socket = watched
		}
		srv, err := engine.NewServer(engine.ServerConfig{
			Conn: socket,
			Addr: "127.0.0.1:0", SDKAppID: app, Key: key, Codec: libopus.Driver{}, Mode: cfg.Mode,
			BundleWindow:     cfg.Window,
			Mix:              engine.MixConfig{FrameDuration: cfg.Frame, FramesPerPacket: cfg.FramesPerPacket},
			SignInsPerSecond: 1e6, MaxPendingPerAddr: 1e6, MaxPending: 1e6, MaxCallUsers: 5000,
		})
		if err != nil {
			return err
		}
		if err := srv.Listen(); err != nil {
			return err
		}
		done := make(chan struct{})
		go func() { srv.Serve(); close(done) }()
		defer func() { srv.Close(); <-done }()
		pin := srv.Pins()[0]
		at = ready{srv.Addr().String(), pin[:], app, key}
		stats = srv.MixStats
		participants = func() int { return srv.Snapshot().Participants }
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(at); err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	var p profiles
	for in.Scan() {
		if err := p.next(cfg); err != nil {
			return err
		}
		m := takeMark(stats())
		m.Participants = participants() // of no measured moment: the window is not open, or closed
		if meter != nil {
			m.Delay = meter.delays()
			meter.reset()
		}
		if err := out.Encode(m); err != nil {
			return err
		}
	}
	return nil
}
