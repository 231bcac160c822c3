package bwe

import (
	"testing"
	"time"
)

const second = time.Second

// logFigures shows what a scenario came to, with -v.
func logFigures(t *testing.T, what string, samples []sample) figures {
	t.Helper()
	f := measure(samples)
	t.Logf("%-28s target %d..%d, mean %d, delivered %d, queue %v, 95 %% %v", what, f.least, f.most, f.mean, f.delivered,
		f.queue.Round(time.Millisecond), f.queue95.Round(time.Millisecond))
	return f
}

// seeds runs a scenario with several, lest one pass by luck.
func seeds(t *testing.T, s scenario, check func(t *testing.T, samples []sample)) {
	t.Helper()
	for seed := range uint64(2) {
		s.seed = seed
		check(t, s.run(t))
	}
}

func TestReachesBottleneck(t *testing.T) {
	for _, frames := range []bool{false, true} {
		s := scenario{rate: steady(1_500_000), frames: frames, duration: 60 * second}
		seeds(t, s, func(t *testing.T, samples []sample) {
			took := reached(samples, 0, 1_350_000, false)
			t.Logf("frames %v: 90 %% after %v", frames, took)
			if took < 0 || took > 15*second {
				t.Errorf("90 %% of the bottleneck after %v", took)
			}
			if f := logFigures(t, "from 15 s", between(samples, 15*second, 60*second)); f.delivered < 1_100_000 || f.most > 1_800_000 {
				t.Errorf("frames %v: %+v", frames, f)
			}
			if f := logFigures(t, "all", samples); f.queue > 100*time.Millisecond {
				t.Errorf("frames %v: the queue was %v long", frames, f.queue)
			}
		})
	}
}

func TestRateDropsAndComesBack(t *testing.T) {
	s := scenario{
		rate: func(at time.Duration) int {
			if at >= 30*second && at < 60*second {
				return 500_000
			}
			return 2_000_000
		},
		queue: 150 * time.Millisecond, duration: 100 * second,
	}
	for _, s.frames = range []bool{false, true} {
		seeds(t, s, func(t *testing.T, samples []sample) {
			fell, rose := reached(samples, 30*second, 600_000, true), reached(samples, 60*second, 1_200_000, false)
			t.Logf("frames %v: below 600 k after %v, above 1.2 M after %v", s.frames, fell, rose)
			if fell < 0 || fell > 3*second {
				t.Errorf("below 600 k %v after the drop", fell)
			}
			if rose < 0 || rose > 20*second {
				t.Errorf("above 1.2 M %v after the rise", rose)
			}
			if f := logFigures(t, "before", between(samples, 15*second, 30*second)); f.delivered < 1_500_000 {
				t.Errorf("%d delivered of 2 M", f.delivered)
			}
			if f := logFigures(t, "narrow, from 3 s", between(samples, 33*second, 60*second)); f.delivered < 380_000 || f.most > 650_000 {
				t.Errorf("narrow: %+v", f)
			}
			logFigures(t, "the drop", between(samples, 30*second, 33*second))
		})
	}
}

func TestRandomLoss(t *testing.T) {
	for _, loss := range []float64{0.02, 0.05, 0.10} {
		for _, from := range []time.Duration{0, 30 * second} {
			s := scenario{rate: steady(2_000_000), loss: loss, lossFrom: from, duration: 60 * second}
			seeds(t, s, func(t *testing.T, samples []sample) {
				took := reached(samples, 0, 800_000, false)
				t.Logf("%.0f %% from %v: 800 k after %v", 100*loss, from, took)
				if took < 0 || took > 15*second {
					t.Errorf("800 k after %v", took)
				}
				least := 800_000
				if loss == 0.10 && from > 0 {
					least = 500_000 // until it is known that less does not help
				}
				f := logFigures(t, "from 15 s", between(samples, 15*second, 60*second))
				if f.least < least {
					t.Errorf("%.0f %% loss from %v: down to %d", 100*loss, from, f.least)
				}
			})
		}
	}
}

// So few packets are lost by chance in uneven shares.
func TestRandomLossOnNarrowPath(t *testing.T) {
	s := scenario{rate: steady(300_000), config: Config{Initial: 200_000}, loss: 0.10, duration: 90 * second}
	seeds(t, s, func(t *testing.T, samples []sample) {
		if f := logFigures(t, "from 15 s", between(samples, 15*second, 90*second)); f.least < 140_000 || f.mean < 240_000 {
			t.Errorf("%+v", f)
		}
	})
}

// Where the buffer is too short for a queue to show, loss is all there is.
func TestShallowBuffer(t *testing.T) {
	s := scenario{rate: steady(1_500_000), queue: 8 * time.Millisecond, duration: 90 * second}
	for _, s.frames = range []bool{false, true} {
		seeds(t, s, func(t *testing.T, samples []sample) {
			f := logFigures(t, "from 15 s", between(samples, 15*second, 90*second))
			if f.mean > 1_650_000 || f.delivered < 900_000 {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestJitter(t *testing.T) {
	for _, jitter := range []time.Duration{5 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond} {
		s := scenario{rate: steady(2_000_000), jitter: jitter, duration: 60 * second, frames: true}
		seeds(t, s, func(t *testing.T, samples []sample) {
			if f := logFigures(t, jitter.String()+" from 20 s", between(samples, 20*second, 60*second)); f.mean < 1_000_000 {
				t.Errorf("jitter %v: %+v", jitter, f)
			}
		})
	}
}

func TestLongPathAndLostReports(t *testing.T) {
	for _, delay := range []time.Duration{5 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond} {
		s := scenario{rate: steady(1_500_000), delay: delay, back: 0.1, duration: 60 * second}
		seeds(t, s, func(t *testing.T, samples []sample) {
			if f := logFigures(t, delay.String()+" from 20 s", between(samples, 20*second, 60*second)); f.delivered < 1_100_000 || f.queue > 250*time.Millisecond {
				t.Errorf("delay %v: %+v", delay, f)
			}
		})
	}
}

// A sender that sends less than it might keeps its target where it is of use:
// above what it sends, and not far above.
func TestApplicationLimited(t *testing.T) {
	t.Run("ample path", func(t *testing.T) {
		s := scenario{rate: steady(50_000_000), config: Config{Max: 20_000_000}, duration: 120 * second,
			want: func(at time.Duration, target int) int { return min(300_000, target) }}
		seeds(t, s, func(t *testing.T, samples []sample) {
			if f := logFigures(t, "all", samples); f.least < 500_000 || f.most > 700_000 {
				t.Errorf("%+v", f)
			}
		})
	})
	t.Run("jitter", func(t *testing.T) {
		s := scenario{rate: steady(50_000_000), jitter: 30 * time.Millisecond, duration: 120 * second,
			want: func(at time.Duration, target int) int { return min(300_000, target) }}
		seeds(t, s, func(t *testing.T, samples []sample) {
			if f := logFigures(t, "all", samples); f.delivered < 250_000 {
				t.Errorf("%+v", f)
			}
		})
	})
	t.Run("less, then all", func(t *testing.T) {
		s := scenario{rate: steady(2_000_000), duration: 90 * second, want: func(at time.Duration, target int) int {
			if at > 20*second && at < 60*second {
				return min(150_000, target)
			}
			return target
		}}
		seeds(t, s, func(t *testing.T, samples []sample) {
			if f := logFigures(t, "limited", between(samples, 20*second, 60*second)); f.least < 1_000_000 || f.most > 2_500_000 {
				t.Errorf("%+v", f)
			}
			if f := logFigures(t, "after", between(samples, 60*second, 90*second)); f.delivered < 1_500_000 || f.queue > 150*time.Millisecond {
				t.Errorf("%+v", f)
			}
		})
	})
}

func TestBlackout(t *testing.T) {
	s := scenario{rate: steady(1_500_000), outage: [2]time.Duration{30 * second, 33 * second}, duration: 60 * second}
	seeds(t, s, func(t *testing.T, samples []sample) {
		if f := logFigures(t, "blackout", between(samples, 32*second, 33*second)); f.least > 1_000_000 {
			t.Errorf("nothing comes back, and the target is %d", f.least)
		}
		back := reached(samples, 33*second, 1_200_000, false)
		t.Logf("1.2 M %v after", back)
		if back < 0 || back > 15*second {
			t.Errorf("1.2 M %v after", back)
		}
	})
}
