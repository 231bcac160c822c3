package load

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"strings"
	"testing"
	"time"

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
			if d := r.Delay; cfg.Delays != (d.N > 0) || d.P50 > d.P99 || cfg.Delays && (d.P50 <= 0 || r.Added.N == 0 || r.Added.P50 > d.P50) {
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
			if r.Least < 0.5 || r.Most > 1.5 || r.Packets == 0 || r.Lost != 0 {
				t.Errorf("%.2f to %.2f of what was due; %d packets, %d lost", r.Least, r.Most, r.Packets, r.Lost)
			}
			if r.CPU <= 0 || r.EncodeTimes() <= 0 || r.XUDP() <= 0 || r.Calibration.Encode <= 0 || r.Calibration.SendRecv <= 0 {
				t.Errorf("%+v", r)
			}
			for _, file := range []string{cfg.Profile, cfg.MutexProfile, cfg.BlockProfile} {
				if file == "" {
					continue
				}
				if b, err := os.ReadFile(file); err != nil || !bytes.HasPrefix(b, []byte{0x1f, 0x8b}) { // gzip
					t.Errorf("%s: %d bytes, %v", file, len(b), err)
				}
			}
			if name == "mix" && (r.Mix.Encoded == 0 || r.Mix.Rooms != 3) {
				t.Errorf("%+v", r.Mix)
			}
		})
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
