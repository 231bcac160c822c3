package load

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/hooks"
)

func TestMain(m *testing.M) {
	Child()
	os.Exit(m.Run())
}

// Everybody is admitted and gets what they should, in both modes and in a bare
// loop, and the figures and profiles are there.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	for name, cfg := range map[string]Config{
		"mix": {Rooms: 3, Users: 4, Talkers: 2, Every: 2, Duration: time.Second},
		"forward": {Users: 4, Talkers: 3, Mode: hooks.ModeForward, Duration: time.Second,
			Profile: dir + "/cpu", MutexProfile: dir + "/mutex", BlockProfile: dir + "/block"},
		"bare":  {Users: 4, Talkers: 1, Bare: true, Duration: time.Second},
		"ready": {Users: 4, Talkers: 3, Bare: true, Mode: hooks.ModeForward, Duration: time.Second},
		"relay": {Users: 4, Talkers: 3, Bare: true, Relay: true, Mode: hooks.ModeForward, Duration: time.Second, Delays: true, InServer: true, Phases: 1},
		"bad":   {Users: 9, Talkers: 3, Aside: 3, Bad: true, Mode: hooks.ModeForward, Duration: time.Second, Delays: true, InServer: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if d := r.Delay; cfg.Delays != (d.N > 0) || d.P50 > d.P99 || cfg.InServer != (r.Added.N > 0) || r.Added.P50 > r.Added.P99 {
				t.Errorf("delays %+v, in the server %+v", r.Delay, r.Added)
			}
			if r.Peak < 1<<20 || r.Peak > 1<<30 {
				t.Errorf("the server had %d bytes at most", r.Peak)
			}
			users := r.Config.Rooms * r.Config.Users
			if err := r.Refused(); err != nil || r.Hearing < users-5 {
				t.Errorf("%v; %d admitted, %d hearing", err, r.Admitted, r.Hearing)
			}
			// Whoever is missing is noticed.
			few, deaf := r, r
			few.Admitted--
			deaf.Hearing--
			if few.Refused() == nil || deaf.Refused() == nil {
				t.Error("a result with somebody missing is not refused")
			}
			// How much of what was due came is the machine's affair: see TestTally.
			if r.Least <= 0 || r.Least > r.Most || r.Packets == 0 || r.Frames < r.Packets {
				t.Errorf("%.2f to %.2f of what was due; %d packets, %d frames, %d lost", r.Least, r.Most, r.Packets, r.Frames, r.Lost)
			}
			if r.CPU <= 0 || r.EncodeTimes() <= 0 || r.XUDP() <= 0 || r.Calibration.Encode <= 0 || r.Calibration.SendRecv <= 0 {
				t.Errorf("%+v", r)
			}
			for _, file := range []string{cfg.Profile, cfg.MutexProfile, cfg.BlockProfile} {
				if file == "" {
					continue
				}
				covers, err := profiled(file)
				if err != nil {
					t.Fatal(err)
				}
				// Only that of the CPU says how long it is. It is of the window, not of
				// what is before, which takes settleTime and more.
				if file == cfg.Profile && (covers < cfg.Duration || covers > r.Window+settleTime/2) {
					t.Errorf("a window of %v is profiled for %v", r.Window, covers)
				}
			}
			if name == "mix" && (r.Mix.Encoded == 0 || r.Mix.Rooms != 3) {
				t.Errorf("%+v", r.Mix)
			}
		})
	}
}

// profiled is how long a profile says that it was made (profile.proto's
// duration_nanos, field 10), or 0.
func profiled(file string) (d time.Duration, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return 0, err
	}
	b, err := io.ReadAll(z)
	if err != nil {
		return 0, err
	}
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		v, m := binary.Uvarint(b[n:])
		if n <= 0 || m <= 0 {
			return 0, errors.New("no profile")
		}
		b = b[n+m:]
		switch tag {
		case 10 << 3: // a number
			d = time.Duration(v)
		default:
			if tag&7 == 2 { // of v bytes
				b = b[min(v, uint64(len(b))):]
			}
		}
	}
	return d, nil
}

// Everybody counts by what is due to them: in three rooms of which every second
// talks, some listen, some listen and talk, and some hear nobody.
func TestTally(t *testing.T) {
	cfg, err := Config{Rooms: 3, Users: 4, Talkers: 2, Every: 2, Mode: hooks.ModeForward}.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	before, after := make([]counted, 12), make([]counted, 12)
	for i := range before {
		before[i] = counted{packets: 10, frames: 1000, lost: 1}
		due := []int64{100, 100, 200, 200} // in 2 s: talkers hear one, the others two
		if i/4 == 1 {
			due = make([]int64, 4)
		}
		after[i] = counted{packets: 10 + due[i%4]/2, frames: 1000 + due[i%4], lost: 1}
	}
	result := func() Result {
		r := Result{Config: cfg, Admitted: 12, Window: 2 * time.Second}
		r.tally(before, after)
		return r
	}
	if r := result(); r.Refused() != nil || r.Due != 8 || r.Least != 1 || r.Most != 1 || r.Packets != 600 || r.Frames != 1200 || r.Lost != 0 {
		t.Errorf("%v; %+v", r.Refused(), r)
	}
	after[0].frames += 50
	after[3].frames, after[3].lost = 1050, 4
	if r := result(); r.Refused() != nil || r.Least != 0.25 || r.Most != 1.5 || r.Lost != 3 {
		t.Errorf("%v; %+v", r.Refused(), r)
	}
	after[9].frames = 1000 // nothing
	if r := result(); r.Refused() == nil || r.Least != 0 {
		t.Errorf("%v; %+v", r.Refused(), r)
	}
}

// What does not come is counted, and not what comes in another order.
func TestLost(t *testing.T) {
	p := new(person)
	count := p.counter()
	for _, seq := range []uint16{65533, 65534, 65535, 2, 1, 0, 4} { // 3 is missing
		b, err := (&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: seq}, Payload: []byte{0x78}}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		count(b, time.Time{})
	}
	count([]byte{1}, time.Time{}) // no RTP
	if p.packets.Load() != 7 || p.frames.Load() != 7 || p.lost.Load() != 1 {
		t.Errorf("%d packets, %d frames, %d lost", p.packets.Load(), p.frames.Load(), p.lost.Load())
	}
}

// Each talker has a place of their own in the frame, whatever their number.
func TestSpread(t *testing.T) {
	for _, n := range []int{1, 2, 7, 14, 60} {
		phases := spread(n, 20*time.Millisecond)
		slices.Sort(phases)
		for i, p := range phases {
			if want := 20 * time.Millisecond * time.Duration(i) / time.Duration(n); p != want {
				t.Fatalf("of %d, one is at %v, not %v", n, p, want)
			}
		}
	}
}

// A calibration of no time is one all the same.
func TestCalibrate(t *testing.T) {
	c, err := calibrate(0)
	if err != nil || c.SendRecv <= 0 || c.Encode <= 0 || c.Decode <= 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestBadConfig(t *testing.T) {
	for _, cfg := range []Config{
		{Mode: "mixed"}, {Users: 1}, {Rooms: 100, Users: 100}, {Talkers: 200}, {Every: 2}, {Duration: time.Millisecond},
		{Frame: 5 * time.Millisecond}, {FramesPerPacket: 4}, {FramesPerPacket: 2, Frame: 10 * time.Millisecond}, {FramesPerPacket: 2, Mode: hooks.ModeForward},
		{Relay: true}, {Bare: true, Relay: true}, {Bare: true, Relay: true, Mode: hooks.ModeForward, Rooms: 2}, {Bare: true, Mode: hooks.ModeForward, Talkers: 11},
		{Delays: true}, {Delays: true, Bare: true, Mode: hooks.ModeForward}, {InServer: true, Mode: hooks.ModeForward}, {Server: &Server{}, Bare: true}, {Aside: 3}, {Aside: 96, Mode: hooks.ModeForward},
		{Aside: 3, Rooms: 2, Mode: hooks.ModeForward}, {Aside: 2, Bad: true, Mode: hooks.ModeForward},
	} {
		if err := cfg.Check(); err == nil || !strings.HasPrefix(err.Error(), "load: ") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// The plot is well-formed.
func TestWriteCurve(t *testing.T) {
	var b bytes.Buffer
	points := []Point{{400, 5, true, 4000, 20000, 1}, {100, 5, true, 1600, 5000, 0}, {1000, 16, false, 330, 50000, 0}, {100, 5, false, 145, 5000, 0}}
	if err := WriteCurve(&b, points); err != nil {
		t.Fatal(err)
	}
	n := 0
	for d := xml.NewDecoder(&b); ; {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "circle" {
			n++
		}
	}
	if n != 5 { // one of them is on both panels
		t.Errorf("%d points drawn", n)
	}
}

// A meter says how long ago what it is given was stamped.
func TestDelayMeter(t *testing.T) {
	m := newDelayMeter()
	packet := make([]byte, stampedLen)
	m.note(packet[:stampedLen-1], sentAt) // too short to hold a time
	if d := m.delays(); d != (Delays{}) {
		t.Errorf("of nothing: %+v", d)
	}
	for i := range 100 {
		m.start = time.Now()
		m.stamp(packet, sentAt)
		m.start = m.start.Add(-time.Duration(i+1) * time.Millisecond)
		m.note(packet, sentAt)
	}
	d := m.delays()
	if d.N != 100 || d.P50 < 51*time.Millisecond || d.P50 > 60*time.Millisecond || d.P99 < 99*time.Millisecond {
		t.Errorf("1 to 100 ms: %+v", d)
	}
	if m.reset(); m.delays().N != 0 {
		t.Error("a reset forgets nothing")
	}
}
