package load

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
)

const (
	app = 1400000000
	key = "a key for measurements only"
)

// ready is where a server can be reached.
type ready struct {
	Addr string
	Pin  []byte
}

// mark is what a server has used and done so far.
type mark struct {
	CPU     time.Duration
	Peak    int64 // bytes
	Heap    uint64
	Mallocs uint64
	Mix     engine.MixStats
}

func takeMark(mix engine.MixStats) mark {
	var m mark
	m.CPU, m.Peak = Usage()
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	m.Heap, m.Mallocs, m.Mix = ms.HeapAlloc, ms.Mallocs, mix
	return m
}

// startServer starts it.
func startServer(ctx context.Context, cfg Config) (*Process, error) {
	j, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	return StartProcess(ctx, role+"=server", setup+"="+string(j))
}

// serverChild is the server's process: it says where it is, and at each line
// of input what it has used.
func serverChild() error {
	var cfg Config
	if err := json.Unmarshal([]byte(os.Getenv(setup)), &cfg); err != nil {
		return err
	}
	stats := func() engine.MixStats { return engine.MixStats{} }
	var at ready
	if cfg.Bare {
		addr, pin, stop, err := serveBare(cfg)
		if err != nil {
			return err
		}
		defer stop()
		at = ready{addr, pin}
	} else {
		srv, err := engine.NewServer(engine.ServerConfig{
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
		at = ready{srv.Addr().String(), pin[:]}
		stats = srv.MixStats
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(at); err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	profiling := false
	for in.Scan() {
		if cfg.Profile != "" && !profiling {
			f, err := os.Create(cfg.Profile)
			if err != nil {
				return err
			}
			defer f.Close()
			if err := pprof.StartCPUProfile(f); err != nil {
				return err
			}
			defer pprof.StopCPUProfile()
			profiling = true
		}
		if err := out.Encode(takeMark(stats())); err != nil {
			return err
		}
	}
	return nil
}

// sign makes a UserSig.
func sign(user string) (string, error) {
	return usersig.Sign(key, usersig.Claims{SDKAppID: app, UserID: user})
}
