package engine

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Every ticker ticks at its own moment of the frame, exactly, and rests until
// it is started again.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		defer c.close()
		type done struct {
			n  uint64
			at time.Time
		}
		var mu sync.Mutex
		seen := make([][]done, 30)
		var tickers []*ticker
		rest := atomic.Bool{}
		for i := range seen {
			every := 20 * time.Millisecond
			if i%3 == 0 {
				every = 10 * time.Millisecond
			}
			tickers = append(tickers, c.add(every, anySlot, func(n uint64, due time.Time) bool {
				if time.Now() != due {
					t.Errorf("ticker %d: tick %d is due at %v, and done at %v", i, n, due, time.Now())
				}
				mu.Lock()
				seen[i] = append(seen[i], done{n, due})
				mu.Unlock()
				return !rest.Load()
			}))
		}
		time.Sleep(time.Second) // virtual
		for i := range seen {
			if len(seen[i]) != 0 {
				t.Fatalf("ticker %d ticked before it was started", i)
			}
		}
		for _, tk := range tickers {
			tk.start()
		}
		time.Sleep(time.Second) // virtual
		rest.Store(true)
		time.Sleep(20 * time.Millisecond) // virtual
		mu.Lock()
		moments := make(map[time.Duration]int)
		for i, s := range seen {
			every := tickers[i].every
			if n := len(s); n < int(time.Second/every) || n > int(time.Second/every)+2 {
				t.Errorf("ticker %d ticked %d times in a second", i, n)
			}
			for k := 1; k < len(s); k++ {
				if s[k].n != s[k-1].n+1 || s[k].at.Sub(s[k-1].at) != every {
					t.Fatalf("ticker %d: tick %d at %v follows %d at %v", i, s[k].n, s[k].at, s[k-1].n, s[k-1].at)
				}
			}
			moments[s[0].at.Sub(c.epoch)%(20*time.Millisecond)]++
		}
		for at, n := range moments {
			if n > 4 {
				t.Errorf("%d of 30 tickers begin at %v of the frame", n, at)
			}
		}
		before := len(seen[0])
		last := seen[0][before-1].n
		mu.Unlock()
		time.Sleep(time.Second) // virtual
		rest.Store(false)
		tickers[0].start()
		tickers[0].start()
		time.Sleep(95 * time.Millisecond) // virtual
		tickers[0].remove()
		tickers[0].start()
		time.Sleep(time.Second) // virtual
		mu.Lock()
		defer mu.Unlock()
		again := seen[0][before:]
		if len(again) != 9 && len(again) != 10 {
			t.Fatalf("started again, it ticked %d times in 95 ms", len(again))
		}
		if d := again[0].n - last; d < 99 || d > 105 {
			t.Errorf("after a second's rest tick %d follows %d", again[0].n, last)
		}
		if c.late.Load() != 0 || c.skipped.Load() != 0 {
			t.Errorf("%d late, %d skipped", c.late.Load(), c.skipped.Load())
		}
	})
}

// A tick that takes long is caught up with, and counted; when far behind, the
// oldest ticks are left out. No other ticker waits.
func TestClockLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		defer c.close()
		var slow, fast []uint64
		a := c.add(20*time.Millisecond, anySlot, func(n uint64, _ time.Time) bool {
			slow = append(slow, n)
			switch len(slow) {
			case 5:
				time.Sleep(50 * time.Millisecond) // virtual
			case 20:
				time.Sleep(400 * time.Millisecond) // virtual
			}
			return true
		})
		b := c.add(20*time.Millisecond, anySlot, func(n uint64, _ time.Time) bool {
			fast = append(fast, n)
			return true
		})
		a.start()
		b.start()
		time.Sleep(2 * time.Second) // virtual
		a.remove()
		b.remove()
		synctest.Wait()
		if len(fast) < 99 {
			t.Errorf("the other ticked %d times in 2 s", len(fast))
		}
		gaps := 0
		for i := 1; i < len(slow); i++ {
			gaps += int(slow[i]-slow[i-1]) - 1
		}
		if n := c.skipped.Load(); gaps != int(n) || n < 12 || n > 16 {
			t.Errorf("%d ticks are missing, %d were counted as skipped: of 20 that were due five are caught up with", gaps, n)
		}
		if n := c.late.Load(); n < 6 || n > 9 {
			t.Errorf("%d late ticks: two in the first delay, six in the second", n)
		}
	})
}

// Whatever comes between the end of the work and the rest wakes the ticker.
func TestClockWokenWhileItRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		defer c.close()
		var tk *ticker
		n := 0
		tk = c.add(20*time.Millisecond, anySlot, func(uint64, time.Time) bool {
			n++
			if n == 3 {
				tk.start() // as a packet that arrives now does
			}
			return n != 3 && n < 10
		})
		tk.start()
		time.Sleep(time.Second) // virtual
		synctest.Wait()
		if n != 10 {
			t.Errorf("it ticked %d times, want 10", n)
		}
	})
}

// A free ticker ticks soon after start, when it is asked to and no sooner, and
// otherwise every so long after the last; what it was late for it does once.
func TestFreeTicker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		defer c.close()
		const ms = time.Millisecond
		began := time.Now()
		at := func(d time.Duration) time.Time { return began.Add(d) }
		var ticks, dues []time.Duration
		var tk *ticker
		tk = c.add(50*ms, anySlot, func(_ uint64, due time.Time) bool {
			ticks, dues = append(ticks, time.Since(began)), append(dues, due.Sub(began))
			switch len(ticks) {
			case 3:
				tk.by(at(33 * ms)) // it is past; from a tick that says that it is over
				return false
			case 5:
				time.Sleep(130 * ms) // virtual: it is behind by two
			case 7:
				return false
			}
			return true
		})
		tk.free = 5 * ms
		time.Sleep(10 * ms) // virtual
		tk.start()          // 15
		time.Sleep(10 * ms) // virtual
		tk.by(at(30 * ms))
		tk.by(at(40 * ms))   // it comes before that
		tk.by(at(22 * ms))   // and sooner
		tk.start()           // comes anyway
		time.Sleep(500 * ms) // virtual
		synctest.Wait()
		want := []time.Duration{15 * ms, 22 * ms, 72 * ms, 72 * ms, 122 * ms, 252 * ms, 272 * ms}
		due := []time.Duration{15 * ms, 22 * ms, 72 * ms, 33 * ms, 122 * ms, 222 * ms, 272 * ms}
		if !slices.Equal(ticks, want) || !slices.Equal(dues, due) {
			t.Errorf("it ticked at %v, which was due at %v", ticks, dues)
		}
	})
}

// What is asked for and due while a free ticker ticks is done after it, though that
// tick said that there is no more.
func TestFreeTickerAskedWhileItTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		defer c.close()
		const ms = time.Millisecond
		began := time.Now()
		var ticks []time.Duration
		tk := c.add(50*ms, anySlot, func(uint64, time.Time) bool {
			ticks = append(ticks, time.Since(began))
			time.Sleep(10 * ms) // virtual
			return false
		})
		tk.free = 5 * ms
		tk.start()
		time.Sleep(7 * ms) // virtual
		tk.by(began.Add(8 * ms))
		time.Sleep(500 * ms) // virtual
		synctest.Wait()
		if want := []time.Duration{5 * ms, 15 * ms}; !slices.Equal(ticks, want) {
			t.Errorf("it ticked at %v, not %v", ticks, want)
		}
	})
}

// A steer finds by how much packets come too early, wherever in the frame and
// however jittered, asks once, and again only if nothing happened.
func TestSteer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		defer c.close()
		tk := c.add(20*time.Millisecond, anySlot, func(uint64, time.Time) bool { return false })
		const ms = time.Millisecond
		for _, early := range []time.Duration{1 * ms, 3 * ms, 6 * ms, 11 * ms, 19 * ms} {
			s := steer{aim: aim{grid: tk.grid(tk.every)}}
			at := tk.time(1000).Add(-early)
			var asked []time.Duration
			for i := range 400 { // 8 s
				jitter := time.Duration(i*7%5) * 200 * time.Microsecond // up to 0.8 ms earlier
				shift := s.note(at.Add(-jitter))
				if shift != 0 {
					asked = append(asked, shift)
					at = at.Add(shift)
				}
				at = at.Add(20 * ms)
			}
			wait := tk.time(tk.number(at) + 1).Sub(at)
			fine := early >= 2*ms && early <= 4*ms
			if fine && len(asked) != 0 || !fine && len(asked) != 1 {
				t.Errorf("%v early: asked %v", early, asked)
			}
			if wait < 1500*time.Microsecond || wait > 4500*time.Microsecond {
				t.Errorf("%v early: they come %v before the tick in the end", early, wait)
			}
		}
		// Where most count, one packet in five that comes much later hides nobody.
		s := steer{aim: aim{grid: tk.grid(tk.every), most: true}}
		at := tk.time(1000).Add(-11 * ms)
		asked := 0
		for i := range 400 {
			late := time.Duration(0)
			if i%5 == 2 {
				late = time.Duration(4*(i/5%3+1)) * ms
			}
			if shift := s.note(at.Add(late)); shift != 0 {
				asked++
				at = at.Add(shift)
			}
			at = at.Add(20 * ms)
		}
		if wait := tk.time(tk.number(at) + 1).Sub(at); asked != 1 || wait != steerLead {
			t.Errorf("asked %d times, and they come %v before the tick", asked, wait)
		}
		// One who does not do it is asked three times, and then once a minute.
		s = steer{aim: aim{grid: tk.grid(tk.every)}}
		asked, at = 0, tk.time(1000).Add(-12*ms)
		for range 50 * 60 {
			if s.note(at) != 0 {
				asked++
			}
			at = at.Add(20 * ms)
		}
		if asked < steerTries || asked > steerTries+1 {
			t.Errorf("asked %d times in a minute", asked)
		}
		// Packets all over the frame cannot be steered.
		s = steer{aim: aim{grid: tk.grid(tk.every)}}
		for i := range 400 {
			if s.note(at.Add(time.Duration(i*13%20)*ms)) != 0 {
				t.Fatal("asked although the network shakes them over the whole frame")
			}
			at = at.Add(20 * ms)
		}
	})
}
