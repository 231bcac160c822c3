package peers

import (
	"testing"
	"time"

	"github.com/earshotrtc/earshot/bench/load"
)

// Everybody hears all others once, and nobody themselves.
func TestRun(t *testing.T) {
	r, err := Run(t.Context(), load.Config{Users: 4, Talkers: 2, Duration: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if r.Admitted != 4 || r.Hearing != 4 || r.Least < 0.7 || r.Most > 1.3 || r.Lost != 0 {
		t.Errorf("%d admitted, %d hearing, %.2f to %.2f of what was due, %d lost", r.Admitted, r.Hearing, r.Least, r.Most, r.Lost)
	}
	if r.CPU <= 0 || r.XUDP() <= 0 || r.Peak == 0 {
		t.Errorf("%+v", r)
	}
}

func TestBadConfig(t *testing.T) {
	for _, cfg := range []load.Config{{Users: 1}, {Users: 4}, {Users: -1, Talkers: -1}, {Duration: time.Millisecond}} {
		if _, err := Run(t.Context(), cfg); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
}
