package bench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/bench/load"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/crowd"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/transport"
)

// BenchmarkWorld is a game's world: players who walk about at random on 300 by
// 300 m for 1,000, hear 30 m far, and of whom a fifth talk without a pause, with
// speech that was encoded beforehand. The game says 30 times a second where all
// of them are. Every packet that anybody gets is checked: the talker was in range
// by the game's own record, between a tick and 20 ms before its frame was due and
// its arrival; where players are counts as said when Move has returned. Ten of the
// players are whole clients that decode what they hear.
//
// A deadline is kept when a packet is with its receiver 20 ms after its frame
// was due. Everything runs in this process: the talkers, the server, and all who
// hear. Frames count from when they were due, so what keeps the talkers' own loop
// from its work counts as well; ms/talkers-p99 is how late it is itself. us/encode is
// what an Opus encode took just before and after: how fast the machine was then.
// WORLD_SECONDS is how long it is measured, 2 by default.
func BenchmarkWorld(b *testing.B) {
	b.Run("1000players-in-process", func(b *testing.B) { worldBench(b, 1000, false) })
	b.Run("200players-QUIC", func(b *testing.B) { worldBench(b, 200, true) })
}

const (
	worldRange = 30
	worldTick  = time.Second / 30
	deadline   = 20 * time.Millisecond
)

// moment is where everybody was from a time on. Until told, which is when Move
// returned, in Unix nanoseconds, the world need not know of it.
type moment struct {
	at   time.Time
	told atomic.Int64
	pos  [][2]float32
}

// A village is the game and what it has measured.
type village struct {
	side    float32
	record  atomic.Pointer[[]*moment] // of the last ten seconds, the newest last
	numbers map[string]int
	due     []sendTimes // by player

	spoken                  delays // how late the talkers' own loop was
	measuring               atomic.Bool
	got, late, unknown, far atomic.Uint64
	delays                  delays
}

// delays are counted by quarters of a millisecond.
type delays [256]atomic.Uint64

func (d *delays) note(t time.Duration) {
	d[min(max(0, int(t/(250*time.Microsecond))), len(d)-1)].Add(1)
}

func (d *delays) clear() {
	for i := range d {
		d[i].Store(0)
	}
}

// quantile is in ms.
func (d *delays) quantile(q float64) float64 {
	var sum, all uint64
	for i := range d {
		all += d[i].Load()
	}
	for i := range d {
		if sum += d[i].Load(); float64(sum) >= q*float64(all) {
			return (float64(i) + 0.5) / 4
		}
	}
	return float64(len(d)) / 4
}

// sendTimes is when a talker's frames were due, by RTP timestamp.
type sendTimes [512]atomic.Int64

func (v *village) heard(receiver, talker int, timestamp uint32, arrival time.Time) {
	if !v.measuring.Load() {
		return
	}
	v.got.Add(1)
	due := v.due[talker][timestamp/960%512].Load()
	if due == 0 {
		v.unknown.Add(1)
		return
	}
	said := time.Unix(0, due)
	d := time.Since(said)
	if d > deadline {
		v.late.Add(1)
	}
	v.delays.note(d)
	rec := *v.record.Load()
	for i := len(rec) - 1; i >= 0; i-- {
		if rec[i].at.After(arrival) {
			continue
		}
		p, q := rec[i].pos[receiver], rec[i].pos[talker]
		x, y := p[0]-q[0], p[1]-q[1]
		if x*x+y*y <= worldRange*worldRange {
			return
		}
		if told := rec[i].told.Load(); told != 0 && said.Sub(time.Unix(0, told)) > worldTick+deadline {
			break
		}
	}
	v.far.Add(1)
}

func worldBench(b *testing.B, players int, quic bool) {
	seconds, _ := strconv.Atoi(os.Getenv("WORLD_SECONDS"))
	if seconds == 0 {
		seconds = 2
	}
	voices, err := load.Voices(20 * time.Millisecond)
	if err != nil {
		b.Fatal(err)
	}
	cfg := engine.ServerConfig{
		InProcess: !quic, MaxUsers: players, SDKAppID: app, Key: key, SignInsPerSecond: 1000,
		MaxPendingPerAddr: 1000,
		SignIn:            func(context.Context, hooks.SignInRequest) (hooks.SignIn, error) { return hooks.SignIn{}, nil },
	}
	if quic {
		cfg.Addr = "127.0.0.1:0"
		// Two thirds of the garbage, and of the heap that is gone through to find it,
		// are the players' own. So it is collected a third as often as a server with
		// GOGC=400 would: that takes as much of the time as it takes of the server's.
		defer debug.SetGCPercent(debug.SetGCPercent(1200))
	}
	srv, err := engine.NewServer(cfg)
	if err != nil {
		b.Fatal(err)
	}
	if err := srv.Listen(); err != nil {
		b.Fatal(err)
	}
	served := make(chan struct{})
	go func() { srv.Serve(); close(served) }()
	defer func() { srv.Close(); <-served }()
	w, err := srv.NewWorld(engine.WorldConfig{Range: worldRange, Tick: worldTick})
	if err != nil {
		b.Fatal(err)
	}
	v := &village{
		side: 300 * float32(math.Sqrt(float64(players)/1000)), numbers: make(map[string]int), due: make([]sendTimes, players),
	}
	// The players: every hundredth is a whole client, at least ten of them.
	rng := rand.New(rand.NewPCG(1, 2))
	every := players / 10
	all := make([]engine.Player, players)
	for i := range all {
		all[i] = engine.Player{UserID: fmt.Sprintf("player%d", i), Position: mixer.Vector{rng.Float32() * v.side, rng.Float32() * v.side}}
		v.numbers[all[i].UserID] = i
	}
	handles, err := w.Join(all...)
	if err != nil {
		b.Fatal(err)
	}
	dialer := func() (transport.Dialer, string) {
		if !quic {
			return srv.Pipe(), ""
		}
		pin := srv.Pins()[0]
		return &transport.QUICDialer{Pin: pin[:]}, srv.Addr().String()
	}
	var talkers []*crowd.Person
	var ears []*engine.Client
	for i := range all {
		d, addr := dialer()
		if i%every == 1 {
			c, err := engine.Dial(b.Context(), engine.ClientConfig{Dialer: d, Addr: addr, UserID: all[i].UserID, UserSig: "-", Codec: libopus.Driver{}, Stereo: true})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Destroy()
			ears = append(ears, c)
			continue
		}
		p, err := crowd.Dial(b.Context(), crowd.Config{Dialer: d, Addr: addr, UserID: all[i].UserID, Heard: func(_ *crowd.Person, t *crowd.Track, h *rtp.Header, _ []byte, at time.Time) {
			if t.Own == nil {
				t.Own = v.numbers[t.UserID]
			}
			v.heard(i, t.Own.(int), h.Timestamp, at)
		}})
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close()
		if i%5 == 0 {
			if err := p.Publish(b.Context()); err != nil {
				b.Fatal(err)
			}
			talkers = append(talkers, p)
		}
	}
	if st := w.Stats(); st.Connected != players {
		b.Fatalf("%d of %d were admitted", st.Connected, players)
	}

	ctx, stop := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	var inMove atomic.Int64
	wg.Go(func() { v.walk(ctx, w, all, handles, rng, &inMove) })
	wg.Go(func() { v.talk(ctx, talkers, voices) })
	var audible, blocks atomic.Uint64
	for _, c := range ears {
		wg.Go(func() {
			pcm := make([]int16, 2*480)
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				<-tick.C
				c.ReadPCM(pcm)
				if blocks.Add(1); mixer.Level(pcm) > -60 {
					audible.Add(1)
				}
			}
		})
	}
	calibrator, err := load.StartCalibrator(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer calibrator.Close()
	calibrate := func() time.Duration {
		c, err := calibrator.Measure(500 * time.Millisecond)
		if err != nil {
			b.Fatal(err)
		}
		return c.Encode
	}
	runtime.GC()                                       // what signing in left, and the row before
	time.Sleep(time.Duration(2+seconds) * time.Second) // talkers are steered meanwhile, some twice
	for b.Loop() {
		encode := calibrate() // not meanwhile: it would be in the way
		before := w.Stats()
		moved, cpu := inMove.Load(), processorTime()
		collected := collections()
		v.spoken.clear()
		v.measuring.Store(true)
		began := time.Now()
		time.Sleep(time.Duration(seconds) * time.Second)
		v.measuring.Store(false)
		took := time.Since(began)
		after := w.Stats()
		moved, cpu, collected = inMove.Load()-moved, processorTime()-cpu, collections()-collected
		encode = (encode + calibrate()) / 2
		got := v.got.Swap(0)
		if far, unknown := v.far.Swap(0), v.unknown.Swap(0); far > 0 || unknown > 0 || got == 0 {
			b.Fatalf("of %d packets %d came from out of range, %d from nowhere", got, far, unknown)
		}
		b.ReportMetric(100*(1-float64(v.late.Swap(0))/float64(got)), "%deadlines-kept")
		b.ReportMetric(v.delays.quantile(0.5), "ms/p50")
		b.ReportMetric(v.delays.quantile(0.99), "ms/p99")
		b.ReportMetric(v.spoken.quantile(0.99), "ms/talkers-p99")
		b.ReportMetric(float64(collected), "collections")
		v.delays.clear()
		b.ReportMetric(float64(encode)/1e3, "us/encode")
		share := func(d time.Duration) float64 { return 100 * float64(d) / float64(took) }
		b.ReportMetric(share(time.Duration(moved)), "%core-Move")
		b.ReportMetric(share(after.Busy-before.Busy), "%core-world")
		b.ReportMetric(share(cpu), "%core-all")
		b.ReportMetric(float64(got), "checked-packets")
		b.ReportMetric(float64(after.Packets-before.Packets)/took.Seconds(), "packets/s")
		b.ReportMetric(float64(after.Packets-before.Packets)/float64(after.Batches-before.Batches), "packets/batch")
		b.ReportMetric(float64(after.Voices)/float64(players), "voices/player")
		b.ReportMetric(100*float64(audible.Load())/float64(blocks.Load()), "%sound-at-ears")
	}
	if audible.Load() == 0 {
		b.Fatal("the clients that decode heard nothing")
	}
	b.ReportMetric(0, "ns/op")
}

// walk is the game's loop.
func (v *village) walk(ctx context.Context, w *engine.World, players []engine.Player, handles []engine.Handle, rng *rand.Rand, inMove *atomic.Int64) {
	move := make([]engine.Placement, len(players))
	way := make([]float64, len(players))
	for i := range move {
		move[i] = engine.Placement{Player: handles[i], Position: players[i].Position}
		way[i] = rng.Float64() * 2 * math.Pi
	}
	tick := time.NewTicker(worldTick)
	defer tick.Stop()
	for ctx.Err() == nil {
		pos := make([][2]float32, len(players))
		for i := range move {
			way[i] += rng.NormFloat64() / 10
			p := &move[i].Position
			const step = 1.5 / 30 // m, as people walk
			sin, cos := math.Sincos(way[i])
			p[0] = min(max(0, p[0]+step*float32(cos)), v.side)
			p[1] = min(max(0, p[1]+step*float32(sin)), v.side)
			if p[0] == 0 || p[1] == 0 || p[0] == v.side || p[1] == v.side {
				way[i] += math.Pi / 2
			}
			move[i].Forward = mixer.Vector{float32(cos), float32(sin)}
			pos[i] = [2]float32{p[0], p[1]}
		}
		var rec []*moment
		if old := v.record.Load(); old != nil {
			rec = append(rec, (*old)[max(0, len(*old)-299):]...)
		}
		now := &moment{at: time.Now(), pos: pos}
		rec = append(rec, now)
		v.record.Store(&rec)
		began := time.Now()
		if err := w.Move(move); err != nil {
			panic(err)
		}
		now.told.Store(time.Now().UnixNano())
		inMove.Add(int64(time.Since(began)))
		<-tick.C
	}
}

// talk makes the talkers talk, each at a phase of their own to begin with.
func (v *village) talk(ctx context.Context, talkers []*crowd.Person, voices [][][]byte) {
	const frame = 20 * time.Millisecond
	due := make([]time.Time, len(talkers))
	n := make([]int, len(talkers)) // frames said
	start := time.Now()
	for i := range due {
		due[i] = start.Add(frame * time.Duration(i*7%len(talkers)) / time.Duration(len(talkers)))
	}
	for ctx.Err() == nil {
		now := time.Now()
		next := now.Add(frame)
		for i, p := range talkers {
			for !due[i].After(now) {
				voice := voices[i%len(voices)]
				v.due[v.numbers[p.UserID()]][p.Timestamp()/960%512].Store(due[i].UnixNano())
				v.spoken.note(time.Since(due[i]))
				due[i] = due[i].Add(frame + p.Speak(voice[n[i]%len(voice)], 25))
				n[i]++
			}
			if due[i].Before(next) {
				next = due[i]
			}
		}
		time.Sleep(time.Until(next))
	}
}

// collections is how often the garbage was collected.
func collections() uint32 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumGC
}

// processorTime is what the process has used so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
