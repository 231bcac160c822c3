package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// A Result is what a load did and cost.
type Result struct {
	Config Config
	// Admitted is how many people were in their rooms from the window's begin to its
	// end: those whom the server counted at its begin, if it says (a bare loop does
	// not, nor does one elsewhere without Server.Metrics), without those whose
	// connections ended. Due is how many should have heard somebody, and Hearing
	// how many did.
	Admitted, Due, Hearing int
	// Window is how long was measured.
	Window time.Duration
	// CPU is the server's, user and system, in the window, 0 where it is not known;
	// Peak its largest resident memory so far, in bytes, or what it has now if it
	// runs elsewhere; Mallocs are its allocations.
	CPU     time.Duration
	Peak    int64
	Mallocs uint64
	// LockWait is how long the server's goroutines waited for locks in the window,
	// all together.
	LockWait time.Duration
	// Packets were delivered, with Frames frames in them; Lost never came.
	Packets, Frames, Lost int64
	// Least and Most are the frames a second, as a share of those due, that the
	// worst and the best served of those got who should hear somebody.
	Least, Most float64
	Mix         engine.MixStats
	// Calibration is this machine's, and the zero value if the server runs on
	// another.
	Calibration Calibration
	// Delay is how long packets took from just before a talker's Send to a
	// receiver's handler, and Added from ReceiveDatagram's return in the server
	// to SendDatagram's. Only with Config.Delays, and Config.InServer.
	Delay, Added Delays
}

// EncodeTimes is the server's cost in encode-times a second, and XUDP per
// packet delivered.
func (r Result) EncodeTimes() float64 {
	return r.CPU.Seconds() / r.Window.Seconds() / r.Calibration.Encode.Seconds()
}

func (r Result) XUDP() float64 {
	return r.CPU.Seconds() / float64(r.Packets) / r.Calibration.SendRecv.Seconds()
}

// PerCore is how many participants one core serves, if the server's cost were in
// proportion: those there were for each core that it used.
func (r Result) PerCore() float64 {
	return float64(r.Admitted) / (r.CPU.Seconds() / r.Window.Seconds())
}

// Refused says why the result must not be reported: somebody was not admitted, or
// heard nothing who should have.
func (r Result) Refused() error {
	if want := r.Config.Rooms * r.Config.Users; r.Admitted != want {
		return fmt.Errorf("load: %d of %d were admitted", r.Admitted, want)
	}
	if r.Hearing != r.Due {
		return fmt.Errorf("load: %d of %d heard somebody", r.Hearing, r.Due)
	}
	return nil
}

// LateTicks is the share of ticks whose packets left more than 10 ms late.
func (r Result) LateTicks() float64 {
	if r.Mix.Ticks == 0 {
		return 0
	}
	return float64(r.Mix.Late+r.Mix.Skipped) / float64(r.Mix.Ticks+r.Mix.Skipped)
}

const (
	// setUpTime is how long getting everybody into the rooms may take, and
	// settleTime how long they talk before anything is measured.
	setUpTime  = 3 * time.Minute
	settleTime = 3 * time.Second
)

// Run measures one load. It ends by itself, or with ctx.
func Run(ctx context.Context, cfg Config) (r Result, err error) {
	cfg, err = cfg.WithDefaults()
	if err != nil {
		return r, err
	}
	r.Config = cfg
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() {
		if err != nil && ctx.Err() != nil { // then that is why
			err = ctx.Err()
		}
	}()
	at, server, err := open(ctx, cfg)
	if err != nil {
		return r, err
	}
	defer server.close()
	calibrator, err := StartCalibrator(ctx)
	if err != nil {
		return r, err
	}
	defer calibrator.Close()
	voices, err := record(cfg.Frame)
	if err != nil {
		return r, err
	}
	people := make([]*person, cfg.Rooms*cfg.Users)
	defer func() {
		each(context.Background(), len(people), func(_ context.Context, i int) error {
			if people[i] != nil {
				people[i].close()
			}
			return nil
		})
	}()
	var others mark // who are there already
	if cfg.Server != nil {
		if others, _, err = server.mark(); err != nil {
			return r, err
		}
	}
	setup, stop := context.WithTimeout(ctx, setUpTime)
	defer stop()
	var meter *delayMeter
	if cfg.Delays {
		meter = newDelayMeter()
	}
	var unruly bad
	defer unruly.close()
	if err := arrive(setup, cfg, at, people, meter, &unruly); err != nil {
		return r, err
	}
	talkers, callID, err := enter(setup, cfg, people, voices)
	if err != nil {
		return r, err
	}

	talking, hush := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		speak := func(i int) time.Duration { return talkers[i].speak(cfg.Frame, !cfg.Unsteered) }
		if cfg.Phases == 0 {
			Talk(talking, len(talkers), cfg.Frame, speak)
			return
		}
		talkAt(talking, randomPhases(len(talkers), cfg.Frame, cfg.Phases), cfg.Frame, speak)
	})
	defer func() { hush(); wg.Wait() }()
	if cfg.Aside > 0 {
		if err := film(talking, people[0], callID, people[cfg.Talkers:cfg.Talkers+cfg.Aside]); err != nil {
			return r, err
		}
	}
	if err := people[0].wait(ctx, settleTime); err != nil {
		return r, err
	}
	if cfg.Bad {
		if err := unruly.begin(talking, people[cfg.Talkers+badFlood]); err != nil {
			return r, err
		}
	}
	before, known, err := server.mark()
	if err != nil {
		return r, err
	}
	if meter != nil {
		meter.reset()
	}
	if r.Admitted = len(people); known && !cfg.Bare {
		r.Admitted = before.Participants - others.Participants
	}
	counts := count(people)
	began := time.Now()
	// A calibration a little shorter than the window falls whole into it.
	var calibration Calibration
	calibrated := make(chan error, 1)
	go func() {
		var err error
		calibration, err = calibrator.Measure(cfg.Duration - 300*time.Millisecond)
		calibrated <- err
	}()
	if err := people[0].wait(ctx, cfg.Duration); err != nil {
		return r, err
	}
	after, _, err := server.mark()
	if err != nil {
		return r, err
	}
	r.Window = time.Since(began)
	done := count(people)
	r.Admitted -= r.Config.gone(people)
	if meter != nil {
		r.Delay, r.Added = meter.delays(), after.Delay
	}
	if err := <-calibrated; err != nil {
		return r, err
	}
	if cfg.Server == nil || onLoopback(at.Addr) {
		r.Calibration = calibration
	}
	r.CPU, r.Peak, r.Mallocs = after.CPU-before.CPU, after.Peak, after.Mallocs-before.Mallocs
	r.LockWait = after.LockWait - before.LockWait
	r.Mix = after.Mix.Since(before.Mix)
	r.tally(counts, done)
	return r, nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait waits for d, and no longer than the person's connection lasts.
func (p *person) wait(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-p.gone():
			cancel(fmt.Errorf("load: the server is gone: %w", p.why()))
		case <-ctx.Done():
		}
	}()
	if err := wait(ctx, d); err != nil {
		return context.Cause(ctx)
	}
	return nil
}

// gone counts those whose connections have ended, of those that are not aside.
func (c Config) gone(people []*person) (n int) {
	for i, p := range people {
		if !c.aside(i) && p.isGone() {
			n++
		}
	}
	return n
}

type counted struct{ packets, frames, lost int64 }

func count(people []*person) []counted {
	out := make([]counted, len(people))
	for i, p := range people {
		out[i] = counted{p.packets.Load(), p.frames.Load(), p.lost.Load()}
	}
	return out
}

// tally adds up what everybody got.
func (r *Result) tally(before, after []counted) {
	r.Least, r.Most = 1e9, 0
	for i := range after {
		if r.Config.aside(i) {
			continue
		}
		r.Packets += after[i].packets - before[i].packets
		frames := after[i].frames - before[i].frames
		r.Frames += frames
		r.Lost += after[i].lost - before[i].lost
		due := r.Config.hears(i/r.Config.Users, i%r.Config.Users) * r.Window.Seconds()
		if r.Config.Bare && i%r.Config.Users >= r.Config.Talkers {
			due /= float64(r.Config.FramesPerPacket)
		}
		if due == 0 {
			continue
		}
		r.Due++
		share := float64(frames) / due
		r.Least, r.Most = min(r.Least, share), max(r.Most, share)
		if frames > 0 {
			r.Hearing++
		}
	}
}

// newNames is what users' names begin with: nobody else's, and not those of
// another load.
func newNames() string { return fmt.Sprintf("load-%08x-", rand.Uint32()) }

// arrive connects everybody, a few at a time.
func arrive(ctx context.Context, cfg Config, at ready, people []*person, delays *delayMeter, unruly *bad) error {
	names, socket := newNames(), loopback
	if cfg.Server != nil {
		socket = nil // any
	}
	return each(ctx, len(people), func(ctx context.Context, i int) (err error) {
		if cfg.Bare {
			people[i], err = joinBare(ctx, at, cfg.Relay, delays)
			return err
		}
		at, delays, socket := at, delays, socket
		if cfg.aside(i) {
			delays = nil
		}
		switch who := i - cfg.Talkers; {
		case cfg.Bad && who == badStalled:
			socket = func() (net.PacketConn, error) {
				udp, err := listenLoopback()
				if err != nil {
					return nil, err
				}
				s := &stallable{udpSocket: &udpSocket{udp}}
				unruly.conn.Store(s)
				return s, nil
			}
		case cfg.Bad && who == badNarrow:
			if unruly.relay, err = simnet.NewRelay(simnet.RelayConfig{Target: at.Addr}); err != nil {
				return err
			}
			at.Addr = unruly.relay.Addr().String()
		}
		people[i], err = join(ctx, at, fmt.Sprintf("%s%d", names, i), delays, socket)
		return err
	})
}

// each does something for each of n, a few at a time, until there is an error,
// and returns the first.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	tokens := make(chan struct{}, 8)
	ctx, failed := context.WithCancel(ctx)
	defer failed()
	for i := range n {
		select {
		case tokens <- struct{}{}:
		case <-ctx.Done():
			wg.Wait()
			if first != nil {
				return first
			}
			return ctx.Err()
		}
		wg.Go(func() {
			defer func() { <-tokens }()
			if err := do(ctx, i); err != nil {
				mu.Lock()
				if first == nil {
					first = err
				}
				mu.Unlock()
				failed()
			}
		})
	}
	wg.Wait()
	return first
}

// enter brings everybody into their rooms, and lets those who talk publish. It
// returns the call of the first room.
func enter(ctx context.Context, cfg Config, people []*person, voices []voice) (_ []*talker, first string, err error) {
	talkers := make([]*talker, cfg.talking()*cfg.Talkers)
	err = each(ctx, cfg.Rooms, func(ctx context.Context, room int) error {
		in := people[room*cfg.Users : (room+1)*cfg.Users]
		id := ""
		if !cfg.Bare {
			var err error
			if id, err = gather(ctx, in, cfg.Mode, cfg.Aside > 0); err != nil {
				return err
			}
			if room == 0 {
				first = id
			}
		}
		if room%cfg.Every != 0 {
			return nil
		}
		for i, p := range in[:cfg.Talkers] {
			t, err := publish(ctx, p, id, voices[(room+i)%len(voices)])
			if err != nil {
				return err
			}
			talkers[room/cfg.Every*cfg.Talkers+i] = t
		}
		return nil
	})
	return talkers, first, err
}

// gather makes the first of some people call the others, who answer.
func gather(ctx context.Context, people []*person, mode hooks.RoomMode, video bool) (callID string, err error) {
	var others []string
	for _, p := range people[1:] {
		others = append(others, p.name)
	}
	call := signal.Call{UserIDs: others[:min(len(others), 1000)], IsGroup: true, Media: hooks.MediaAudio, TimeoutMS: int(setUpTime / time.Millisecond), Receive: mode}
	if video {
		call.Media = hooks.MediaVideo
	}
	res, err := people[0].request(ctx, signal.TypeCall, call)
	if err != nil {
		return "", err
	}
	enter := signal.Enter{CallID: res.CallID, Receive: mode}
	err = each(ctx, len(people), func(ctx context.Context, i int) error {
		p := people[i]
		switch {
		case i == 0:
		case i <= len(call.UserIDs):
			select {
			case <-p.invited:
			case <-ctx.Done():
				return fmt.Errorf("load: %s was not invited: %w", p.name, ctx.Err())
			}
			if _, err := p.request(ctx, signal.TypeAccept, enter); err != nil {
				return err
			}
		default:
			if _, err := p.request(ctx, signal.TypeJoin, enter); err != nil {
				return err
			}
		}
		select {
		case <-p.entered:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("load: %s did not get in: %w", p.name, ctx.Err())
		}
	})
	return res.CallID, err
}
