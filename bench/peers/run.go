package peers

import (
	"context"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/bench/load"
	"github.com/earshotrtc/earshot/hooks"
)

// frame is what a packet holds, settleTime how long they talk before anything
// is measured, and setUpTime how long connecting everybody may take.
const (
	frame      = 20 * time.Millisecond
	settleTime = 3 * time.Second
	setUpTime  = 3 * time.Minute
)

// Run measures the forwarder made of pion/webrtc as load.Run measures ours, in
// one room; of cfg it takes Users, Talkers and Duration. It ends by itself, or
// with ctx.
func Run(ctx context.Context, cfg load.Config) (r load.Result, err error) {
	cfg, err = load.Config{Mode: hooks.ModeForward, Users: cfg.Users, Talkers: cfg.Talkers, Duration: cfg.Duration}.WithDefaults()
	if err != nil {
		return r, err
	}
	r.Config = cfg
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server, err := load.StartProcess(ctx, role+"=pion")
	if err != nil {
		return r, err
	}
	defer server.Close()
	calibrator, err := load.StartCalibrator(ctx)
	if err != nil {
		return r, err
	}
	defer calibrator.Close()
	voices, err := load.Voices(frame)
	if err != nil {
		return r, err
	}
	var people []*person
	defer func() {
		for _, p := range people {
			p.pc.Close()
		}
	}()
	if err := arrive(ctx, server, cfg, &people); err != nil {
		return r, err
	}
	r.Admitted = len(people)

	talking, hush := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for i, p := range people[:cfg.Talkers] {
		p.begin(voices[i%len(voices)])
	}
	wg.Go(func() {
		load.Talk(talking, cfg.Talkers, frame, func(i int) time.Duration { return people[i].speak(frame) })
	})
	defer func() { hush(); wg.Wait() }()
	if err := wait(ctx, settleTime); err != nil {
		return r, err
	}
	before, err := ask(server, query{})
	if err != nil {
		return r, err
	}
	counts := count(people)
	began := time.Now()
	// A calibration a little shorter than the window falls whole into it.
	var calibration load.Calibration
	calibrated := make(chan error, 1)
	go func() {
		var err error
		calibration, err = calibrator.Measure(cfg.Duration - 300*time.Millisecond)
		calibrated <- err
	}()
	if err := wait(ctx, cfg.Duration); err != nil {
		return r, err
	}
	after, err := ask(server, query{})
	if err != nil {
		return r, err
	}
	r.Window = time.Since(began)
	done := count(people)
	if err := <-calibrated; err != nil {
		return r, err
	}
	r.CPU, r.Peak, r.Calibration = after.CPU-before.CPU, after.Peak, calibration
	tally(&r, counts, done)
	return r, nil
}

// arrive connects everybody, one after the other.
func arrive(ctx context.Context, server *load.Process, cfg load.Config, people *[]*person) error {
	ctx, stop := context.WithTimeout(ctx, setUpTime)
	defer stop()
	api, err := newAPI()
	if err != nil {
		return err
	}
	for i := range cfg.Users {
		p, err := join(server, api, i, cfg.Talkers)
		if err != nil {
			return err
		}
		*people = append(*people, p)
		if err := p.wait(ctx); err != nil {
			return err
		}
	}
	return nil
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

type counted struct{ packets, lost int64 }

func count(people []*person) []counted {
	out := make([]counted, len(people))
	for i, p := range people {
		out[i] = counted{p.packets.Load(), p.lost.Load()}
	}
	return out
}

// tally adds up what everybody got.
func tally(r *load.Result, before, after []counted) {
	r.Least = 1e9
	for i := range after {
		others := r.Config.Talkers
		if i < r.Config.Talkers {
			others--
		}
		if others == 0 {
			continue
		}
		got := after[i].packets - before[i].packets
		r.Packets += got
		r.Lost += after[i].lost - before[i].lost
		share := float64(got) / (float64(others) * r.Window.Seconds() / frame.Seconds())
		r.Least, r.Most = min(r.Least, share), max(r.Most, share)
		if got > 0 {
			r.Hearing++
		}
	}
	r.Frames = r.Packets
}
